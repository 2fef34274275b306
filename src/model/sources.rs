//! Which state of the sources a program was built from.

/// A git commit, and whether the working tree had changes that are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sources {
    /// In hexadecimal digits.
    pub(crate) commit: String,
    /// `None` if it is not known: only git itself can compare the files with a commit.
    pub(crate) is_dirty: Option<bool>,
}

impl Sources {
    /// As the plugin hands it to the manager: `1a2b… clean`, `1a2b… dirty`, `1a2b…`.
    #[cfg(any(feature = "cli", test))]
    pub(crate) fn to_text(&self) -> String {
        let Self { commit, is_dirty } = self;
        match is_dirty {
            Some(true) => format!("{commit} dirty"),
            Some(false) => format!("{commit} clean"),
            None => commit.clone(),
        }
    }

    /// Reads that text.
    #[cfg(feature = "manager")]
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (commit, state) = text.split_once(' ').unwrap_or((text, ""));
        let is_dirty = match state {
            "dirty" => Some(true),
            "clean" => Some(false),
            _ => None,
        };
        is_commit(commit).then(|| Self { commit: commit.to_owned(), is_dirty })
    }
}

/// Whether it is the name of a commit: 40 hexadecimal digits, or 64.
pub(crate) fn is_commit(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(all(test, feature = "manager"))]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_read_back_and_anything_else_is_nothing() {
        for is_dirty in [Some(true), Some(false), None] {
            let sources = Sources { commit: "0123456789abcdef".repeat(4), is_dirty };
            assert_eq!(Sources::read(&sources.to_text()), Some(sources));
        }
        for text in ["", "HEAD", "0123 clean", " clean"] {
            assert_eq!(Sources::read(text), None, "{text}");
        }
    }
}
