//! From where the migrations stand to the rows that `show_status` shows. Pure.

use super::standing::{Known, Standing};
use crate::model::{State, file_name};
use crate::report::Row;
use crate::store::Entry;

/// Every migration, on file or registered, in order of number, then name.
pub(crate) fn rows<'a>(known: &Known<'a, 'a>) -> Vec<Row<'a>> {
    let Known { files, missing, .. } = known;
    let highest = highest_registered(files, missing);
    let row = |standing: &Standing<'a, 'a>| Row {
        name: standing.migration.name(),
        number: standing.migration.number(),
        state: standing.state,
        registered_at: standing.entry().and_then(|entry| entry.registered_at),
        duration: standing.entry().and_then(|entry| entry.duration),
        description: standing.migration.description(),
        is_changed: standing.is_changed(),
        is_out_of_order: standing.entry().is_none()
            && highest.is_some_and(|highest| is_below(standing.migration.number(), highest)),
        is_under_way: standing.is_under_way,
    };
    let missing_row = |entry: &&'a Entry| Row {
        name: &entry.name,
        number: entry.number(),
        state: State::Missing,
        registered_at: entry.registered_at,
        duration: entry.duration,
        description: None,
        is_changed: false,
        is_out_of_order: false,
        is_under_way: false,
    };
    let mut rows: Vec<Row<'a>> = files.iter().map(row).chain(missing.iter().map(missing_row)).collect();
    rows.sort_by(|a, b| file_name::compare(a.number, b.number).then_with(|| a.name.cmp(b.name)));
    rows
}

/// The stems of the migrations that are neither registered nor ignored, in order.
pub(crate) fn open(known: &Known<'_, '_>) -> Vec<String> {
    let open = rows(known).into_iter().filter(|row| row.state.is_open());
    open.map(|row| file_name::stem(row.name).to_owned()).collect()
}

/// Whether a number is lower than that of an entry.
pub(super) fn is_below(number: &str, entry: &Entry) -> bool {
    file_name::compare(number, entry.number()).is_lt()
}

/// The entry with the highest number.
pub(super) fn highest_registered<'v>(files: &[Standing<'_, 'v>], missing: &[&'v Entry]) -> Option<&'v Entry> {
    let entries = files.iter().filter_map(Standing::entry).chain(missing.iter().copied());
    entries.max_by(|a, b| file_name::compare(a.number(), b.number()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::Migration;
    use crate::run::plan::tests::{entry, migration, view};
    use crate::run::standing;

    fn states(migrations: &[Migration], entries: &[Entry]) -> Vec<(String, State)> {
        let view = view(entries);
        rows(&standing::all(migrations, &view)).into_iter().map(|row| (row.name.to_owned(), row.state)).collect()
    }

    #[test]
    fn the_stem_decides_what_is_registered() {
        assert_eq!(
            states(&[migration("001_test"), migration("002_more")], &[entry("001_test.py")]),
            [("001_test.rs".into(), State::Registered), ("002_more.rs".into(), State::Unregistered)]
        );
    }

    #[test]
    fn an_entry_without_a_file_is_missing_and_stands_in_its_place() {
        let entries = [entry("2_b.py"), Entry { ignored: true, ..entry("3_c.rs") }];
        assert_eq!(
            states(&[migration("1_a"), migration("3_c")], &entries),
            [("1_a.rs".into(), State::Unregistered), ("2_b.py".into(), State::Missing), ("3_c.rs".into(), State::Ignored)]
        );
    }
}
