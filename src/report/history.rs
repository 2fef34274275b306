//! The log, as a table and as JSON.

use std::collections::HashMap;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use mongodb::bson::{Bson, Document};
use serde_json::{Map, Value, json};

use super::status::short_time;
use super::{HistoryOf, human_duration};
use crate::model::file_name::stem;

/// The table's rows, its head first: one for each migration that was begun, oldest first.
pub(super) fn rows(history: &HistoryOf<'_>) -> Vec<Vec<String>> {
    let bold = Style::new().bold();
    let head = ["WHEN", "SUBTASK", "NAME", "OUTCOME", "TOOK", "WHO", "ERROR"];
    let mut rows = vec![head.map(|title| format!("{bold}{title}{bold:#}")).to_vec()];
    // The end of each, by run and migration.
    let mut ends: HashMap<(&str, &str), &Document> = HashMap::new();
    for event in history.events.iter().filter(|event| text(event, "event") == "migration_ended") {
        ends.insert((text(event, "run"), text(event, "name")), event);
    }
    for start in history.events.iter().filter(|event| text(event, "event") == "migration_started") {
        let run = text(start, "run");
        let end = ends.get(&(run, text(start, "name"))).copied();
        let outcome = match end.map(|end| text(end, "outcome")) {
            Some(outcome) => outcome,
            None if history.at_work == Some(run) => "running",
            None => "interrupted",
        };
        let color = match outcome {
            "done" => AnsiColor::Green.on_default(),
            "running" | "aborted" => AnsiColor::Yellow.on_default(),
            _ => AnsiColor::Red.on_default(),
        };
        let took = end.and_then(|end| end.get_i64("duration_ms").ok()).and_then(|ms| u64::try_from(ms).ok());
        // One line: the whole text is in the JSON.
        let error = end.map_or("", |end| text(end, "error")).lines().next().unwrap_or_default();
        rows.push(vec![
            time(start.get("at")).map(|at| short_time(&at)).unwrap_or_default(),
            text(start, "subtask").to_owned(),
            stem(text(start, "name")).to_owned(),
            format!("{color}{outcome}{color:#}"),
            took.map(|ms| human_duration(Duration::from_millis(ms))).unwrap_or_default(),
            format!("{}@{}", text(start, "who"), text(start, "where")),
            error.to_owned(),
        ]);
    }
    rows
}

/// One document with every event, as it is stored.
pub(super) fn json(history: &HistoryOf<'_>) -> Value {
    let events: Vec<Value> = history.events.iter().map(event).collect();
    json!({ "database": history.database, "events": events })
}

fn event(event: &Document) -> Value {
    let fields = event.iter().map(|(key, value)| {
        let value = match value {
            Bson::DateTime(_) => time(Some(value)).into(),
            Bson::Int64(number) => (*number).into(),
            other => other.clone().into_relaxed_extjson(),
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
