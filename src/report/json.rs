//! For programs: one JSON document, or one JSON line per event, on stdout. Nothing else goes there.

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mongodb::bson::DateTime;
use serde_json::{Value, json};

use super::{Event, Outcome, Sink, Subject, Task, Unit, databases, dumps, history};
use crate::error::describe::describe;
use crate::model::state::Row;
use crate::model::verb::Verb;
use crate::terminal;

/// How often a task's progress makes an event, its end apart.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Json {
    quiet: bool,
    /// The database, where there are several: then every line has it.
    label: Option<String>,
}

impl Json {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, label: None }
    }

    fn print(&self, mut value: Value) {
        if let Some(label) = &self.label {
            value["database"] = label.as_str().into();
        }
        print(&value);
    }

    fn labelled<'m>(&self, message: &'m str) -> Cow<'m, str> {
        match &self.label {
            Some(label) => format!("{label}: {message}").into(),
            None => message.into(),
        }
    }
}

impl Sink for Json {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::RunStarted { verb, database, total } => self.print(json!({
                "event": "run_started", "subtask": verb.as_str(), "database": database, "migrations": total,
            })),
            Event::MigrationStarted { verb, migration, .. } => self.print(about("migration_started", verb, migration)),
            Event::MigrationDone { verb, migration, took } => {
                let name = match verb {
                    Verb::Execute => "migration_executed",
                    Verb::Ignore => "migration_ignored",
                    Verb::Rollback => "migration_rolled_back",
                };
                let mut value = about(name, verb, migration);
                value["duration_ms"] = millis(took);
                self.print(value);
            }
            Event::MigrationFailed { verb, migration, took, error } => {
                let mut value = about("migration_failed", verb, migration);
                value["duration_ms"] = millis(took);
                value["error"] = terminal::scrub(error).into();
                self.print(value);
            }
            Event::RunEnded { verb, database, done, took, outcome } => {
                self.print(run_ended(verb, database, done, took, outcome));
            }
            Event::NothingToDo { verb, database } => {
                self.print(run_ended(verb, database, 0, Duration::ZERO, Outcome::Done));
            }
            Event::Status(of) => self.print(status(of.database, of.rows)),
            Event::History(of) => self.print(history::json(of)),
            Event::Dumps(of) => self.print(dumps::json(of)),
            Event::Step { verb, message } => {
                if !self.quiet {
                    terminal::status(verb, &self.labelled(message));
                }
            }
            Event::Notice { verb, message } => terminal::status(verb, &self.labelled(message)),
            Event::Warning(message) => terminal::warning(&self.labelled(message)),
            Event::Note(message) => {
                if !self.quiet {
                    terminal::note(&self.labelled(message));
                }
            }
            Event::Hint(message) => {
                if !self.quiet {
                    terminal::hint(&self.labelled(message));
                }
            }
            Event::Failure(error) => terminal::error_of(self.label.as_deref(), error, describe),
            Event::Databases(ends) => self.print(databases::json(ends)),
            Event::Text(text) => self.print(json!({ "event": "text", "text": terminal::scrub(text) })),
        }
    }

    fn for_database(&self, name: &str) -> Arc<dyn Sink> {
        Arc::new(Self { quiet: self.quiet, label: Some(name.to_owned()) })
    }

    fn progress(&self, total: u64, unit: Unit) -> Box<dyn Task> {
        Box::new(Lines { label: self.label.clone(), total, unit, state: Mutex::new((None, String::new())) })
    }
}

struct Lines {
    label: Option<String>,
    total: u64,
    unit: Unit,
    state: Mutex<(Option<Instant>, String)>,
}

impl Task for Lines {
    fn position(&self, position: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.is_some_and(|last| last.elapsed() < PROGRESS_EVERY) && position != self.total {
            return;
        }
        state.0 = Some(Instant::now());
        let mut value =
            json!({ "event": "progress", "position": position, "total": self.total, "message": terminal::scrub(&state.1) });
        if self.unit == Unit::Bytes {
            value["unit"] = "bytes".into();
        }
        if let Some(label) = &self.label {
            value["database"] = label.as_str().into();
        }
        print(&value);
    }

    fn message(&self, message: &str) {
        message.clone_into(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).1);
    }
}

fn print(value: &Value) {
    // A reader that went away is no error of ours.
    let _ = writeln!(std::io::stdout().lock(), "{value}");
}

fn about(event: &str, verb: Verb, migration: Subject<'_>) -> Value {
    json!({ "event": event, "subtask": verb.as_str(), "name": migration.name, "number": migration.number })
}

fn run_ended(verb: Verb, database: &str, done: usize, took: Duration, outcome: Outcome) -> Value {
    let outcome = match outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Interrupted => "interrupted",
    };
    json!({
        "event": "run_ended", "subtask": verb.as_str(), "database": database, "outcome": outcome,
        "migrations": done, "duration_ms": millis(took),
    })
}

pub(super) fn millis(duration: Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}

fn status(database: &str, rows: &[Row<'_>]) -> Value {
    let migrations: Vec<_> = rows
        .iter()
        .map(|row| {
            let mut value = json!({
                "name": row.name,
                "number": row.number,
                "state": row.state.as_str(),
                "registered_at": row.registered_at.map(DateTime::try_to_rfc3339_string).and_then(Result::ok),
                "description": row.description,
            });
            // Only where there is something to say.
            for (key, is) in
                [("changed", row.is_changed), ("out_of_order", row.is_out_of_order), ("running", row.is_under_way)]
            {
                if is {
                    value[key] = true.into();
                }
            }
            value
        })
        .collect();
    let unregistered = rows.iter().filter(|row| row.state.is_open()).count();
    json!({ "database": database, "migrations": migrations, "unregistered": unregistered })
}
