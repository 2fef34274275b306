//! Finding a migration by what people call it: file name, stem or number.

use crate::error::Error;
use crate::line::program::{is_deployed, program};
use crate::line::words::{listed, nearest};
use crate::migration::Migration;
use crate::model::file_name;

/// The one migration that `word` names, or an error that lists the nearest names.
pub(crate) fn find<'m>(migrations: &'m [Migration], word: &str) -> Result<&'m Migration, Error> {
    find_index(migrations, word).map(|index| &migrations[index])
}

/// The index of the one migration that `word` names, or an error that lists the nearest names.
pub(crate) fn find_index(migrations: &[Migration], word: &str) -> Result<usize, Error> {
    let named: Vec<usize> = (0..migrations.len()).filter(|&index| names(&migrations[index], word)).collect();
    match named[..] {
        [index] => Ok(index),
        [] => Err(unknown(migrations, word)),
        _ => Err(Error::usage(format!(
            "`{word}` names {} migrations: {}",
            named.len(),
            listed(named.iter().map(|&index| migrations[index].stem()))
        ))
        .with_hint("give the complete name")),
    }
}

/// Whether `word` names any migration at all.
pub(crate) fn is_any(migrations: &[Migration], word: &str) -> bool {
    migrations.iter().any(|migration| names(migration, word))
}

fn names(migration: &Migration, word: &str) -> bool {
    word == migration.name()
        || word == migration.stem()
        || file_name::is_number(word) && file_name::compare(word, migration.number()).is_eq()
}

fn unknown(migrations: &[Migration], word: &str) -> Error {
    let message = format!("there is no migration `{word}`");
    if migrations.is_empty() {
        let hint = if is_deployed() {
            "deploy a manager that was built with migration files".to_owned()
        } else {
            format!("write the first one with `{} new:NAME`", program())
        };
        return Error::usage(format!("{message}, nor any other migration file")).with_hint(with_missing(word, hint));
    }
    let stems = || migrations.iter().map(Migration::stem);
    let near = nearest(word, stems());
    let hint = if near.is_empty() {
        format!("the last migrations are {}", listed(stems().skip(migrations.len().saturating_sub(3))))
    } else {
        format!("did you mean {}?", listed(near))
    };
    Error::usage(message).with_hint(with_missing(word, hint))
}

/// Adds to the hint that the word may name a registered migration whose file is gone. The word is looked up before there is a
/// connection, so this is not known.
fn with_missing(word: &str, hint: String) -> String {
    if !word.split_once('_').is_some_and(|(digits, _)| file_name::is_number(digits)) {
        return hint;
    }
    let stop = if hint.ends_with('?') { "" } else { "." };
    format!("{hint}{stop} If `{word}` is registered and its file is gone, `{} show_status` lists it as missing", program())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrations() -> Vec<Migration> {
        ["0001_create_posts", "0002_slugs", "2_again", "0010_create_users"]
            .into_iter()
            .map(|stem| Migration::new(format!("{stem}.rs"), async |_: &crate::Db| Ok::<_, Error>(())))
            .collect()
    }

    fn found(word: &str) -> Result<String, String> {
        find(&migrations(), word)
            .map(|migration| migration.stem().to_owned())
            .map_err(|error| format!("{error} ({})", error.hint().unwrap()))
    }

    #[test]
    fn by_file_name_stem_and_number() {
        for word in ["0001_create_posts.rs", "0001_create_posts", "0001", "1", "00000001"] {
            assert_eq!(found(word).as_deref(), Ok("0001_create_posts"), "{word}");
        }
    }

    #[test]
    fn an_ambiguous_number_lists_what_it_names() {
        assert_eq!(found("2"), Err("`2` names 2 migrations: `0002_slugs`, `2_again` (give the complete name)".into()));
    }

    #[test]
    fn an_unknown_name_lists_the_nearest() {
        assert_eq!(found("slug"), Err("there is no migration `slug` (did you mean `0002_slugs`?)".into()));
        assert_eq!(found("users"), Err("there is no migration `users` (did you mean `0010_create_users`?)".into()));
        assert_eq!(
            found("zzz"),
            Err("there is no migration `zzz` (the last migrations are `0002_slugs`, `2_again`, `0010_create_users`)".into())
        );
    }

    #[test]
    fn a_name_that_may_have_been_a_files_leads_to_status() {
        let missing = "is registered and its file is gone, `cargo migrations show_status` lists it as missing";
        assert_eq!(
            found("0002_slug"),
            Err(format!("there is no migration `0002_slug` (did you mean `0002_slugs`? If `0002_slug` {missing})"))
        );
        let error = find(&migrations(), "0099_zzz.rs").map(Migration::stem).unwrap_err();
        assert!(error.hint().unwrap().ends_with(&format!("`0010_create_users`. If `0099_zzz.rs` {missing}")), "{error:?}");
        let error = find(&[], "0099_zzz").map(Migration::stem).unwrap_err();
        assert!(error.hint().unwrap().ends_with(&format!("new:NAME`. If `0099_zzz` {missing}")), "{error:?}");
        for word in ["77", "_x", "create_users", "a1_b"] {
            let error = find(&migrations(), word).map(Migration::stem).unwrap_err();
            assert!(!error.hint().unwrap().contains("missing"), "{word}: {error:?}");
        }
    }
}
