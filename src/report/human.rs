//! For people: tables on stdout, cargo-like lines on stderr, and bars if stderr is a terminal that has them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bars::{Bar, Plain, RunBar};
use super::effects;
use super::said::{Said, Stderr};
use super::screen::Screen;
use super::tally::verb;
use super::{About, Event, Outcome, Report, Sink, Tally, Task, Unit, capitalized, columns, human_duration};
use crate::model::{Direction, Effects};
use crate::terminal::{self, Stream, stdout};

/// There is one for each database that is worked on at a time; they share the terminal.
pub(super) struct Human {
    stderr: Stderr,
    /// Whether it says what each migration did.
    verbose: bool,
    run: Mutex<Option<RunBar>>,
}

impl Human {
    pub(super) fn new(quiet: bool, verbose: bool) -> Self {
        let screen = if quiet { None } else { Screen::find() };
        Self { stderr: Stderr::new(quiet, screen), verbose, run: Mutex::new(None) }
    }

    fn status(&self, verb: &str, message: &str) {
        self.stderr.say(&Said::Status { verb, message });
    }

    /// Writes a result, if there is one, and what is said about it.
    fn result(&self, text: Option<String>, said: Vec<String>) {
        let heading = self.stderr.label().map(|label| format!("{label}\n")).unwrap_or_default();
        let stderr = self.stderr.clone();
        self.stderr.in_turn(move || {
            stderr.write(|| {
                if let Some(text) = text {
                    stdout::write(&format!("{heading}{text}"));
                }
                said.iter().for_each(|line| terminal::line(line));
            });
        });
    }

    fn run(&self) -> MutexGuard<'_, Option<RunBar>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn migration_started(&self, about: &About<'_>, index: usize, total: usize) {
        let (running, stem) = (verb(about.direction).running, about.migration.stem());
        match &*self.run() {
            Some(run) => run.begin(running, self.stderr.labelled(stem).into_owned()),
            None => self.status(running, &format!("{stem} ({} of {total})", index + 1)),
        }
    }

    fn migration_done(&self, about: &About<'_>, took: std::time::Duration) {
        let time = if about.direction.runs_code() { format!(" in {}", human_duration(took)) } else { String::new() };
        if let Some(screen) = self.stderr.screen() {
            screen.end_line();
        }
        self.status(&capitalized(verb(about.direction).done), &format!("{}{time}", about.migration.stem()));
        if let Some(run) = &*self.run() {
            run.advance();
        }
    }

    fn did(&self, effects: &Effects) {
        if self.verbose {
            effects::sentences(effects).iter().for_each(|did| self.status("Did", did));
        }
    }

    fn run_ended(&self, direction: Direction, on: &str, done: Tally, outcome: Outcome) {
        // Not under the lock: the bar waits for what was printed.
        drop(self.run().take());
        let end = match outcome {
            Outcome::Done => "Finished",
            Outcome::Failed => "Failed",
            Outcome::Interrupted => "Stopped",
        };
        let what = match (outcome, done.total()) {
            (Outcome::Done, _) => format!("{done} {on}"),
            (_, 0) => format!("before any migration was {} {on}", verb(direction).done),
            _ => format!("after {} {on}", done.sentence()),
        };
        self.status(end, &what);
    }

    fn report(&self, report: &dyn Report) {
        let width = Stream::Stdout.size().map(|(_, width)| usize::from(width));
        let tables = [report.table(), report.details()].into_iter().filter(|rows| rows.len() > 1);
        let text = tables.map(|rows| columns(&rows, width)).reduce(|text, table| text + &table);
        let mut lines = Vec::new();
        report.say(&mut |said| lines.extend(self.stderr.text(&said)));
        self.result(text, lines);
    }
}

impl Sink for Human {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::RunStarted { total, .. } => {
                if let Some(screen) = self.stderr.screen() {
                    *self.run() = Some(RunBar::new(screen, total));
                }
            }
            Event::MigrationStarted { about, index, total } => self.migration_started(&about, index, total),
            Event::MigrationDone { about, took, effects } => {
                self.migration_done(&about, took);
                self.did(effects);
            }
            // The error itself is printed once, at the end.
            Event::MigrationFailed { effects, .. } => self.did(effects),
            Event::RunEnded { direction, database, done, took, outcome, .. } => {
                let on = format!("on {database} in {}", human_duration(took));
                self.run_ended(direction, &on, done, outcome);
            }
            Event::NothingToDo { why, .. } => self.status("Finished", why),
            Event::Said(ref said) => self.stderr.say(said),
            Event::Report(report) => self.report(report),
            Event::Text(text) => self.result(Some(format!("{}\n", terminal::scrub(text))), Vec::new()),
        }
    }

    fn for_database(&self, name: &str) -> Arc<dyn Sink> {
        Arc::new(Self { stderr: self.stderr.for_database(name), verbose: self.verbose, run: Mutex::new(None) })
    }

    fn end_of_database(&self) {
        self.stderr.end_turn();
    }

    fn close(&self) {
        self.stderr.close();
    }

    fn progress(&self, total: u64, unit: Unit) -> Box<dyn Task> {
        match self.stderr.screen() {
            Some(screen) => Box::new(Bar::new(screen, self.run().as_ref(), total, unit)),
            None => Box::new(Plain::new(self.stderr.clone(), total, unit)),
        }
    }
}
