//! The pattern of migration file names.

use regex::Regex;

use crate::model::file_name;

/// The pattern, unless [`Embed::pattern`](super::Embed::pattern) sets another.
pub(crate) const DEFAULT: &str = r"(?P<migr_nr>[0-9]+)_[a-z0-9_]+\.rs";

/// A pattern that must match a file's complete name. Its group `migr_nr` is the migration's number.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: String,
    regex: Regex,
}

/// Why a pattern cannot be used, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) reason: &'static str,
    pub(crate) hint: &'static str,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Result<Self, Unusable> {
        match Regex::new(&format!("^(?:{text})$")) {
            Ok(regex) if regex.capture_names().flatten().any(|name| name == "migr_nr") => {
                Ok(Self { text: text.to_owned(), regex })
            }
            Ok(_) => {
                Err(Unusable { reason: "has no group named migr_nr", hint: "write the number as `(?P<migr_nr>[0-9]+)`" })
            }
            Err(_) => Err(Unusable { reason: "is not a valid regular expression", hint: "fix the pattern" }),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the number in a file's name, or `None` if the name does not match.
    pub(crate) fn number<'n>(&self, name: &'n str) -> Option<&'n str> {
        let number = self.regex.captures(name)?.name("migr_nr")?.as_str();
        file_name::is_number(number).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complete_name_must_match() {
        let pattern = Pattern::new(DEFAULT).unwrap();
        assert_eq!(pattern.number("0002_slugs.rs"), Some("0002"));
        for name in ["0002_slugs.rs~", "#0002_slugs.rs", "0002-slugs.rs", "0002_Slugs.rs", "0002_slugs.rs\n", "_slugs.rs"] {
            assert_eq!(pattern.number(name), None, "{name}");
        }
        // The alternatives of a pattern have to match completely too, and the number has to have digits.
        let pattern = Pattern::new(r"m(?P<migr_nr>[0-9]*)\.rs|x\.rs").unwrap();
        assert_eq!(["m7.rs", "m7.rs2", "m.rs", "x.rs"].map(|name| pattern.number(name)), [Some("7"), None, None, None]);
    }

    #[test]
    fn a_pattern_that_cannot_be_used() {
        assert_eq!(Pattern::new("(").unwrap_err().reason, "is not a valid regular expression");
        assert_eq!(Pattern::new("[0-9]+_.*").unwrap_err().reason, "has no group named migr_nr");
    }
}
