//! Progress: bars if stderr is, or ends up on, a terminal that has them, and a line now and then if it does not.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::progress::Pace;
use super::said::{Said, Stderr};
use super::screen::{Kept, Screen, one_line};
use super::{Task, Unit};
use crate::terminal;

/// How often a bar that does not move is redrawn, so that the elapsed time goes on.
const TICK: Duration = Duration::from_millis(100);

/// How often progress is reported where there are no bars. What takes less time has only its end reported.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// The bar of the run under way, and when its current migration started. It disappears when it is dropped.
pub(super) struct RunBar {
    bar: ProgressBar,
    started: Arc<Mutex<Instant>>,
    _kept: Kept,
}

impl RunBar {
    pub(super) fn new(screen: &Screen, total: usize) -> Self {
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
        let kept = screen.keep();
        let bar = screen.bars.add(ProgressBar::new(total as u64).with_style(style));
        bar.enable_steady_tick(TICK);
        Self { bar, started, _kept: kept }
    }

    /// The next migration starts.
    pub(super) fn begin(&self, running: &'static str, what: String) {
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.bar.set_prefix(running);
        self.bar.set_message(one_line(&what));
        self.bar.tick();
    }

    pub(super) fn advance(&self) {
        self.bar.inc(1);
    }
}

impl Drop for RunBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A bar on the terminal. It disappears when the progress is dropped.
pub(super) struct Bar(ProgressBar, Kept);

impl Bar {
    /// A bar below the bar of the run, if a run is under way.
    pub(super) fn new(screen: &Screen, run: Option<&RunBar>, total: u64, unit: Unit) -> Self {
        let template = match unit {
            Unit::Steps => "{spinner:>12.cyan} [{bar:25}] {human_pos}/{human_len} {percent}% {wide_msg} {eta:>4}",
            Unit::Bytes => {
                "{spinner:>12.cyan} [{bar:25}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {wide_msg} {eta:>4}"
            }
        };
        let style = ProgressStyle::with_template(template).expect("a constant template").progress_chars("=> ");
        let kept = screen.keep();
        let bar = ProgressBar::new(total).with_style(style);
        let bar = match run {
            Some(run) => screen.bars.insert_after(&run.bar, bar),
            None => screen.bars.add(bar),
        };
        bar.enable_steady_tick(TICK);
        Self(bar, kept)
    }
}

impl Task for Bar {
    fn position(&self, position: u64) {
        self.0.set_position(position);
    }

    fn message(&self, message: &str) {
        self.0.set_message(one_line(&terminal::scrub(message)));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line now and then.
pub(super) struct Plain {
    stderr: Stderr,
    total: u64,
    unit: Unit,
    /// When the next line is due, and the message.
    state: Mutex<(Pace, String)>,
}

impl Plain {
    pub(super) fn new(stderr: Stderr, total: u64, unit: Unit) -> Self {
        Self { stderr, total, unit, state: Mutex::new((Pace::later(PLAIN_EVERY), String::new())) }
    }
}

impl Task for Plain {
    fn position(&self, position: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stderr.is_quiet() || !state.0.is_due(position, self.total) {
            return;
        }
        let percent = (position.min(self.total) * 100).checked_div(self.total).unwrap_or(100);
        let (done, total) = (self.unit.shown(position), self.unit.shown(self.total));
        let message = format!("{done}/{total} ({percent}%) {}", state.1);
        self.stderr.say(&Said::Status { verb: "Progress", message: message.trim_end() });
    }

    fn message(&self, message: &str) {
        message.clone_into(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).1);
    }
}

fn short_elapsed(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{:02}s", seconds / 60, seconds % 60) }
}
