//! Which of a dump's collections are restored.

use crate::dump::selection;
use crate::dump::verify::{Part, Verified};
use crate::error::Error;
use crate::store::{LOCK, LOG};

/// All collections of a dump, or those that `only=a+b` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice(Option<Vec<String>>);

impl Choice {
    /// Reads the value of `only=`.
    pub(crate) fn read(text: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text else { return Ok(Self(None)) };
        let names = selection::names("only", text)?;
        if let Some(name) = names.iter().find(|name| *name == LOCK || *name == LOG) {
            return Err(Error::usage(format!("`only=` names `{name}`, which a restore never replaces"))
                .with_hint("the lock and the log stay as they are; leave it out"));
        }
        Ok(Self(Some(names)))
    }

    /// Limits it to what a dump has, if that is only a part of a database: all other collections then stay as they are.
    pub(super) fn within(&self, dump: &Verified) -> Self {
        if self.0.is_some() || !dump.is_partial {
            return self.clone();
        }
        let names = dump.parts.iter().map(|part| part.collection.name.clone());
        Self(Some(names.filter(|name| name != LOCK && name != LOG).collect()))
    }

    /// Returns the names, or `None` for all collections.
    pub(crate) fn names(&self) -> Option<&[String]> {
        self.0.as_deref()
    }

    /// Whether a collection of that name is restored, or removed if the dump does not have it.
    pub(crate) fn includes(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.iter().any(|chosen| chosen == name))
    }

    /// An error if the dump lacks one of them.
    pub(super) fn check(&self, parts: &[Part]) -> Result<(), Error> {
        let all = parts.iter().map(|part| part.collection.name.as_str()).filter(|name| *name != LOCK && *name != LOG);
        selection::check_names(self.0.as_deref().unwrap_or_default(), &all.collect::<Vec<_>>(), "the dump")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::load::plan::tests::part;

    #[test]
    fn names_are_read_and_looked_up() {
        let choice = Choice::read(Some("posts+a.b")).unwrap();
        assert!(choice.includes("posts") && choice.includes("a.b") && !choice.includes("users"));
        assert!(Choice::read(None).unwrap().includes("users"));
        let parts = [part("posts"), part("users"), part("a.b")];
        assert!(choice.check(&parts).is_ok());
        let error = Choice::read(Some("post")).unwrap().check(&parts).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().as_str()), (2, "the dump has no collection `post`"));
        assert_eq!(error.hint(), Some("the nearest: `posts`"));
        let error = Choice::read(Some("zebra")).unwrap().check(&parts).unwrap_err();
        assert_eq!(error.hint(), Some("it has `posts`, `users`, `a.b`"));
    }

    #[test]
    fn empty_names_and_the_tools_own_collections_are_refused() {
        for wrong in ["", "a+", "+", "a++b", "migrations_lock", "posts+migrations_log"] {
            assert_eq!(Choice::read(Some(wrong)).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }
}
