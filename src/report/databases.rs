//! How a task ended on each of several databases: the summary.

use std::time::Duration;

use anstyle::AnsiColor;
use serde_json::{Value, json};

use super::text::millis;
use super::{Report, human_duration, table};
use crate::model::EventName;
use crate::terminal;

/// How a task ended on each of several databases.
pub(crate) struct Databases {
    pub(crate) ends: Vec<DatabaseEnd>,
}

/// How a task ended on one database.
pub(crate) struct DatabaseEnd {
    pub(crate) database: String,
    pub(crate) took: Duration,
    pub(crate) end: End,
}

pub(crate) enum End {
    Done,
    Failed(String),
    /// Another database had failed, or the run was asked to stop.
    NotBegun,
}

impl Report for Databases {
    fn table(&self) -> Vec<Vec<String>> {
        let mut rows = vec![table::head(["DATABASE", "OUTCOME", "TOOK", "ERROR"])];
        rows.extend(self.ends.iter().map(|DatabaseEnd { database, took, end }| {
            let (color, outcome, error) = match end {
                End::Done => (AnsiColor::Green, "done", ""),
                // The table has room for one line; the complete text was printed when it happened.
                End::Failed(error) => (AnsiColor::Red, "failed", error.lines().next().unwrap_or_default()),
                End::NotBegun => (AnsiColor::Yellow, "not begun", ""),
            };
            let color = color.on_default();
            let took = if matches!(end, End::NotBegun) { String::new() } else { human_duration(*took) };
            vec![database.clone(), format!("{color}{outcome}{color:#}"), took, terminal::scrub(error)]
        }));
        rows
    }

    fn json(&self) -> Value {
        let databases: Vec<Value> = self
            .ends
            .iter()
            .map(|DatabaseEnd { database, took, end }| {
                let (outcome, error) = match end {
                    End::Done => ("done", None),
                    End::Failed(error) => ("failed", Some(terminal::scrub(error))),
                    End::NotBegun => ("not_begun", None),
                };
                json!({ "database": database, "outcome": outcome, "duration_ms": millis(*took), "error": error })
            })
            .collect();
        json!({ "databases": databases })
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::Databases)
    }
}
