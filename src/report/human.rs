//! For people: tables on stdout, cargo-like lines on stderr, and bars where stderr is a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::{
    Event, HistoryOf, Outcome, Sink, StatusOf, Task, Unit, columns, dumps, history, human_duration, migrations, status,
};
use crate::file_name::stem;
use crate::term;
use crate::verb::Verb;

/// How often a bar that nothing moves is redrawn: the elapsed time goes on.
const TICK: Duration = Duration::from_millis(100);

/// How often progress is told where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Human {
    quiet: bool,
    bars: Option<MultiProgress>,
    run: Mutex<Option<RunBar>>,
}

/// The bar of the run under way, and when its current migration started.
struct RunBar {
    bar: ProgressBar,
    started: Arc<Mutex<Instant>>,
}

impl Human {
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        console::set_colors_enabled_stderr(term::stderr_has_color());
        Self { quiet, bars: terminal.then(MultiProgress::new), run: Mutex::new(None) }
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
            self.write(|| term::status(verb, message));
        }
    }

    fn stdout(&self, text: &str) {
        self.write(|| {
            // A reader that went away (`| head`) is no error of ours.
            let _ = write!(anstream::stdout(), "{text}");
            let _ = std::io::stdout().flush();
        });
    }

    fn run_started(&self, verb: Verb, total: usize) {
        let Some(bars) = &self.bars else { return };
        let started = Arc::new(Mutex::new(Instant::now()));
        let since = Arc::clone(&started);
        let template = "{prefix:>12.cyan.bold} [{bar:25}] {pos}/{len}: {wide_msg} {current}";
        let style = ProgressStyle::with_template(template).expect("a constant template").progress_chars("=> ").with_key(
            "current",
            move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                let since = since.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = write!(out, "{}", short_elapsed(since.elapsed()));
            },
        );
        let bar = bars.add(ProgressBar::new(total as u64).with_style(style).with_prefix(words(verb).running));
        bar.enable_steady_tick(TICK);
        *self.run() = Some(RunBar { bar, started });
    }

    fn run(&self) -> std::sync::MutexGuard<'_, Option<RunBar>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn migration_started(&self, verb: Verb, name: &str, index: usize, total: usize) {
        match &*self.run() {
            Some(run) => {
                *run.started.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                run.bar.set_message(stem(name).to_owned());
                run.bar.tick();
            }
            None => self.step(words(verb).running, &format!("{} ({} of {total})", stem(name), index + 1)),
        }
    }

    fn migration_ended(&self) {
        if let Some(run) = &*self.run() {
            run.bar.inc(1);
        }
    }

    fn status(&self, status: &StatusOf<'_>) {
        let StatusOf { database, rows, .. } = *status;
        if !rows.is_empty() {
            self.stdout(&status::table(rows, stdout_width()));
        }
        for note in status.notes {
            self.write(|| term::warning(note));
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
                if let Some(run) = self.run().take() {
                    run.bar.finish_and_clear();
                }
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
            Event::Warning(message) => self.write(|| term::warning(message)),
            Event::Note(message) => {
                if !self.quiet {
                    self.write(|| term::note(message));
                }
            }
            Event::Text(text) => self.stdout(&format!("{text}\n")),
        }
    }

    fn progress(&self, total: u64, unit: Unit) -> Box<dyn Task> {
        match &self.bars {
            Some(bars) => {
                let template = match unit {
                    Unit::Steps => "{spinner:>12.cyan} [{bar:25}] {human_pos}/{human_len} {percent}% {wide_msg} {eta:>4}",
                    Unit::Bytes => {
                        "{spinner:>12.cyan} [{bar:25}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {wide_msg} {eta:>4}"
                    }
                };
                let style = ProgressStyle::with_template(template).expect("a constant template").progress_chars("=> ");
                let bar = ProgressBar::new(total).with_style(style);
                let bar = match &*self.run() {
                    Some(run) => bars.insert_after(&run.bar, bar),
                    None => bars.add(bar),
                };
                bar.enable_steady_tick(TICK);
                Box::new(Bar(bar))
            }
            None => Box::new(Plain { quiet: self.quiet, total, unit, state: Mutex::new((Instant::now(), String::new())) }),
        }
    }
}

/// A bar on the terminal, gone when the progress is dropped.
struct Bar(ProgressBar);

impl Task for Bar {
    fn position(&self, position: u64) {
        self.0.set_position(position);
    }

    fn message(&self, message: &str) {
        self.0.set_message(message.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Lines now and then.
struct Plain {
    quiet: bool,
    total: u64,
    unit: Unit,
    state: Mutex<(Instant, String)>,
}

impl Task for Plain {
    fn position(&self, position: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.quiet || (state.0.elapsed() < PLAIN_EVERY && position != self.total) {
            return;
        }
        state.0 = Instant::now();
        let percent = (position.min(self.total) * 100).checked_div(self.total).unwrap_or(100);
        term::status(
            "Progress",
            format!("{}/{} ({percent}%) {}", self.unit.shown(position), self.unit.shown(self.total), state.1).trim_end(),
        );
    }

    fn message(&self, message: &str) {
        message.clone_into(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).1);
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

fn short_elapsed(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{:02}s", seconds / 60, seconds % 60) }
}
