//! Progress that a migration or subtask shows of its own.

use std::fmt;
use std::time::{Duration, Instant};

/// How a sink shows the progress of one task.
pub(crate) trait Task: Send + Sync {
    fn position(&self, position: u64);
    fn message(&self, message: &str);
}

/// When progress is worth a line: now and then, and once at its end.
pub(super) struct Pace {
    every: Duration,
    /// When the last line was written, or from when on the time of the first one is counted.
    last: Option<Instant>,
    has_ended: bool,
}

impl Pace {
    /// The first line comes at once.
    pub(super) fn at_once(every: Duration) -> Self {
        Self { every, last: None, has_ended: false }
    }

    /// The first line comes when that much time has passed.
    pub(super) fn later(every: Duration) -> Self {
        Self { every, last: Some(Instant::now()), has_ended: false }
    }

    /// Whether to write a line now.
    pub(super) fn is_due(&mut self, position: u64, total: u64) -> bool {
        let is_end = position == total;
        let is_due = if is_end { !self.has_ended } else { self.last.is_none_or(|last| last.elapsed() >= self.every) };
        if is_due {
            self.last = Some(Instant::now());
            self.has_ended |= is_end;
        }
        is_due
    }
}

/// Progress over a known number of steps.
///
/// On a terminal it is a bar below the bar of the run; it disappears when the value is dropped. Without a terminal, or where the
/// environment does not want bars (`CI` is set, `CARGO_TERM_PROGRESS_WHEN=never`, `TERM=dumb`), a line reports the progress now
/// and then. With `--format json` it is an event.
#[must_use = "the bar disappears when this is dropped"]
pub struct Progress {
    task: Box<dyn Task>,
    position: std::sync::atomic::AtomicU64,
    total: u64,
}

impl Progress {
    pub(crate) fn new(task: Box<dyn Task>, total: u64) -> Self {
        Self { task, position: 0.into(), total }
    }

    /// Sets the message that is shown next to the bar.
    pub fn with_message(self, message: impl AsRef<str>) -> Self {
        self.set_message(message);
        self
    }

    /// Changes the message.
    pub fn set_message(&self, message: impl AsRef<str>) {
        self.task.message(message.as_ref());
    }

    /// Goes on by `steps`.
    pub fn inc(&self, steps: u64) {
        let before = self.position.fetch_add(steps, std::sync::atomic::Ordering::Relaxed);
        self.task.position(before.saturating_add(steps));
    }

    /// Sets how many steps are done.
    pub fn set_position(&self, position: u64) {
        self.position.store(position, std::sync::atomic::Ordering::Relaxed);
        self.task.position(position);
    }

    /// How many steps are done.
    pub fn position(&self) -> u64 {
        self.position.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// How many steps there are.
    pub fn total(&self) -> u64 {
        self.total
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").field("position", &self.position()).field("total", &self.total).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_now_and_then_and_once_at_the_end() {
        let hour = Duration::from_secs(3600);
        let mut pace = Pace::later(hour);
        assert_eq!([1, 2, 3, 3, 4, 3].map(|position| pace.is_due(position, 3)), [false, false, true, false, false, false]);
        let mut pace = Pace::at_once(hour);
        assert_eq!([1, 2, 3, 3].map(|position| pace.is_due(position, 3)), [true, false, true, false]);
        let mut pace = Pace::later(Duration::ZERO);
        assert_eq!([1, 2, 3, 3, 4].map(|position| pace.is_due(position, 3)), [true, true, true, false, true]);
        // Nothing to do is the end at once.
        let mut pace = Pace::later(hour);
        assert_eq!([0, 0].map(|position| pace.is_due(position, 0)), [true, false]);
    }
}
