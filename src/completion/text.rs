//! The text before the cursor, as the shell has it: split into words, without their quotes.

use std::path::Path;

/// Splits the text as a shell does. The last word is the one at the cursor, which is empty after white space.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut chars = text.trim_start().chars().peekable();
    while let Some(c) = chars.next() {
        let word = words.last_mut().expect("there is always one");
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            // Within double quotes a backslash stands for itself before most characters.
            (None, '\\') => word.extend(chars.next()),
            (Some('"'), '\\') if matches!(chars.peek(), Some('"' | '\\' | '$' | '`')) => word.extend(chars.next()),
            (None, c) if c.is_whitespace() => {
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
                words.push(String::new());
            }
            (_, c) => word.push(c),
        }
    }
    words
}

/// Returns the words that follow the program's name, which is one word or `cargo migrations`.
pub(super) fn after_program(words: &[String]) -> &[String] {
    let is_variable = |word: &&String| word.split_once('=').is_some_and(|(name, _)| is_name(name));
    let words = &words[words.iter().take_while(is_variable).count()..];
    let is_cargo = words.first().is_some_and(|word| Path::new(word).file_stem().is_some_and(|stem| stem == "cargo"));
    let length = if is_cargo { words.iter().position(|word| word == "migrations").map(|at| at + 1) } else { Some(1) };
    words.get(length.unwrap_or(words.len())..).unwrap_or_default()
}

/// Whether a shell takes this for the name of a variable.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_and_their_quotes_removed() {
        assert_eq!(split("a  b"), ["a", "b"]);
        assert_eq!(split("a b "), ["a", "b", ""]);
        assert_eq!(split(""), [""]);
        assert_eq!(split(r#"a 'b c' "d\"e" f\ g"#), ["a", "b c", "d\"e", "f g"]);
        assert_eq!(split("a 'open b"), ["a", "open b"]);
        assert_eq!(split(r#""\x""#), [r"\x"]);
        assert_eq!(split("a\\"), ["a"]);
    }

    #[test]
    fn the_program_is_one_word_or_two() {
        let after = |text: &str| after_program(&split(text)).join(" ");
        assert_eq!(after("cargo migrations a b"), "a b");
        assert_eq!(after("/usr/bin/cargo +nightly -q --color always migrations a"), "a");
        assert_eq!(after("cargo-migrations a"), "a");
        assert_eq!(after("./manager a"), "a");
        assert_eq!(after("MONGO_URI=x ./manager a"), "a");
        // What zsh passes to the function of a subcommand.
        assert_eq!(after("migrations a"), "a");
        assert_eq!(after("cargo build a"), "");
        assert_eq!(after(""), "");
    }
}
