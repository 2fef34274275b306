//! Finding a migration by what people call it: file name, stem or number.

use crate::error::Error;
use crate::line::listed;
use crate::migration::Migration;
use crate::model::file_name;

/// Returns the migration that `word` names. The error for an ambiguous or unknown name lists what may have been meant.
pub(crate) fn find<'m>(migrations: &'m [Migration], word: &str) -> Result<&'m Migration, Error> {
    let named: Vec<_> = migrations.iter().filter(|migration| names(migration, word)).collect();
    match named[..] {
        [migration] => Ok(migration),
        [] => Err(unknown(migrations, word)),
        _ => {
            let stems = listed(named.iter().map(|migration| migration.stem()));
            let message = format!("`{word}` names {} migrations: {stems}", named.len());
            Err(Error::usage(message).with_hint("give the full name"))
        }
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
    if migrations.is_empty() {
        return Error::usage(format!("there is no migration `{word}`: there are no migration files"))
            .with_hint("write one with `cargo migrations new:NAME`");
    }
    let stems = || migrations.iter().map(Migration::stem);
    let near = nearest(word, stems());
    let hint = if near.is_empty() {
        format!("the last migrations are {}", listed(stems().skip(migrations.len().saturating_sub(3))))
    } else {
        format!("the most similar names are {}", listed(near))
    };
    Error::usage(format!("there is no migration `{word}`")).with_hint(hint)
}

/// Returns the names that are most similar to `word`, best first, three at most.
pub(crate) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let word = file_name::stem(word);
    let mut near: Vec<_> = names
        .into_iter()
        .map(|name| {
            let likeness = strsim::jaro_winkler(word, name);
            (if name.contains(word) { likeness.max(0.9) } else { likeness }, name)
        })
        .filter(|(likeness, _)| *likeness > 0.87)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrations() -> Vec<Migration> {
        ["0001_create_posts", "0002_slugs", "2_notes", "0010_create_users"]
            .into_iter()
            .map(|stem| Migration::new(format!("{stem}.rs"), async |_: &crate::Db| Ok::<_, Error>(())))
            .collect()
    }

    /// The stem that was found, or the error's message and hint.
    fn found(word: &str) -> Result<String, [String; 2]> {
        find(&migrations(), word)
            .map(|migration| migration.stem().to_owned())
            .map_err(|error| [error.to_string(), error.hint().unwrap_or_default().to_owned()])
    }

    #[track_caller]
    fn assert_not_found(word: &str, message: &str, hint: &str) {
        assert_eq!(found(word), Err([message.to_owned(), hint.to_owned()]));
    }

    #[test]
    fn by_file_name_stem_and_number() {
        for word in ["0001_create_posts.rs", "0001_create_posts", "0001", "1", "00000001"] {
            assert_eq!(found(word).as_deref(), Ok("0001_create_posts"), "{word}");
        }
    }

    #[test]
    fn an_ambiguous_number_lists_the_migrations_that_have_it() {
        assert_not_found("2", "`2` names 2 migrations: `0002_slugs`, `2_notes`", "give the full name");
    }

    #[test]
    fn an_unknown_name_lists_the_nearest() {
        assert_not_found("0002_slug", "there is no migration `0002_slug`", "the most similar names are `0002_slugs`");
        assert_not_found("users", "there is no migration `users`", "the most similar names are `0010_create_users`");
        assert_not_found(
            "zzz",
            "there is no migration `zzz`",
            "the last migrations are `0002_slugs`, `2_notes`, `0010_create_users`",
        );
    }
}
