//! For people: tables on stdout, cargo-like lines on stderr, and bars where stderr is a terminal.

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};
use indicatif::MultiProgress;

use super::bars::{self, Bar, Plain, RunBar};
use super::{
    Event, HistoryOf, Outcome, Sink, StatusOf, Task, Unit, columns, databases, dumps, history, human_duration, migrations,
    status,
};
use crate::error::describe::describe;
use crate::model::file_name::stem;
use crate::model::verb::Verb;
use crate::terminal;

/// One for each database that is worked on at a time; they share the terminal.
pub(super) struct Human {
    quiet: bool,
    bars: Option<MultiProgress>,
    run: Mutex<Option<RunBar>>,
    /// The database, where there are several.
    label: Option<String>,
}

impl Human {
    pub(super) fn new(quiet: bool) -> Self {
        console::set_colors_enabled_stderr(terminal::stderr_has_color());
        let bars = if quiet { None } else { bars::draw_target().map(MultiProgress::with_draw_target) };
        Self { quiet, bars, run: Mutex::new(None), label: None }
    }

    /// A message that says which database it is about, where there are several.
    fn labelled<'m>(&self, message: &'m str) -> Cow<'m, str> {
        match &self.label {
            Some(label) => format!("{label}: {message}").into(),
            None => message.into(),
        }
    }

    /// Writes while no bar is in the way.
    fn write(&self, write: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    fn step(&self, verb: &str, message: &str) {
        if !self.quiet {
            self.write(|| terminal::status(verb, &self.labelled(message)));
        }
    }

    fn stdout(&self, text: &str) {
        self.write(|| {
            let heading = self.label.iter().map(|label| format!("{label}\n")).collect::<String>();
            let text = format!("{heading}{text}");
            // A reader that went away (`| head`) is no error of ours.
            let _ = match AutoStream::choice(&std::io::stdout()) {
                // At once: anstream would write each line by itself.
                ColorChoice::Never => std::io::stdout().write_all(strip_str(&text).to_string().as_bytes()),
                _ => anstream::stdout().write_all(text.as_bytes()),
            };
            let _ = std::io::stdout().flush();
        });
    }

    fn run_started(&self, verb: Verb, total: usize) {
        let Some(bars) = &self.bars else { return };
        *self.run() = Some(RunBar::new(bars, words(verb).running, total));
    }

    fn run(&self) -> std::sync::MutexGuard<'_, Option<RunBar>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn migration_started(&self, verb: Verb, name: &str, index: usize, total: usize) {
        match &*self.run() {
            Some(run) => run.begin(self.labelled(stem(name)).into_owned()),
            None => self.step(words(verb).running, &format!("{} ({} of {total})", stem(name), index + 1)),
        }
    }

    fn migration_ended(&self) {
        if let Some(run) = &*self.run() {
            run.advance();
        }
    }

    fn status(&self, status: &StatusOf<'_>) {
        let StatusOf { database, rows, .. } = *status;
        if !rows.is_empty() {
            self.stdout(&status::table(rows, stdout_width()));
        }
        for note in status.notes {
            self.write(|| terminal::warning(&self.labelled(note)));
        }
        if let Some(at_work) = &status.at_work {
            self.step("Running", at_work);
        }
        self.step("Status", &status::summary(database, rows));
    }

    fn history(&self, history: &HistoryOf<'_>) {
        let rows = history::rows(history);
        if rows.len() > 1 {
            self.stdout(&columns(&rows, stdout_width()));
        } else {
            self.step("History", &format!("nothing was run on {} yet", history.database));
        }
    }
}

fn stdout_width() -> Option<usize> {
    console::Term::stdout().size_checked().map(|(_, width)| usize::from(width))
}

impl Sink for Human {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::RunStarted { verb, total, .. } => self.run_started(verb, total),
            Event::MigrationStarted { verb, migration, index, total } => {
                self.migration_started(verb, migration.name, index, total);
            }
            Event::MigrationDone { verb, migration, took } => {
                let time = if verb == Verb::Ignore { String::new() } else { format!(" in {}", human_duration(took)) };
                self.step(words(verb).done, &format!("{}{time}", stem(migration.name)));
                self.migration_ended();
            }
            // The error itself is told at the end, once.
            Event::MigrationFailed { .. } => {}
            Event::RunEnded { verb, database, done, took, outcome } => {
                *self.run() = None;
                let end = match outcome {
                    Outcome::Done => "Finished",
                    Outcome::Failed => "Failed",
                    Outcome::Interrupted => "Stopped",
                };
                let what = match (outcome, done) {
                    (Outcome::Failed | Outcome::Interrupted, 0) => "nothing".into(),
                    (_, done) => migrations(done),
                };
                self.step(
                    end,
                    &format!("{what} {} on {database} in {}", words(verb).done.to_lowercase(), human_duration(took)),
                );
            }
            Event::NothingToDo { verb, database } => {
                self.step(
                    "Finished",
                    &format!("all migrations are registered on {database}: nothing to {}", words(verb).plain),
                );
            }
            Event::Status(status) => self.status(status),
            Event::History(history) => self.history(history),
            Event::Dumps([]) => {}
            Event::Dumps(dumps) => self.stdout(&columns(&dumps::rows(dumps), stdout_width())),
            Event::Step { verb, message } => self.step(verb, message),
            Event::Notice { verb, message } => self.write(|| terminal::status(verb, &self.labelled(message))),
            Event::Warning(message) => self.write(|| terminal::warning(&self.labelled(message))),
            Event::Note(message) => {
                if !self.quiet {
                    self.write(|| terminal::note(&self.labelled(message)));
                }
            }
            Event::Hint(message) => {
                if !self.quiet {
                    self.write(|| terminal::hint(&self.labelled(message)));
                }
            }
            Event::Failure(error) => self.write(|| terminal::error_of(self.label.as_deref(), error, describe)),
            Event::Databases(ends) => self.stdout(&columns(&databases::rows(ends), stdout_width())),
            Event::Text(text) => self.stdout(&format!("{}\n", terminal::scrub(text))),
        }
    }

    fn for_database(&self, name: &str) -> Arc<dyn Sink> {
        let (bars, label) = (self.bars.clone(), Some(name.to_owned()));
        Arc::new(Self { quiet: self.quiet, bars, run: Mutex::new(None), label })
    }

    fn progress(&self, total: u64, unit: Unit) -> Box<dyn Task> {
        match &self.bars {
            Some(bars) => Box::new(Bar::new(bars, self.run().as_ref(), total, unit)),
            None => Box::new(Plain::new(self.quiet, self.label.clone(), total, unit)),
        }
    }
}

/// A verb's forms.
struct Words {
    plain: &'static str,
    running: &'static str,
    done: &'static str,
}

fn words(verb: Verb) -> Words {
    match verb {
        Verb::Execute => Words { plain: "execute", running: "Executing", done: "Executed" },
        Verb::Ignore => Words { plain: "ignore", running: "Ignoring", done: "Ignored" },
        Verb::Rollback => Words { plain: "roll back", running: "Rolling back", done: "Rolled back" },
    }
}
