//! Passwords, which are masked in everything that is written.

use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;

const MASK: &str = "***";

/// Long words of our own messages, some of which are passwords too. Shorter words need no list.
const OUR_WORDS: [&str; 9] =
    ["collection", "connection", "database", "databases", "migration", "migrations", "password", "production", "registered"];

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on, [`scrub`] masks `secret`, both as it is and percent-encoded.
#[cfg(feature = "manager")]
pub(crate) fn keep_secret(secret: &str) {
    let encoded: String = secret
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    for secret in [secret.to_owned(), encoded] {
        // A shorter one could mask parts of ordinary words.
        if secret.len() >= 4 && !secrets.contains(&secret) {
            secrets.push(secret);
        }
    }
}

/// Returns the text without passwords: those given to `keep_secret`, and the user part of every connection string.
pub(crate) fn scrub(text: &str) -> String {
    static USERINFO: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(mongodb(?:\+srv)?://)[^\s"'<>]*@"#).expect("a constant pattern"));
    let text = USERINFO.replace_all(text, format!("${{1}}{MASK}@")).into_owned();
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner).iter().fold(text, |text, secret| mask(&text, secret))
}

/// Masks a secret wherever it stands, or only where it stands as a value if it may be an ordinary word of the text.
fn mask(text: &str, secret: &str) -> String {
    if !is_ordinary_word(secret) {
        return text.replace(secret, MASK);
    }
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for (start, _) in text.match_indices(secret) {
        let after = start + secret.len();
        if is_value(&text[..start], &text[after..]) {
            masked.push_str(&text[end..start]);
            masked.push_str(MASK);
            end = after;
        }
    }
    masked.push_str(&text[end..]);
    masked
}

fn is_ordinary_word(secret: &str) -> bool {
    let is_short = secret.len() < 8 && secret.bytes().all(|byte| byte.is_ascii_lowercase());
    is_short || OUR_WORDS.contains(&secret)
}

/// Whether what stands between the two texts is the complete value of something: `pwd=…`, `user:…@host`, `"…"`, `password …`.
fn is_value(before: &str, after: &str) -> bool {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    if before.ends_with(is_of_word) || after.starts_with(is_of_word) {
        return false;
    }
    let label = before.trim_end_matches([' ', ':', '=', '"', '\'', '`']).as_bytes();
    let is_labelled = ["password", "pwd"].iter().any(|name| {
        let start = label.len().checked_sub(name.len());
        start.is_some_and(|start| label[start..].eq_ignore_ascii_case(name.as_bytes()))
    });
    is_labelled || before.ends_with([':', '=', '"', '\'']) || after.starts_with('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_lose_their_user_part() {
        assert_eq!(
            scrub("no answer from mongodb://deploy:s3cr3t@db-1:27017/blog, sorry"),
            "no answer from mongodb://***@db-1:27017/blog, sorry"
        );
        assert_eq!(scrub("mongodb+srv://u:p@ss@cluster"), "mongodb+srv://***@cluster");
        assert_eq!(scrub("mongodb://db-1/blog"), "mongodb://db-1/blog");
    }

    #[test]
    #[cfg(feature = "manager")]
    fn kept_secrets_are_masked_wherever_they_stand() {
        keep_secret("hunter2-of-the-test");
        assert_eq!(scrub("the password is hunter2-of-the-test, sorry"), "the password is ***, sorry");
    }

    #[test]
    fn a_secret_that_cannot_be_an_ordinary_word_is_masked_within_other_texts_too() {
        for secret in ["correcthorse", "Data", "data1", "da-ta", "dätä"] {
            assert_eq!(mask(&format!("x{secret}y, {secret}"), secret), "x***y, ***", "{secret}");
        }
    }

    #[test]
    fn an_ordinary_word_is_masked_only_as_a_value() {
        for text in [
            "check the data",
            "database data on db-1",
            "data: 3 documents",
            "metadata@db-1",
            "execute:database",
            "x=data_1",
            "the passwords, and data",
        ] {
            assert_eq!(mask(text, "data"), text);
        }
        for (text, masked) in [
            ("deploy:data@db-1", "deploy:***@db-1"),
            ("data@db-1", "***@db-1"),
            ("MONGO_USER_PASSWORD=data", "MONGO_USER_PASSWORD=***"),
            (r#"{ "pwd": "data", "data": 1 }"#, r#"{ "pwd": "***", "***": 1 }"#),
            ("Password data, user data", "Password ***, user data"),
            ("the pwd: data is wrong, data", "the pwd: *** is wrong, data"),
            ("'data'", "'***'"),
            ("é:data", "é:***"),
        ] {
            assert_eq!(mask(text, "data"), masked);
        }
        assert_eq!(mask("the password of the database is password", "password"), "the password of the database is password");
        assert_eq!(mask("password=password", "password"), "password=***");
    }
}
