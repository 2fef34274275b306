//! Progress that a migration or subtask shows of its own.

use std::fmt;

/// How a sink shows the progress of one task.
pub(crate) trait Task: Send + Sync {
    fn position(&self, position: u64);
    fn message(&self, message: &str);
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
