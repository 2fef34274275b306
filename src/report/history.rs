//! The log of a database: the result of `history`.

use std::collections::HashMap;
use std::time::Duration;

use anstyle::AnsiColor;
use mongodb::bson::{Bson, Document};
use serde_json::{Map, Value, json};

use super::text::human_time;
use super::{Report, Said, effects, failures, human_duration, table};
use crate::model::extended_json;
use crate::model::file_name::stem;
use crate::store::effects as stored;

/// A database's log.
pub(crate) struct History<'a> {
    pub(crate) database: &'a str,
    /// The migration that it is about, if it is about one.
    pub(crate) migration: Option<&'a str>,
    /// The events as they are stored, oldest first.
    pub(crate) events: &'a [Document],
    /// The run that has the lock now.
    pub(crate) at_work: Option<&'a str>,
}

/// The column of the commit.
const COMMIT: usize = 6;

/// How much of a commit's name is shown.
const SHORT: usize = 9;

impl Report for History<'_> {
    /// One row for each migration that was begun, oldest first.
    fn table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![table::head(["WHEN", "SUBTASK", "NAME", "OUTCOME", "TOOK", "WHO", "COMMIT", "ERROR"])];
        // The end of each migration, by run and name.
        let mut ends: HashMap<(&str, &str), &Document> = HashMap::new();
        for event in self.events.iter().filter(|event| text(event, "event") == "migration_ended") {
            ends.insert((text(event, "run"), text(event, "name")), event);
        }
        for start in self.events.iter().filter(|event| text(event, "event") == "migration_started") {
            let end = ends.get(&(text(start, "run"), text(start, "name"))).copied();
            rows.push(self.row(start, end));
        }
        // Where the sources are in no repository, no row has one.
        if rows.iter().skip(1).all(|row| row[COMMIT].is_empty()) {
            rows.iter_mut().for_each(|row| {
                row.remove(COMMIT);
            });
        }
        rows
    }

    /// What one migration did when it last ended.
    fn details(&self) -> Vec<Vec<String>> {
        match self.events.iter().rfind(|event| text(event, "event") == "migration_ended") {
            Some(end) if self.migration.is_some() => effects::rows(&stored::read(end)),
            _ => Vec::new(),
        }
    }

    /// One document with every event, as it is stored.
    fn json(&self) -> Value {
        let events: Vec<Value> = self.events.iter().map(event_json).collect();
        json!({ "database": self.database, "events": events })
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        if self.migration.is_some() {
            let end = self.events.iter().rfind(|event| text(event, "event") == "migration_ended");
            end.map(stored::read).unwrap_or_default().notes.iter().for_each(|note| say(Said::Note(note)));
            end.map(failures::texts).unwrap_or_default().iter().for_each(|text| say(Said::Note(text)));
        }
        if !self.events.iter().any(|event| text(event, "event") == "migration_started") {
            let message = match self.migration {
                None => format!("nothing was run on {} yet", self.database),
                Some(migration) => format!("the log of {} has nothing about {migration}", self.database),
            };
            say(Said::Status { verb: "History", message: &message });
        }
    }
}

impl History<'_> {
    fn row(&self, start: &Document, end: Option<&Document>) -> Vec<String> {
        let outcome = match end.map(|end| text(end, "outcome")) {
            Some(outcome) => outcome,
            None if self.at_work == Some(text(start, "run")) => "running",
            None => "interrupted",
        };
        let color = match outcome {
            "done" => AnsiColor::Green.on_default(),
            "running" | "aborted" => AnsiColor::Yellow.on_default(),
            _ => AnsiColor::Red.on_default(),
        };
        let took = end.and_then(|end| end.get_i64("duration_ms").ok()).and_then(|ms| u64::try_from(ms).ok());
        // The table has room for one line; the JSON has the complete text.
        let error = end.map_or("", |end| text(end, "error")).lines().next().unwrap_or_default();
        vec![
            start.get_datetime("at").map(|at| human_time(*at)).unwrap_or_default(),
            text(start, "subtask").to_owned(),
            stem(text(start, "name")).to_owned(),
            format!("{color}{outcome}{color:#}"),
            took.map(|ms| human_duration(Duration::from_millis(ms))).unwrap_or_default(),
            format!("{}@{}", text(start, "who"), text(start, "where")),
            commit(start),
            error.to_owned(),
        ]
    }
}

/// The start of the commit's name, and whether the working tree had changes.
fn commit(start: &Document) -> String {
    let commit: String = text(start, "commit").chars().take(SHORT).collect();
    if start.get_bool("dirty").unwrap_or(false) { format!("{commit} (dirty)") } else { commit }
}

fn event_json(event: &Document) -> Value {
    let fields = event.iter().map(|(key, value)| {
        let value = match value {
            Bson::DateTime(_) => time(Some(value)).into(),
            Bson::Int64(number) => (*number).into(),
            other => extended_json::relaxed(other.clone()),
        };
        (key.clone(), value)
    });
    Value::Object(fields.collect::<Map<_, _>>())
}

fn text<'d>(event: &'d Document, key: &str) -> &'d str {
    event.get_str(key).unwrap_or_default()
}

fn time(value: Option<&Bson>) -> Option<String> {
    value?.as_datetime()?.try_to_rfc3339_string().ok()
}
