//! For programs: one JSON document, or one JSON line per event, on stdout. Nothing else goes there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::effects;
use super::open_runs::OpenRuns;
use super::progress::Pace;
use super::said::Stderr;
use super::text::millis;
use super::{About, Event, Outcome, Report, Sink, Tally, Task, Unit};
use crate::model::{Direction, EventName};
use crate::terminal::{self, event};

/// How often the progress of a task makes an event. Its end makes one more.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Json {
    stderr: Stderr,
    open: OpenRuns,
}

impl Json {
    pub(super) fn new(quiet: bool) -> Self {
        Self { stderr: Stderr::new(quiet, None), open: OpenRuns::default() }
    }

    fn print(&self, name: EventName, fields: Value) {
        event::print(name, self.stderr.label(), fields);
    }

    fn report(&self, report: &dyn Report) {
        let value = report.json();
        let mut lines = Vec::new();
        report.say(&mut |said| lines.extend(self.stderr.text(&said)));
        let say = move || lines.iter().for_each(|line| terminal::line(line));
        match report.event() {
            Some(name) => {
                self.print(name, value);
                say();
            }
            None => {
                let label = self.stderr.label().map(str::to_owned);
                self.stderr.in_turn(move || {
                    event::document(label.as_deref(), value);
                    say();
                });
            }
        }
    }
}

impl Sink for Json {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::RunStarted { subtask, database, total } => {
                self.open.begin(subtask, database);
                let fields = json!({ "subtask": subtask, "database": database, "migrations": total });
                self.print(EventName::RunStarted, fields);
            }
            Event::MigrationStarted { about, .. } => self.print(EventName::MigrationStarted, step(&about)),
            Event::MigrationDone { about, took, effects } => {
                let name = match about.direction {
                    Direction::Up => EventName::MigrationExecuted,
                    Direction::Ignore => EventName::MigrationIgnored,
                    Direction::Down => EventName::MigrationRolledBack,
                    Direction::Accept => EventName::MigrationAccepted,
                    Direction::Adopt => EventName::MigrationAdopted,
                    Direction::Forget => EventName::MigrationForgotten,
                };
                self.open.done(self.stderr.label(), about.direction);
                let mut fields = step(&about);
                fields["duration_ms"] = millis(took);
                if about.direction.runs_code() {
                    effects::add_to(&mut fields, effects);
                }
                self.print(name, fields);
            }
            Event::MigrationFailed { about, took, error, hint, effects } => {
                let mut fields = step(&about);
                fields["duration_ms"] = millis(took);
                fields["error"] = terminal::scrub(error).into();
                fields["hint"] = hint.map(terminal::scrub).into();
                effects::add_to(&mut fields, effects);
                self.print(EventName::MigrationFailed, fields);
            }
            Event::RunEnded { subtask, database, done, took, outcome, .. } => {
                self.open.end(database);
                self.print(EventName::RunEnded, run_ended(subtask, database, done, took, outcome));
            }
            Event::NothingToDo { subtask, database, .. } => {
                let fields = run_ended(subtask, database, Tally::default(), Duration::ZERO, Outcome::Done);
                self.print(EventName::RunEnded, fields);
            }
            Event::Said(ref said) => self.stderr.say(said),
            Event::Report(report) => self.report(report),
            Event::Text(text) => self.print(EventName::Text, json!({ "text": terminal::scrub(text) })),
        }
    }

    fn for_database(&self, name: &str) -> Arc<dyn Sink> {
        Arc::new(Self { stderr: self.stderr.for_database(name), open: self.open.clone() })
    }

    fn end_of_database(&self) {
        self.stderr.end_turn();
    }

    fn close(&self) {
        for run in self.open.take() {
            let fields = run_ended(run.subtask, &run.database, run.done, run.took(), Outcome::Interrupted);
            event::print(EventName::RunEnded, None, fields);
        }
        self.stderr.close();
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
        let mut fields = json!({ "position": position, "total": self.total, "message": terminal::scrub(&state.1) });
        if self.unit == Unit::Bytes {
            fields["unit"] = "bytes".into();
        }
        event::print(EventName::Progress, self.label.as_deref(), fields);
    }

    fn message(&self, message: &str) {
        message.clone_into(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).1);
    }
}

fn step(about: &About<'_>) -> Value {
    let About { subtask, migration, .. } = about;
    json!({ "subtask": subtask, "name": migration.name, "number": migration.number })
}

fn run_ended(subtask: &str, database: &str, done: Tally, took: Duration, outcome: Outcome) -> Value {
    let outcome = match outcome {
        Outcome::Done => "done",
        Outcome::Failed => "failed",
        Outcome::Interrupted => "interrupted",
    };
    json!({
        "subtask": subtask, "database": database, "outcome": outcome,
        "migrations": done.total(), "duration_ms": millis(took),
    })
}
