//! For people: tables on stdout, cargo-like lines on stderr, and bars where stderr is a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::{Event, Outcome, Sink, Task, Verb, columns, human_duration, migrations};
use crate::file_name::stem;
use crate::status::{Row, State};
use crate::term;

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

    fn status(&self, database: &str, rows: &[Row<'_>]) {
        let open = rows.iter().filter(|row| row.state.is_open()).count();
        if !rows.is_empty() {
            let width = console::Term::stdout().size_checked().map(|(_, width)| usize::from(width));
            self.stdout(&status_table(rows, width));
        }
        let message = match (open, rows.len()) {
            (0, 0) => format!("no migrations yet on {database}; `cargo migrations new:NAME` writes the first"),
            (0, _) => format!("all migrations are registered on {database}: nothing to execute"),
            (open, _) => format!(
                "{} unregistered on {database}; `cargo migrations execute` runs {}",
                migrations(open),
                if open == 1 { "it" } else { "them" }
            ),
        };
        self.step("Status", &message);
    }
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
            Event::Status { database, rows } => self.status(database, rows),
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

    fn progress(&self, total: u64) -> Box<dyn Task> {
        match &self.bars {
            Some(bars) => {
                let style = ProgressStyle::with_template(
                    "{spinner:>12.cyan} [{bar:25}] {human_pos}/{human_len} {percent}% {wide_msg} {eta:>4}",
                )
                .expect("a constant template")
                .progress_chars("=> ");
                let bar = ProgressBar::new(total).with_style(style);
                let bar = match &*self.run() {
                    Some(run) => bars.insert_after(&run.bar, bar),
                    None => bars.add(bar),
                };
                bar.enable_steady_tick(TICK);
                Box::new(Bar(bar))
            }
            None => Box::new(Plain { quiet: self.quiet, total, state: Mutex::new((Instant::now(), String::new())) }),
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
        term::status("Progress", format!("{position}/{} ({percent}%) {}", self.total, state.1).trim_end());
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

fn status_table(rows: &[Row<'_>], width: Option<usize>) -> String {
    let bold = Style::new().bold();
    let header = ["NUMBER", "NAME", "STATE", "WHEN", "TOOK", "DESCRIPTION"];
    let mut lines = vec![header.map(|title| format!("{bold}{title}{bold:#}")).to_vec()];
    for row in rows {
        let color = match row.state {
            State::Registered => AnsiColor::Green.on_default(),
            State::Ignored => AnsiColor::Cyan.on_default(),
            State::Unregistered => AnsiColor::Red.on_default(),
            State::Missing => AnsiColor::Yellow.on_default(),
        };
        lines.push(vec![
            row.number.to_owned(),
            stem(row.name).to_owned(),
            format!("{color}{}{color:#}", row.state.as_str()),
            row.registered_at.and_then(|at| at.try_to_rfc3339_string().ok()).map(|at| short_time(&at)).unwrap_or_default(),
            row.duration.map(human_duration).unwrap_or_default(),
            row.description.unwrap_or_default().to_owned(),
        ]);
    }
    columns(&lines, width)
}

/// `2026-02-03T04:05:06.789Z` as `2026-02-03 04:05:06Z`: servers and people are in different time zones.
fn short_time(rfc3339: &str) -> String {
    let seconds = rfc3339.split(['.', 'Z']).next().unwrap_or(rfc3339);
    format!("{}Z", seconds.replacen('T', " ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_and_say_their_zone() {
        assert_eq!(short_time("2026-02-03T04:05:06.789Z"), "2026-02-03 04:05:06Z");
        assert_eq!(short_time("2026-02-03T04:05:06Z"), "2026-02-03 04:05:06Z");
    }
}
