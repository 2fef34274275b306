//! What a run reports: events go in, and a sink writes them, for people, for programs, or for a service's log.
//!
//! stdout is for results, stderr for the rest. A result is a [`Report`], one file each, with its table and its JSON.

mod adoption;
mod backfills;
mod bars;
mod checked;
mod databases;
mod diagnosis;
mod dumped;
mod dumps;
mod effects;
mod failures;
mod history;
mod human;
mod joined;
mod json;
mod listener;
mod open_runs;
mod plan;
mod progress;
mod said;
mod screen;
mod status;
mod steered;
mod table;
mod tally;
mod text;
mod turns;
mod undo_dropped;
mod unlocked;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::error::Remark;
use crate::line::flags::{Args, Format};
use crate::model::{Direction, Effects, EventName, Subject};

pub(crate) use adoption::{AdoptedRow, Adopting, Match};
pub(crate) use backfills::Backfills;
pub(crate) use checked::Checked;
pub(crate) use databases::{DatabaseEnd, Databases, End};
pub(crate) use diagnosis::{Diagnosis, Finding, Verdict};
pub(crate) use dumped::{DumpProved, DumpRemoved, DumpTaken, DumpVerified, Restored};
pub(crate) use dumps::{DumpRow, Dumps, ManifestOf};
pub(crate) use failures::failures_text;
pub(crate) use history::History;
pub(crate) use joined::JoinEnded;
pub(crate) use listener::Listen;
pub use listener::Message;
pub(crate) use plan::{Planned, PlannedStep};
pub use progress::Progress;
pub(crate) use progress::Task;
pub(crate) use said::Said;
pub(crate) use status::{Row, Status};
pub(crate) use steered::{Answer, Steered};
pub(crate) use table::columns;
pub(crate) use tally::Tally;
pub(crate) use text::{ago, capitalized, human_bytes, human_duration, human_time, migrations};
pub(crate) use undo_dropped::UndoDropped;
pub(crate) use unlocked::{Unlocked, Was};

/// Something that happened. Borrowed, since sinks keep nothing.
pub(crate) enum Event<'a> {
    RunStarted {
        subtask: &'static str,
        database: &'a str,
        total: usize,
    },
    MigrationStarted {
        about: About<'a>,
        index: usize,
        total: usize,
    },
    MigrationDone {
        about: About<'a>,
        took: Duration,
        effects: &'a Effects,
    },
    MigrationFailed {
        about: About<'a>,
        took: Duration,
        error: &'a str,
        hint: Option<&'a str>,
        /// What it did before it failed.
        effects: &'a Effects,
    },
    RunEnded {
        subtask: &'static str,
        /// What the first step was to do.
        direction: Direction,
        database: &'a str,
        done: Tally,
        took: Duration,
        outcome: Outcome,
    },
    NothingToDo {
        subtask: &'static str,
        database: &'a str,
        /// A sentence for people.
        why: &'a str,
    },
    Said(Said<'a>),
    Report(&'a dyn Report),
    /// Text for stdout: complete lines.
    Text(&'a str),
}

/// The step that an event is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    /// The subtask of its run.
    pub(crate) subtask: &'static str,
    pub(crate) direction: Direction,
    pub(crate) migration: Subject<'a>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
    Interrupted,
}

/// A result: what a subtask found out.
pub(crate) trait Report {
    /// The table's rows, with its head first. A table without further rows is not printed.
    fn table(&self) -> Vec<Vec<String>> {
        Vec::new()
    }

    /// The document that `--format json` prints, or the fields of the event.
    fn json(&self) -> Value;

    /// The event that it is. `None` for a document that is a complete result.
    fn event(&self) -> Option<EventName> {
        None
    }

    /// A second table, below the first. Empty if there is none.
    fn details(&self) -> Vec<Vec<String>> {
        Vec::new()
    }

    /// Says on stderr what belongs to the result and does not fit the table.
    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        let _ = say;
    }
}

/// One way to report.
pub(crate) trait Sink: Send + Sync {
    fn event(&self, event: &Event<'_>);

    /// A sink for one of several databases: what it writes says which. The order of the calls is that of their results.
    fn for_database(&self, name: &str) -> Arc<dyn Sink>;

    /// The database of this sink has no further results.
    fn end_of_database(&self);

    /// The process ends: says how runs under way ended, and removes the bars.
    fn close(&self);

    /// Shows the progress of a migration or subtask.
    fn progress(&self, total: u64, unit: Unit) -> Box<dyn Task>;
}

/// What progress is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Steps,
    Bytes,
}

