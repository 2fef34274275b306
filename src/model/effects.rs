//! What a migration did in the database, as its commands say.

use std::collections::BTreeSet;
use std::time::Duration;

/// How many rows are kept for one migration.
const ROWS: usize = 100;

/// How many notes are kept for one migration.
const NOTES: usize = 100;

/// How many keys of filters are kept for one row.
const KEYS: usize = 20;

/// What a migration did: a row for each kind of command and collection, and its notes. There are names, counts and times in it, and
/// never a value of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// In the order in which they first occurred.
    pub(crate) rows: Vec<Effect>,
    /// How many commands are in no row, because there are too many rows.
    pub(crate) further_commands: u64,
    /// What the migration said with `note`.
    pub(crate) notes: Vec<String>,
}

/// The commands of one kind on one collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// As the server names it: `update`, `createIndexes`.
    pub(crate) command: String,
    /// Empty if the command is about none. In another database than the run's: `database.collection`.
    pub(crate) collection: String,
    pub(crate) counts: Counts,
    /// The fields that the filters ask for.
    pub(crate) filter: BTreeSet<String>,
}

/// Counts of one or more commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) commands: u64,
    /// Documents that an update's filter found.
    pub(crate) matched: u64,
    pub(crate) modified: u64,
    pub(crate) inserted: u64,
    pub(crate) deleted: u64,
    /// The time until the server answered, added up. Commands that ran side by side each count.
    pub(crate) took: Duration,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.commands += other.commands;
        self.matched += other.matched;
        self.modified += other.modified;
        self.inserted += other.inserted;
        self.deleted += other.deleted;
        self.took += other.took;
    }
}

impl Effects {
    /// Adds a command that has ended.
    pub(crate) fn add(&mut self, command: &str, collection: &str, filter: BTreeSet<String>, counts: Counts) {
        let place = self.rows.iter().position(|row| row.command == command && row.collection == collection);
        let place = place.unwrap_or(self.rows.len());
        if place == ROWS {
            self.further_commands += counts.commands;
            return;
        }
        if place == self.rows.len() {
            let (command, collection) = (command.to_owned(), collection.to_owned());
            self.rows.push(Effect { command, collection, ..Effect::default() });
        }
        let row = &mut self.rows[place];
        row.counts.add(counts);
        let room = KEYS.saturating_sub(row.filter.len());
        row.filter.extend(filter.into_iter().take(room));
    }

    /// Adds a note, unless there are too many.
    pub(crate) fn note(&mut self, text: &str) {
        if self.notes.len() < NOTES {
            self.notes.push(text.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn commands_of_one_kind_on_one_collection_are_one_row() {
        let mut effects = Effects::default();
        let one = Counts { commands: 1, matched: 2, modified: 1, took: Duration::from_millis(3), ..Counts::default() };
        effects.add("update", "users", keys(&["email"]), one);
        effects.add("update", "users", keys(&["_id"]), one);
        effects.add("update", "notes", keys(&[]), one);
        let row = &effects.rows[0];
        assert_eq!((row.counts.commands, row.counts.matched, row.counts.modified), (2, 4, 2));
        assert_eq!((row.counts.took, &row.filter), (Duration::from_millis(6), &keys(&["_id", "email"])));
        assert_eq!(effects.rows.len(), 2);
    }

    #[test]
    fn rows_keys_and_notes_are_bounded() {
        let mut effects = Effects::default();
        let one = Counts { commands: 1, ..Counts::default() };
        for number in 0..150 {
            effects.add("insert", &format!("c{number}"), BTreeSet::new(), one);
            effects.add("find", "c", keys(&[&format!("k{number}")]), one);
            effects.note("said");
        }
        assert_eq!((effects.rows.len(), effects.further_commands, effects.notes.len()), (100, 51, 100));
        assert_eq!(effects.rows[1].filter.len(), 20);
    }
}
