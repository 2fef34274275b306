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
    word == migration.name() || word == migration.stem() || is_number_of(word, migration.number())
}

/// Whether `word` names a migration that the registry or the log has under this name. The file's ending does not count: migopy's
/// is another.
pub(crate) fn is_named(name: &str, number: &str, word: &str) -> bool {
    file_name::stem(word) == file_name::stem(name) || is_number_of(word, number)
}

fn is_number_of(word: &str, number: &str) -> bool {
    file_name::is_number(word) && file_name::compare(word, number).is_eq()
}

fn unknown(migrations: &[Migration], word: &str) -> Error {
    let message = format!("there is no migration `{word}`");
    if migrations.is_empty() {
        let hint = if is_deployed() {
            "deploy a manager that was built with migration files".to_owned()
        } else {
            format!("write the first one with `{} new:NAME`", program())
        };
        return Error::usage(format!("{message}, nor any other migration file")).with_hint(hint);
    }
    let stems = || migrations.iter().map(Migration::stem);
    let near = nearest(word, stems());
    let hint = if near.is_empty() {
        format!("the last migrations are {}", listed(stems().skip(migrations.len().saturating_sub(3))))
    } else {
        format!("did you mean {}?", listed(near))
    };
    Error::usage(message).with_hint(hint)
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
}
