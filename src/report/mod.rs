//! What a run tells: events go in, and one of two sinks (for people, for programs) writes them.

mod bars;
mod databases;
mod dumps;
mod history;
mod human;
mod json;
mod listener;
mod progress;
mod status;
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::Document;

use crate::dump::Dump;
use crate::line::flags::{Args, Format};
use crate::model::state::Row;
use crate::model::verb::Verb;

pub(crate) use databases::{DatabaseEnd, End};
pub(crate) use listener::Hear;
pub use listener::Message;
pub use progress::Progress;
pub(crate) use progress::Task;
pub(crate) use table::columns;

/// The migration that an event is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a str,
    pub(crate) number: &'a str,
}

/// Something that happened. Borrowed: sinks keep nothing.
pub(crate) enum Event<'a> {
    RunStarted {
        verb: Verb,
        database: &'a str,
        total: usize,
    },
    MigrationStarted {
        verb: Verb,
        migration: Subject<'a>,
        index: usize,
        total: usize,
    },
    MigrationDone {
        verb: Verb,
        migration: Subject<'a>,
        took: Duration,
    },
    MigrationFailed {
        verb: Verb,
        migration: Subject<'a>,
        took: Duration,
        error: &'a str,
    },
    RunEnded {
        verb: Verb,
        database: &'a str,
        done: usize,
        took: Duration,
        outcome: Outcome,
    },
    NothingToDo {
        verb: Verb,
        database: &'a str,
    },
    Status(&'a StatusOf<'a>),
    History(&'a HistoryOf<'a>),
    Dumps(&'a [Dump]),
    /// A line like cargo's: a verb, and what it is about.
    Step {
        verb: &'a str,
        message: &'a str,
    },
    /// The same, and shown with `--quiet` too: somebody is asked about it.
    Notice {
        verb: &'a str,
        message: &'a str,
    },
    Warning(&'a str),
    Note(&'a str),
    /// What to do next, after what was said before.
    Hint(&'a str),
    /// An error that does not end the line: another database goes on.
    Failure(&'a (dyn std::error::Error + 'static)),
    /// How a task ended on each of several databases.
    Databases(&'a [DatabaseEnd]),
    /// Text for stdout, whole lines.
    Text(&'a str),
}

/// Where a database's migrations stand.
pub(crate) struct StatusOf<'a> {
    pub(crate) database: &'a str,
    pub(crate) rows: &'a [Row<'a>],
    /// What is to be said beyond the states.
    pub(crate) notes: &'a [String],
    /// Who has the lock now.
    pub(crate) at_work: Option<String>,
}

/// A database's log.
pub(crate) struct HistoryOf<'a> {
    pub(crate) database: &'a str,
    /// Oldest first.
    pub(crate) events: &'a [Document],
    /// The run that has the lock now.
    pub(crate) at_work: Option<&'a str>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
    Interrupted,
}

/// One way to tell people or programs.
pub(crate) trait Sink: Send + Sync {
    fn event(&self, event: &Event<'_>);

    /// The same for one of several databases: what it tells says which.
    fn for_database(&self, name: &str) -> Arc<dyn Sink>;

    /// The migrations that were executed, where that is noted.
    fn executed(&self) -> Vec<String> {
        Vec::new()
    }

    /// Shows a migration's or subtask's own progress.
    fn progress(&self, total: u64, unit: Unit) -> Box<dyn Task>;
}

/// What progress is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Steps,
    Bytes,
}

impl Unit {
    /// So many of them, for people.
    fn shown(self, count: u64) -> String {
        match self {
            Self::Steps => count.to_string(),
            Self::Bytes => human_bytes(count),
        }
    }
}

/// Where subtasks and migrations say what they do. stdout is for results, stderr for the rest; progress bars stay whole.
#[derive(Clone)]
pub struct Reporter {
    sink: Arc<dyn Sink>,
    verbose: bool,
}

impl Reporter {
    pub(crate) fn new(args: &Args) -> Self {
        match args.format {
            Format::Human => Self { sink: Arc::new(human::Human::new(args.quiet)), verbose: args.verbose > 0 },
            Format::Json => Self { sink: Arc::new(json::Json::new(args.quiet)), verbose: args.verbose > 0 },
        }
    }

    /// One that tells a service.
    pub(crate) fn of(hear: &Arc<Hear>) -> Self {
        let listener = listener::Listener { hear: Arc::clone(hear), executed: Arc::default() };
        Self { sink: Arc::new(listener), verbose: false }
    }

    /// What was executed, as far as it was noted.
    pub(crate) fn executed(&self) -> Vec<String> {
        self.sink.executed()
    }

    /// The same for one of several databases.
    pub(crate) fn for_database(&self, name: &str) -> Self {
        Self { sink: self.sink.for_database(name), verbose: self.verbose }
    }

    /// A status line that only `--verbose` shows.
    pub fn detail(&self, verb: &str, message: impl AsRef<str>) {
        if self.verbose {
            self.status(verb, message);
        }
    }

    pub(crate) fn event(&self, event: &Event<'_>) {
        self.sink.event(event);
    }

    /// A line like cargo's on stderr: a verb of up to 12 letters, and what it is about. Not shown with `--quiet`.
    pub fn status(&self, verb: &str, message: impl AsRef<str>) {
        self.event(&Event::Step { verb, message: message.as_ref() });
    }

    /// A status line that is shown with `--quiet` too.
    pub(crate) fn notice(&self, verb: &str, message: String) {
        self.event(&Event::Notice { verb, message: &message });
    }

    /// A warning on stderr.
    pub fn warning(&self, message: impl AsRef<str>) {
        self.event(&Event::Warning(message.as_ref()));
    }

    /// A note on stderr. Not shown with `--quiet`.
    pub fn note(&self, message: impl AsRef<str>) {
        self.event(&Event::Note(message.as_ref()));
    }

    /// What to do next, on stderr, after a status line or a warning. Not shown with `--quiet`.
    pub fn hint(&self, message: impl AsRef<str>) {
        self.event(&Event::Hint(message.as_ref()));
    }

    /// A result: a line on stdout.
    pub fn println(&self, text: impl AsRef<str>) {
        self.event(&Event::Text(text.as_ref()));
    }

    /// Shows progress over `total` steps of any unit. It ends when dropped.
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

/// A duration as people read it: `0.05s`, `12.3s`, `3m 07s`, `2h 05m`.
pub(crate) fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.2}s", duration.as_secs_f64()),
        10..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// How long ago something was, roughly: `2 s`, `3 min`, `5 h`.
pub(crate) fn ago(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// `312 B`, `4.7 kB`, `198.2 MB`
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut size = bytes as f64;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// `1 migration`, `2 migrations`
pub(crate) fn migrations(count: usize) -> String {
    format!("{count} migration{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (4_700, "4.7 kB"), (198_200_000, "198.2 MB")] {
            assert_eq!(human_bytes(bytes), text);
        }
    }

    #[test]
    fn durations_are_short() {
        for (ms, text) in [(0, "0.00s"), (9_994, "9.99s"), (12_345, "12.3s"), (187_000, "3m 07s"), (7_500_000, "2h 05m")] {
            assert_eq!(human_duration(Duration::from_millis(ms)), text);
        }
    }
}