impl Unit {
    /// The count as people read it.
    fn shown(self, count: u64) -> String {
        match self {
            Self::Steps => count.to_string(),
            Self::Bytes => human_bytes(count),
        }
    }
}

/// Where subtasks and migrations report what they do. Results go to stdout, everything else to stderr, and progress bars stay
/// intact.
#[derive(Clone)]
pub struct Reporter {
    sink: Arc<dyn Sink>,
    verbose: bool,
}

impl Reporter {
    pub(crate) fn new(args: &Args) -> Self {
        match args.format {
            Format::Human => {
                Self { sink: Arc::new(human::Human::new(args.quiet, args.verbose > 0)), verbose: args.verbose > 0 }
            }
            Format::Json => Self { sink: Arc::new(json::Json::new(args.quiet)), verbose: args.verbose > 0 },
        }
    }

    /// A reporter that calls a service's own function.
    pub(crate) fn to_service(listen: Arc<Listen>) -> Self {
        Self { sink: Arc::new(listener::Listener { listen }), verbose: false }
    }

    /// A reporter for one of several databases.
    pub(crate) fn for_database(&self, name: &str) -> Self {
        Self { sink: self.sink.for_database(name), verbose: self.verbose }
    }

    /// The task on this reporter's database has ended.
    pub(crate) fn end_of_database(&self) {
        self.sink.end_of_database();
    }

    /// To be called before the process ends, also in the middle of a run.
    pub(crate) fn close(&self) {
        self.sink.close();
    }

    pub(crate) fn event(&self, event: &Event<'_>) {
        self.sink.event(event);
    }

    fn say(&self, said: Said<'_>) {
        self.event(&Event::Said(said));
    }

    /// Writes a line like cargo's on stderr: a verb of up to 12 letters, and what it is about. Not shown with `--quiet`.
    pub fn status(&self, verb: &str, message: impl AsRef<str>) {
        self.say(Said::Status { verb, message: message.as_ref() });
    }

    /// Writes a status line that only `--verbose` shows.
    pub fn detail(&self, verb: &str, message: impl AsRef<str>) {
        if self.verbose {
            self.status(verb, message);
        }
    }

    /// Writes a status line that is shown with `--quiet` too.
    pub(crate) fn notice(&self, verb: &str, message: impl AsRef<str>) {
        self.say(Said::Notice { verb, message: message.as_ref() });
    }

    /// Writes a warning on stderr.
    pub fn warning(&self, message: impl AsRef<str>) {
        self.say(Said::Warning { message: message.as_ref(), hint: None });
    }

    /// Writes a warning on stderr, with what to do about it on the line below.
    pub fn warning_with_hint(&self, message: impl AsRef<str>, hint: impl AsRef<str>) {
        self.say(Said::Warning { message: message.as_ref(), hint: Some(hint.as_ref()) });
    }

    /// Writes a note on stderr. Not shown with `--quiet`.
    pub fn note(&self, message: impl AsRef<str>) {
        self.say(Said::Note(message.as_ref()));
    }

    /// Writes what to do next on stderr, after a status line or a note. Not shown with `--quiet`.
    pub fn hint(&self, message: impl AsRef<str>) {
        self.say(Said::Hint(message.as_ref()));
    }

    /// Writes a remark as a warning.
    pub(crate) fn remark(&self, remark: &Remark) {
        self.say(remark.into());
    }

    /// Writes an error that does not end the line.
    pub(crate) fn failure(&self, error: &(dyn std::error::Error + 'static)) {
        self.say(Said::Failure(error));
    }

    /// Writes a result.
    pub(crate) fn report(&self, report: &dyn Report) {
        self.event(&Event::Report(report));
    }

    /// Writes a line of a result on stdout.
    pub fn println(&self, text: impl AsRef<str>) {
        self.event(&Event::Text(text.as_ref()));
    }

    /// Shows progress over `total` steps of any unit. The bar disappears when the value is dropped.
    pub fn progress(&self, total: u64) -> Progress {
        Progress::new(self.sink.progress(total, Unit::Steps), total)
    }

    /// Shows progress over that many bytes.
    pub(crate) fn transfer(&self, bytes: u64) -> Progress {
        Progress::new(self.sink.progress(bytes, Unit::Bytes), bytes)
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}
