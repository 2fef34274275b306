//! How a task ended on each of several databases: the summary.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::human_duration;

/// How a task ended on one database.
pub(crate) struct DatabaseEnd {
    pub(crate) database: String,
    pub(crate) took: Duration,
    pub(crate) end: End,
}

pub(crate) enum End {
    Done,
    Failed(String),
    /// Another one had failed, or somebody asked to stop.
    NotBegun,
}

/// The table's rows, its head first.
pub(super) fn rows(ends: &[DatabaseEnd]) -> Vec<Vec<String>> {
    let bold = Style::new().bold();
    let mut rows = vec![["DATABASE", "OUTCOME", "TOOK", "ERROR"].map(|title| format!("{bold}{title}{bold:#}")).to_vec()];
    rows.extend(ends.iter().map(|DatabaseEnd { database, took, end }| {
        let (color, outcome, error) = match end {
            End::Done => (AnsiColor::Green, "done", ""),
            // One line: the whole text was told when it happened.
            End::Failed(error) => (AnsiColor::Red, "failed", error.lines().next().unwrap_or_default()),
            End::NotBegun => (AnsiColor::Yellow, "not begun", ""),
        };
        let color = color.on_default();
        let took = if matches!(end, End::NotBegun) { String::new() } else { human_duration(*took) };
        vec![database.clone(), format!("{color}{outcome}{color:#}"), took, crate::terminal::scrub(error)]
    }));
    rows
}

pub(super) fn json(ends: &[DatabaseEnd]) -> Value {
    let databases: Vec<Value> = ends
        .iter()
        .map(|DatabaseEnd { database, took, end }| {
            let (outcome, error) = match end {
                End::Done => ("done", None),
                End::Failed(error) => ("failed", Some(crate::terminal::scrub(error))),
                End::NotBegun => ("not_begun", None),
            };
            json!({ "database": database, "outcome": outcome, "duration_ms": super::json::millis(*took), "error": error })
        })
        .collect();
    json!({ "event": "databases", "databases": databases })
}
