//! For programs: one JSON document, or one JSON line per event, on stdout. Nothing else goes there.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::progress::Pace;
use super::said::Stderr;
use super::{About, Event, Outcome, Sink, Tally, Task, Unit};
use crate::model::Direction;
use crate::terminal::{self, stdout};

/// How often the progress of a task makes an event. Its end makes one more.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Json {
    stderr: Stderr,
}

impl Json {
    pub(super) fn new(quiet: bool) -> Self {
        Self { stderr: Stderr::new(quiet, None) }
    }

    fn print(&self, value: Value) {
        print(self.stderr.label(), value);
    }
}

impl Sink for Json {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::RunStarted { subtask, database, total } => self.print(json!({
                "event": "run_started", "subtask": subtask, "database": database, "migrations": total,
            })),
            Event::MigrationStarted { about, .. } => self.print(step("migration_started", &about)),
            Event::MigrationDone { about, took } => {
                let name = match about.direction {
                    Direction::Up => "migration_executed",
                    Direction::Ignore => "migration_ignored",
                    Direction::Down => "migration_rolled_back",
                    Direction::Accept => "migration_accepted",
                    Direction::Forget => "migration_forgotten",
                };
                let mut value = step(name, &about);
                value["duration_ms"] = millis(took);
                self.print(value);
            }
            Event::MigrationFailed { about, took, error, hint } => {
                let mut value = step("migration_failed", &about);
                value["duration_ms"] = millis(took);
                value["error"] = terminal::scrub(error).into();
                value["hint"] = hint.map(terminal::scrub).into();
                self.print(value);
            }
            Event::RunEnded { subtask, database, done, took, outcome, .. } => {
                self.print(run_ended(subtask, database, done, took, outcome));
            }
            Event::NothingToDo { subtask, database, .. } => {
                self.print(run_ended(subtask, database, Tally::default(), Duration::ZERO, Outcome::Done));
            }
            Event::Said(ref said) => self.stderr.say(said),
            Event::Report(report) => {
                self.print(report.json());
                report.say(&mut |said| self.stderr.say(&said));
            }
            Event::Text(text) => self.print(json!({ "event": "text", "text": terminal::scrub(text) })),
        }
    }

    fn for_database(&self, name: &str) -> Arc<dyn Sink> {
        Arc::new(Self { stderr: self.stderr.for_database(name) })
    }

    fn progress(&self, total: u64, unit: Unit) -> Box<dyn Task> {
        let label = self.stderr.label().map(str::to_owned);
        Box::new(Lines { label, total, unit, state: Mutex::new((Pace::at_once(PROGRESS_EVERY), String::new())) })
    }
}

struct Lines {
    label: Option<String>,
    total: u64,
    unit: Unit,
    /// When the next event is due, and the message.
    state: Mutex<(Pace, String)>,
}

impl Task for Lines {
    fn position(&self, position: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.0.is_due(position, self.total) {
            return;
        }
        let mut value =
            json!({ "event": "progress", "position": position, "total": self.total, "message": terminal::scrub(&state.1) });
        if self.unit == Unit::Bytes {
            value["unit"] = "bytes".into();
        }
        print(self.label.as_deref(), value);
    }

    fn message(&self, message: &str) {
        message.clone_into(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).1);
    }
}

/// One line. If there are several databases, it says which.
fn print(database: Option<&str>, mut value: Value) {
    if let Some(database) = database {
        value["database"] = database.into();
    }
    let mut out = std::io::stdout().lock();
    stdout::note(writeln!(out, "{value}").and_then(|()| out.flush()));
}

fn step(event: &str, about: &About<'_>) -> Value {
    let About { subtask, migration, .. } = about;
    json!({ "event": event, "subtask": subtask, "name": migration.name, "number": migration.number })
}

fn run_ended(subtask: &str, database: &str, done: Tally, took: Duration, outcome: Outcome) -> Value {
    let outcome = match outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Interrupted => "interrupted",
    };
    json!({
        "event": "run_ended", "subtask": subtask, "database": database, "outcome": outcome,
        "migrations": done.total(), "duration_ms": millis(took),
    })
}

pub(super) fn millis(duration: Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}
