//! What a migration did, as the log has it.

use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};

use crate::model::{Counts, Effect, Effects};
use crate::terminal;

/// The fields of a migration's end that say what it did. Counts of nothing are left out.
pub(super) fn document(effects: &Effects) -> Document {
    let mut document = Document::new();
    if !effects.rows.is_empty() {
        document.insert("effects", effects.rows.iter().map(row).collect::<Vec<_>>());
    }
    if effects.further_commands > 0 {
        document.insert("further_commands", int(effects.further_commands));
    }
    if !effects.notes.is_empty() {
        document.insert("notes", effects.notes.iter().map(|note| terminal::scrub(note)).collect::<Vec<_>>());
    }
    document
}

fn row(effect: &Effect) -> Document {
    let Effect { command, collection, counts, filter } = effect;
    let mut row = doc! { "command": command, "collection": collection };
    for (key, count) in numbers(counts).into_iter().filter(|(_, count)| *count > 0) {
        row.insert(key, int(count));
    }
    row.insert("duration_ms", i64::try_from(counts.took.as_millis()).unwrap_or(i64::MAX));
    if !filter.is_empty() {
        row.insert("filter", filter.iter().collect::<Vec<_>>());
    }
    row
}

fn numbers(counts: &Counts) -> [(&'static str, u64); 5] {
    let Counts { commands, matched, modified, inserted, deleted, took: _ } = *counts;
    [("commands", commands), ("matched", matched), ("modified", modified), ("inserted", inserted), ("deleted", deleted)]
}

fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What the end of a migration in the log says that it did. What is not of the form that we write is passed over.
pub(crate) fn read(event: &Document) -> Effects {
    let strings = |document: &Document, key: &str| -> Vec<String> {
        let values = document.get_array(key).map(Vec::as_slice).unwrap_or_default();
        values.iter().filter_map(Bson::as_str).map(str::to_owned).collect()
    };
    let count = |document: &Document, key: &str| document.get_i64(key).ok().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    let rows = event.get_array("effects").map(Vec::as_slice).unwrap_or_default();
    let row = |row: &Document| {
        let counts = Counts {
            commands: count(row, "commands"),
            matched: count(row, "matched"),
            modified: count(row, "modified"),
            inserted: count(row, "inserted"),
            deleted: count(row, "deleted"),
            took: Duration::from_millis(count(row, "duration_ms")),
        };
        let text = |key| row.get_str(key).unwrap_or_default().to_owned();
        let filter = strings(row, "filter").into_iter().collect();
        Effect { command: text("command"), collection: text("collection"), counts, filter }
    };
    Effects {
        rows: rows.iter().filter_map(Bson::as_document).map(row).collect(),
        further_commands: count(event, "further_commands"),
        notes: strings(event, "notes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let counts = Counts { commands: 3, matched: 20, modified: 19, took: Duration::from_millis(70), ..Counts::default() };
        let filter = ["email".to_owned()].into();
        let row = Effect { command: "update".into(), collection: "users".into(), counts, filter };
        let effects = Effects { rows: vec![row], further_commands: 4, notes: vec!["19 users".into()] };
        assert_eq!(read(&document(&effects)), effects);
        assert!(document(&Effects::default()).is_empty());
        let strange = doc! { "effects": 7, "notes": [1], "further_commands": "x" };
        assert_eq!(read(&strange), Effects::default());
    }

    #[test]
    fn notes_are_kept_without_passwords() {
        let effects = Effects { notes: vec!["copied from mongodb://u:hush@h/".into()], ..Effects::default() };
        assert_eq!(document(&effects).get_array("notes").unwrap(), &[Bson::from("copied from mongodb://***@h/")]);
    }
}
