//! The runs that are under way: a program that reads events gets the end of each, also if a signal ends the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Tally;
use crate::model::Direction;

/// A run that has begun, and has not ended.
#[derive(Clone, Debug)]
pub(super) struct OpenRun {
    pub(super) subtask: &'static str,
    pub(super) database: String,
    pub(super) done: Tally,
    since: Instant,
}

impl OpenRun {
    pub(super) fn took(&self) -> Duration {
        self.since.elapsed()
    }
}

/// The runs that are under way, at most one on each database. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenRuns(Arc<Mutex<Vec<OpenRun>>>);

impl OpenRuns {
    pub(super) fn begin(&self, subtask: &'static str, database: &str) {
        self.lock().push(OpenRun { subtask, database: database.to_owned(), done: Tally::default(), since: Instant::now() });
    }

    /// A migration is done, on the database with that label, or on the only one.
    pub(super) fn done(&self, label: Option<&str>, direction: Direction) {
        let mut runs = self.lock();
        let of_label = runs.iter_mut().find(|run| label.is_none_or(|label| label == run.database));
        of_label.into_iter().for_each(|run| run.done.add(direction));
    }

    pub(super) fn end(&self, database: &str) {
        self.lock().retain(|run| run.database != database);
    }

    /// Ends all of them, and returns them.
    pub(super) fn take(&self) -> Vec<OpenRun> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<OpenRun>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
