//! For a service that runs migrations itself: each thing that happens as one message, for its own log.

use std::sync::Arc;

use super::tally::verb;
use super::{Event, Outcome, Said, Sink, Task, Unit, human_duration};
use crate::error::describe::describe;
use crate::error::hint_of;
use crate::terminal;

/// What a [`Runner`](crate::Runner) reports: one line of text, and perhaps a hint, without any password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Whether a person should look at it.
    pub is_warning: bool,
    /// What happened: `executed 0002_slugs in 0.05s`.
    pub text: String,
    /// What to do about it, if there is something to say. It may have several lines.
    pub hint: Option<String>,
}

/// Receives messages.
pub(crate) type Listen = dyn Fn(&Message) + Send + Sync;

pub(super) struct Listener {
    pub(super) listen: Arc<Listen>,
}

impl Listener {
    fn note(&self, text: &str) {
        self.send(false, text, None);
    }

    fn warn(&self, text: &str, hint: Option<&str>) {
        self.send(true, text, hint);
    }

    fn send(&self, is_warning: bool, text: &str, hint: Option<&str>) {
        (self.listen)(&Message { is_warning, text: terminal::scrub(text), hint: hint.map(terminal::scrub) });
    }
}

impl Sink for Listener {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::MigrationStarted { about, index, total } => {
                let running = verb(about.direction).running.to_lowercase();
                self.note(&format!("{running} {} ({} of {total})", about.migration.stem(), index + 1));
            }
            Event::MigrationDone { about, took, .. } => {
                let done = verb(about.direction).done;
                self.note(&format!("{done} {} in {}", about.migration.stem(), human_duration(took)));
            }
            Event::MigrationFailed { error, hint, .. } => self.warn(error, hint),
            Event::RunEnded { database, done, took, outcome, .. } => {
                let took = human_duration(took);
                match outcome {
                    Outcome::Done => self.note(&format!("finished: {done} on {database} in {took}")),
                    _ if done.total() == 0 => {
                        self.warn(&format!("stopped before any migration was executed on {database}"), None);
                    }
                    _ => self.warn(&format!("stopped after {} on {database} in {took}", done.sentence()), None),
                }
            }
            Event::NothingToDo { database, .. } => self.note(&format!("all migrations are registered on {database}")),
            Event::Said(Said::Status { verb, message } | Said::Notice { verb, message }) => {
                self.note(&format!("{} {message}", verb.to_lowercase()));
            }
            Event::Said(Said::Note(text) | Said::Hint(text)) | Event::Text(text) => self.note(text),
            Event::Said(Said::Warning { message, hint }) => self.warn(message, hint),
            Event::Said(Said::Failure(error)) => self.warn(&describe(error), hint_of(error)),
            // A service learns these from what `Runner` returns.
            Event::RunStarted { .. } | Event::Report(_) => {}
        }
    }

    fn for_database(&self, _: &str) -> Arc<dyn Sink> {
        Arc::new(Self { listen: Arc::clone(&self.listen) })
    }

    fn end_of_database(&self) {}

    fn close(&self) {}

    fn progress(&self, _: u64, _: Unit) -> Box<dyn Task> {
        Box::new(Hidden)
    }
}

/// Progress is not for a service's log.
struct Hidden;

impl Task for Hidden {
    fn position(&self, _: u64) {}

    fn message(&self, _: &str) {}
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::error::Remark;
    use crate::report::Reporter;

    #[test]
    fn a_remark_is_one_message() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hear = Arc::clone(&heard);
        let reporter = Reporter::to_service(Arc::new(move |message: &Message| hear.lock().unwrap().push(message.clone())));
        reporter.remark(&Remark::new("it is odd").with_hint("look at it"));
        reporter.warning("it is very odd");
        let heard = heard.lock().unwrap();
        let heard: Vec<_> = heard.iter().map(|m| (m.is_warning, m.text.as_str(), m.hint.as_deref())).collect();
        assert_eq!(heard, [(true, "it is odd", Some("look at it")), (true, "it is very odd", None)]);
    }
}
