//! For a service that runs migrations itself: each thing that happens as one message, for its own log.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Event, Outcome, Sink, Task, Unit, human_duration, migrations};
use crate::error::describe::describe;
use crate::model::file_name::stem;
use crate::model::verb::Verb;
use crate::terminal;

/// What a [`Runner`](crate::Runner) tells of: one line of text without any password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Whether somebody should look at it.
    pub is_warning: bool,
    /// What happened: `executed 0002_slugs in 0.05s`.
    pub text: String,
}

/// Hears messages.
pub(crate) type Hear = dyn Fn(&Message) + Send + Sync;

pub(super) struct Listener {
    pub(super) hear: Arc<Hear>,
    /// The names of the migrations that were executed.
    pub(super) executed: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    fn hear(&self, is_warning: bool, text: &str) {
        (self.hear)(&Message { is_warning, text: terminal::scrub(text) });
    }
}

impl Sink for Listener {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::MigrationStarted { migration, index, total, .. } => {
                self.hear(false, &format!("executing {} ({} of {total})", stem(migration.name), index + 1));
            }
            Event::MigrationDone { verb: Verb::Execute, migration, took } => {
                self.executed.lock().unwrap_or_else(PoisonError::into_inner).push(stem(migration.name).to_owned());
                self.hear(false, &format!("executed {} in {}", stem(migration.name), human_duration(took)));
            }
            Event::MigrationFailed { migration, error, .. } => {
                self.hear(true, &format!("{} failed: {error}", stem(migration.name)));
            }
            Event::RunEnded { database, done, took, outcome, .. } => {
                let end = if outcome == Outcome::Done { "finished" } else { "stopped" };
                let text = format!("{end}: {} executed on {database} in {}", migrations(done), human_duration(took));
                self.hear(outcome != Outcome::Done, &text);
            }
            Event::NothingToDo { database, .. } => {
                self.hear(false, &format!("all migrations are registered on {database}"));
            }
            Event::Step { verb, message } | Event::Notice { verb, message } => {
                self.hear(false, &format!("{} {message}", verb.to_lowercase()))
            }
            Event::Note(text) | Event::Hint(text) | Event::Text(text) => self.hear(false, text),
            Event::Warning(text) => self.hear(true, text),
            Event::Failure(error) => self.hear(true, &describe(error)),
            // For those who asked for it.
            Event::MigrationDone { .. }
            | Event::RunStarted { .. }
            | Event::Status(_)
            | Event::History(_)
            | Event::Dumps(_)
            | Event::Databases(_) => {}
        }
    }

    fn for_database(&self, _: &str) -> Arc<dyn Sink> {
        Arc::new(Self { hear: Arc::clone(&self.hear), executed: Arc::clone(&self.executed) })
    }

    fn executed(&self) -> Vec<String> {
        self.executed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn progress(&self, _: u64, _: Unit) -> Box<dyn Task> {
        Box::new(Unseen)
    }
}

/// A service's log is no place for progress.
struct Unseen;

impl Task for Unseen {
    fn position(&self, _: u64) {}

    fn message(&self, _: &str) {}
}
