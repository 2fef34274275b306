//! Collections that are named on the command line (`only=a+b`), and the limits of a dump to some of them.

use super::catalog::Collection;
use super::manifest::Selection;
use crate::error::Error;
use crate::line::words::{listed, nearest, shortened};

/// What separates the names in an option.
const SEPARATOR: char = '+';

/// Reads the names of collections that an option has, without duplicates and in order.
pub(super) fn names(option: &str, value: &str) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = value.split(SEPARATOR).map(str::to_owned).collect();
    if names.iter().any(String::is_empty) {
        return Err(Error::usage(format!("`{option}={value}` has an empty name"))
            .with_hint(format!("write the names of collections, with a `+` between them: `{option}=posts+comments`")));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// An error if one of the names is not the name of an existing collection. `place` is what has these: `the dump`.
pub(super) fn check_names(names: &[String], existing: &[&str], place: &str) -> Result<(), Error> {
    let Some(unknown) = names.iter().find(|name| !existing.contains(&name.as_str())) else { return Ok(()) };
    let near = nearest(unknown, existing.iter().copied());
    let hint = match (near.is_empty(), existing.is_empty()) {
        (false, _) => format!("the nearest: {}", listed(near)),
        (true, false) => format!("it has {}", shortened(existing)),
        (true, true) => "it has no collections".to_owned(),
    };
    Err(Error::usage(format!("{place} has no collection `{unknown}`")).with_hint(hint))
}

impl Selection {
    /// Reads what `only=` and `except=` say.
    pub(crate) fn read(only: Option<&str>, except: Option<&str>) -> Result<Option<Self>, Error> {
        match (only, except) {
            (None, None) => Ok(None),
            (Some(value), None) => names("only", value).map(Self::Only).map(Some),
            (None, Some(value)) => names("except", value).map(Self::Except).map(Some),
            (Some(_), Some(_)) => Err(Error::usage("`only=` and `except=` cannot be combined")
                .with_hint("name either the collections to dump, or those to leave out")),
        }
    }
}

/// Keeps the collections that are wanted. A name that none of them has is an error.
pub(super) fn apply(wanted: &Selection, collections: &mut Vec<Collection>, database: &str) -> Result<(), Error> {
    let (Selection::Only(names) | Selection::Except(names)) = wanted;
    let existing: Vec<&str> = collections.iter().map(|collection| collection.name.as_str()).collect();
    check_names(names, &existing, database)?;
    collections.retain(|collection| match wanted {
        Selection::Only(names) => names.contains(&collection.name),
        Selection::Except(names) => !names.contains(&collection.name),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::catalog::Kind;

    fn collections() -> Vec<Collection> {
        let named = |name: &str| Collection {
            name: name.to_owned(),
            kind: Kind::Collection,
            options: mongodb::bson::Document::new(),
            uuid: None,
            indexes: Vec::new(),
        };
        ["comments", "posts", "users"].map(named).to_vec()
    }

    fn left(only: Option<&str>, except: Option<&str>) -> Result<Vec<String>, Error> {
        let mut all = collections();
        if let Some(wanted) = Selection::read(only, except)? {
            apply(&wanted, &mut all, "blog")?;
        }
        Ok(all.into_iter().map(|collection| collection.name).collect())
    }

    #[test]
    fn names_are_dumped_or_left_out() {
        assert_eq!(left(None, None).unwrap(), ["comments", "posts", "users"]);
        assert_eq!(left(Some("users+posts"), None).unwrap(), ["posts", "users"]);
        assert_eq!(left(None, Some("users+posts")).unwrap(), ["comments"]);
    }

    #[test]
    fn what_no_collection_is_called_is_an_error() {
        for (only, except, message, hint) in [
            (Some("post"), None, "blog has no collection `post`", "the nearest: `posts`"),
            (None, Some("posts+x"), "blog has no collection `x`", "it has `comments`, `posts`, `users`"),
            (
                Some("posts+"),
                None,
                "`only=posts+` has an empty name",
                "write the names of collections, with a `+` between them: `only=posts+comments`",
            ),
            (
                Some("posts"),
                Some("users"),
                "`only=` and `except=` cannot be combined",
                "name either the collections to dump, or those to leave out",
            ),
        ] {
            let error = left(only, except).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.hint()), (message, Some(hint)));
        }
    }
}
