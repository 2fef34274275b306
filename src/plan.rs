//! From the migration files and the registry to what is to be done. Pure: nothing here talks to a server.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::file_name;
use crate::file_name::stem;
use crate::line::listed;
use crate::migration::Migration;
use crate::registry::Entry;
use crate::status::{Row, State};

/// The registry's entries by stem; of several with one stem (migopy left such), the one that knows most.
struct Registered<'a>(BTreeMap<&'a str, &'a Entry>);

impl<'a> Registered<'a> {
    fn new(entries: &'a [Entry]) -> Self {
        let mut by_stem: BTreeMap<&str, &Entry> = BTreeMap::new();
        for entry in entries {
            let known = by_stem.entry(stem(&entry.name)).or_insert(entry);
            if known.registered_at.is_none() {
                *known = entry;
            }
        }
        Self(by_stem)
    }

    fn get(&self, migration: &Migration) -> Option<&'a Entry> {
        self.0.get(migration.stem()).copied()
    }
}

/// Every migration, on file or registered, in order of number, then name.
pub(crate) fn status<'a>(migrations: &'a [Migration], entries: &'a [Entry]) -> Vec<Row<'a>> {
    let mut registered = Registered::new(entries);
    let mut rows: Vec<Row<'a>> = migrations
        .iter()
        .map(|migration| {
            let entry = registered.0.remove(migration.stem());
            Row {
                name: migration.name(),
                number: migration.number(),
                state: match entry {
                    Some(entry) if entry.ignored => State::Ignored,
                    Some(_) => State::Registered,
                    None => State::Unregistered,
                },
                registered_at: entry.and_then(|entry| entry.registered_at),
                duration: entry.and_then(|entry| entry.duration),
                description: migration.description(),
            }
        })
        .collect();
    rows.extend(registered.0.into_values().map(|entry| Row {
        name: &entry.name,
        number: entry.number(),
        state: State::Missing,
        registered_at: entry.registered_at,
        duration: entry.duration,
        description: None,
    }));
    rows.sort_by(|a, b| file_name::compare(a.number, b.number).then_with(|| a.name.cmp(b.name)));
    rows
}

/// The unregistered migrations, in order.
pub(crate) fn unregistered<'m>(migrations: &'m [Migration], entries: &[Entry]) -> Vec<&'m Migration> {
    let registered = Registered::new(entries);
    migrations.iter().filter(|migration| registered.get(migration).is_none()).collect()
}

/// That one migration, which must not be registered.
pub(crate) fn one_unregistered<'m>(migration: &'m Migration, entries: &[Entry]) -> Result<&'m Migration, Error> {
    match Registered::new(entries).get(migration) {
        None => Ok(migration),
        Some(entry) => Err(Error::usage(format!(
            "{name} is registered already{when}; `cargo migrations rollback:{name}` undoes it first",
            name = migration.stem(),
            when = entry
                .registered_at
                .map(|at| format!(" (since {})", at.try_to_rfc3339_string().unwrap_or_default()))
                .unwrap_or_default(),
        ))),
    }
}

/// The names under which a migration is registered: what its rollback deletes.
pub(crate) fn registered_names<'e>(migration: &Migration, entries: &'e [Entry]) -> Result<Vec<&'e str>, Error> {
    let names: Vec<_> =
        entries.iter().map(|entry| entry.name.as_str()).filter(|name| stem(name) == migration.stem()).collect();
    if names.is_empty() {
        return Err(Error::usage(format!(
            "{} is not registered: there is nothing to roll back; `cargo migrations` shows what is",
            migration.stem()
        )));
    }
    Ok(names)
}

/// What to say of names that stand in the registry more than once.
pub(crate) fn duplicate_names(entries: &[Entry]) -> Vec<&str> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        *count.entry(&entry.name).or_default() += 1;
    }
    count.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}

/// One warning for each number that several files share.
pub(crate) fn shared_numbers(migrations: &[Migration]) -> Vec<String> {
    migrations
        .chunk_by(|a, b| file_name::compare(a.number(), b.number()).is_eq())
        .filter(|group| group.len() > 1)
        .map(|group| {
            format!(
                "{} share number {}; they run in order of name, which may not be what is meant: renumber what is not registered yet",
                listed(group.iter().map(Migration::stem)),
                group[0].number()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration(stem: &str) -> Migration {
        let number = stem.split_once('_').unwrap().0;
        Migration::new(&format!("{stem}.rs"), number, Some("what"), "", async |_: &crate::Db| Ok::<_, Error>(()))
    }

    fn entry(name: &str) -> Entry {
        Entry { name: name.into(), ..Entry::default() }
    }

    fn states(migrations: &[Migration], entries: &[Entry]) -> Vec<(String, State)> {
        status(migrations, entries).into_iter().map(|row| (row.name.to_owned(), row.state)).collect()
    }

    #[test]
    fn the_stem_decides_what_is_registered() {
        let migrations = [migration("001_test"), migration("002_more")];
        let entries = [entry("001_test.py")];
        assert_eq!(
            states(&migrations, &entries),
            [("001_test.rs".into(), State::Registered), ("002_more.rs".into(), State::Unregistered)]
        );
        assert_eq!(unregistered(&migrations, &entries)[0].stem(), "002_more");
    }

    #[test]
    fn what_has_no_file_is_missing_in_its_place() {
        let migrations = [migration("1_a"), migration("3_c")];
        let entries = [entry("2_b.py"), Entry { ignored: true, ..entry("3_c.rs") }];
        assert_eq!(
            states(&migrations, &entries),
            [("1_a.rs".into(), State::Unregistered), ("2_b.py".into(), State::Missing), ("3_c.rs".into(), State::Ignored)]
        );
    }

    #[test]
    fn a_registered_one_is_not_executed_by_name() {
        let migration = migration("1_a");
        assert!(one_unregistered(&migration, &[]).is_ok());
        let error = one_unregistered(&migration, &[entry("1_a.py")]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(error.to_string(), "1_a is registered already; `cargo migrations rollback:1_a` undoes it first");
    }

    #[test]
    fn a_rollback_takes_every_document_of_the_stem() {
        let entries = [entry("1_a.py"), entry("1_a.rs"), entry("2_b.rs")];
        assert_eq!(registered_names(&migration("1_a"), &entries).unwrap(), ["1_a.py", "1_a.rs"]);
        assert_eq!(registered_names(&migration("9_z"), &entries).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn duplicates_and_shared_numbers_are_told() {
        assert_eq!(duplicate_names(&[entry("1_a.py"), entry("2_b.py"), entry("1_a.py")]), ["1_a.py"]);
        let warnings = shared_numbers(&[migration("1_a"), migration("01_b"), migration("2_c")]);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("`1_a`, `01_b` share number 1;"), "{}", warnings[0]);
    }
}
