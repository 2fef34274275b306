//! An error and its causes as texts.

use std::error::Error as StdError;

/// The texts of an error and its causes, in order. Many error types repeat the text of their source: a cause that was said already
/// is left out.
pub(crate) fn texts(
    error: &(dyn StdError + 'static),
    describe: impl Fn(&(dyn StdError + 'static)) -> String,
) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in std::iter::successors(Some(error), |&error| error.source()).map(describe) {
        if !texts.iter().any(|before| says(before, &text)) {
            texts.push(text);
        }
    }
    texts
}

/// Whether a text contains another one, and not only as a part of its words.
fn says(text: &str, other: &str) -> bool {
    let other = other.trim().trim_end_matches('.');
    let is_of_word = |c: char| c.is_alphanumeric();
    text.match_indices(other).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + other.len()..]);
        !(before.ends_with(is_of_word) && other.starts_with(is_of_word)
            || after.starts_with(is_of_word) && other.ends_with(is_of_word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind};

    #[test]
    fn what_was_said_is_not_said_again() {
        let chain = |messages: &[&str]| {
            let (inner, outer) = messages.split_last().unwrap();
            let inner = Error::new(ErrorKind::Failed, *inner);
            let error =
                outer.iter().rev().fold(inner, |inner, outer| Error::new(ErrorKind::Failed, *outer).caused_by(inner));
            texts(&error, ToString::to_string)
        };
        assert_eq!(
            chain(&["moving", "moving: no room", "no room", "disk full"]),
            ["moving", "moving: no room", "disk full"]
        );
        assert_eq!(chain(&["it failed: no room.", "no room."]), ["it failed: no room."]);
        assert_eq!(chain(&["not found", "no"]), ["not found", "no"], "a part of a word");
        assert_eq!(chain(&["a", "b", "a", "b"]), ["a", "b"]);
        assert_eq!(chain(&["it failed", ""]), ["it failed"]);
    }
}
