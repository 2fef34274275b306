//! The names that mongodump gives to a collection's files.

/// The longest escaped name that leaves room for `.metadata.json.gz` in 255 bytes.
const LONGEST: usize = 238;

/// How many bytes of a longer name are kept. A hash follows them.
const KEPT: usize = 208;

/// Returns the collection's name, escaped like the query of a URL. A long name is truncated, and its hash appended.
pub(super) fn escape(collection: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::new();
    for byte in collection.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte.into()),
            b' ' => escaped.push('+'),
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    if escaped.len() > LONGEST {
        let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, collection.as_bytes());
        escaped.truncate(KEPT);
        escaped.push_str("%24");
        escaped.push_str(&base64(digest.as_ref()));
    }
    escaped
}

/// Returns the name that was escaped. A truncated name stays truncated, with its hash.
pub(super) fn unescape(file: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = file.bytes();
    while let Some(byte) = rest.next() {
        let hex = (byte == b'%').then(|| rest.clone().take(2).collect::<Vec<_>>()).filter(|hex| hex.len() == 2);
        let decoded = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok());
        match (byte, decoded) {
            (b'%', Some(decoded)) => {
                bytes.push(decoded);
                rest.nth(1);
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| file.to_owned())
}

/// Base64 for URLs, without padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            out.push(LETTERS[(bits >> (18 - 6 * index) & 63) as usize].into());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_mongodump_does() {
        assert_eq!(escape("posts"), "posts");
        assert_eq!(escape("a/b c%d.é"), "a%2Fb+c%25d.%C3%A9");
        assert_eq!(escape("a-b_c~d$"), "a-b_c~d%24");
        for name in ["posts", "a/b c%d.é", "100%", "%zz", "a+b"] {
            assert_eq!(unescape(&escape(name)), name);
        }
        assert_eq!(unescape("%zz%2"), "%zz%2");
    }

    #[test]
    fn long_names_are_cut_and_hashed() {
        assert_eq!(escape(&"x".repeat(238)).len(), 238);
        let long = escape(&"x".repeat(239));
        assert_eq!(long.len(), 238);
        assert!(long.starts_with(&"x".repeat(208)) && long[208..].starts_with("%24"), "{long}");
        assert_ne!(long, escape(&"x".repeat(240)));
    }

    #[test]
    fn base64_for_urls() {
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "-__-");
        assert_eq!(base64(b"a"), "YQ");
        assert_eq!(base64(b"ab"), "YWI");
    }
}
