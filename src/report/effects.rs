//! What a migration did, for people and programs.

use serde_json::{Value, json};

use super::text::millis;
use super::{human_duration, table};
use crate::model::{Effect, Effects};
use crate::terminal;

/// A line for each kind of command and collection: `update users: 3 commands, 20 matched, 19 modified in 0.07s (by email)`
pub(super) fn sentences(effects: &Effects) -> Vec<String> {
    let mut lines: Vec<String> = effects.rows.iter().map(sentence).collect();
    if effects.further_commands > 0 {
        lines.push(further(effects));
    }
    lines
}

fn sentence(effect: &Effect) -> String {
    let Effect { command, collection, counts, filter } = effect;
    let commands = if counts.commands == 1 { "1 command".into() } else { format!("{} commands", counts.commands) };
    let done = [
        (counts.matched, "matched"),
        (counts.modified, "modified"),
        (counts.inserted, "inserted"),
        (counts.deleted, "deleted"),
    ];
    let done: String =
        done.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}")).collect();
    let keys = filter.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let by = if keys.is_empty() { String::new() } else { format!(" (by {keys})") };
    format!("{}: {commands}{done} in {}{by}", format!("{command} {collection}").trim_end(), human_duration(counts.took))
}

/// `4 further commands, of kinds or on collections beyond the first 100`
fn further(effects: &Effects) -> String {
    let count = effects.further_commands;
    let commands = if count == 1 { "command" } else { "commands" };
    format!("{count} further {commands}, of kinds or on collections beyond the first {}", effects.rows.len())
}

/// A table of it.
pub(super) fn rows(effects: &Effects) -> Vec<Vec<String>> {
    let head = ["COMMAND", "COLLECTION", "COUNT", "MATCHED", "MODIFIED", "INSERTED", "DELETED", "TOOK", "FILTER"];
    let mut rows = vec![table::head(head)];
    for Effect { command, collection, counts, filter } in &effects.rows {
        let count = |count: u64| if count == 0 { String::new() } else { count.to_string() };
        rows.push(vec![
            command.clone(),
            collection.clone(),
            count(counts.commands),
            count(counts.matched),
            count(counts.modified),
            count(counts.inserted),
            count(counts.deleted),
            human_duration(counts.took),
            filter.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
        ]);
    }
    rows
}

/// Adds the fields `effects`, `further_commands` and `notes` to an event.
pub(super) fn add_to(event: &mut Value, effects: &Effects) {
    let row = |effect: &Effect| {
        let Effect { command, collection, counts, filter } = effect;
        json!({
            "command": command, "collection": collection, "commands": counts.commands,
            "matched": counts.matched, "modified": counts.modified, "inserted": counts.inserted,
            "deleted": counts.deleted, "duration_ms": millis(counts.took), "filter": filter,
        })
    };
    event["effects"] = effects.rows.iter().map(row).collect();
    event["further_commands"] = effects.further_commands.into();
    event["notes"] = effects.notes.iter().map(|note| terminal::scrub(note)).collect();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Counts;

    #[test]
    fn a_row_is_a_sentence_without_what_is_nothing() {
        let counts = Counts { commands: 3, matched: 20, modified: 19, took: Duration::from_millis(70), ..Counts::default() };
        let filter = ["email".to_owned(), "slug".to_owned()].into();
        let update = Effect { command: "update".into(), collection: "users".into(), counts, filter };
        let counts = Counts { commands: 1, ..Counts::default() };
        let ping = Effect { command: "dbStats".into(), counts, ..Effect::default() };
        let effects = Effects { rows: vec![update, ping], further_commands: 1, ..Effects::default() };
        let lines = [
            "update users: 3 commands, 20 matched, 19 modified in 0.07s (by email, slug)",
            "dbStats: 1 command in 0.00s",
            "1 further command, of kinds or on collections beyond the first 2",
        ];
        assert_eq!(sentences(&effects), lines);
    }
}
