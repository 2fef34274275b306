//! What the workers of one backfill share. They all run on the migration's own task.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use mongodb::Database;
use mongodb::bson::Bson;
use tokio::sync::{Notify, Semaphore};

use super::apply::Outcome;
use super::guard::Guard;
use super::pace::{Limit, Pace};
use super::read::Reader;
use super::settings::Settings;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::report::Progress;

/// How many failures are listed.
const LISTED: usize = 20;

/// One backfill under way.
pub(super) struct Shared<'b> {
    pub(super) db: &'b Db,
    pub(super) database: &'b Database,
    pub(super) settings: &'b Settings,
    pub(super) reader: Reader,
    pub(super) guard: Guard,
    /// How many closures are called at a time.
    pub(super) cores: Semaphore,
    failed: Cell<u64>,
    pub(super) failures: RefCell<Vec<Failure>>,
    progress: Progress,
    pace: RefCell<Pace>,
    in_flight: Cell<usize>,
    /// Something is no longer in flight, or more may be.
    freed: Notify,
    /// When the next document may be read, if there is a rate.
    next: Cell<Instant>,
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) read: u64,
    pub(super) matched: u64,
    pub(super) modified: u64,
    pub(super) deleted: u64,
    /// Writes that were computed again, because the document was changed in the meantime.
    pub(super) repeated: u64,
    pub(super) failed: u64,
}

impl Totals {
    /// The sum of both.
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            matched: self.matched + other.matched,
            modified: self.modified + other.modified,
            deleted: self.deleted + other.deleted,
            repeated: self.repeated + other.repeated,
            failed: self.failed + other.failed,
        }
    }
}

impl From<&Outcome> for Totals {
    fn from(outcome: &Outcome) -> Self {
        let Outcome { matched, modified, deleted, refused: _ } = *outcome;
        Self { matched, modified, deleted, ..Self::default() }
    }
}

/// A document for which there is no write.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) id: Bson,
    pub(super) why: String,
}

impl<'b> Shared<'b> {
    pub(super) fn new(db: &'b Db, settings: &'b Settings, (reader, guard): (Reader, Guard), progress: Progress) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let (most, limit) = match settings.in_flight {
            Some(count) => (count, Limit::Fixed),
            None if settings.is_gentle => (1, Limit::Fixed),
            None => ((cores * 4).clamp(4, 16), Limit::Measured),
        };
        Self {
            db,
            database: db,
            settings,
            reader,
            guard,
            cores: Semaphore::new(cores),
            failed: Cell::default(),
            failures: RefCell::default(),
            progress,
            pace: RefCell::new(Pace::new(most, limit)),
            in_flight: Cell::new(0),
            freed: Notify::new(),
            next: Cell::new(Instant::now()),
        }
    }

    /// How many workers are of use at most.
    pub(super) fn workers(&self) -> usize {
        self.pace.borrow().most()
    }

    /// Waits until one more batch may be in flight.
    pub(super) async fn slot(&self) -> Slot<'_, 'b> {
        while self.in_flight.get() >= self.pace.borrow().now() {
            self.freed.notified().await;
        }
        self.in_flight.set(self.in_flight.get() + 1);
        Slot(self)
    }

    /// Waits until so many more documents may be read.
    pub(super) async fn rate(&self, documents: usize) {
        let Some(rate) = self.settings.at_most else { return };
        let now = Instant::now();
        let begin = self.next.get().max(now);
        #[expect(clippy::cast_precision_loss, reason = "a pause")]
        let pause = Duration::from_secs_f64(documents as f64 / f64::from(rate));
        self.next.set(begin + pause);
        tokio::time::sleep_until((begin + pause).into()).await;
    }

    /// Shows that so many more documents were read.
    pub(super) fn read(&self, count: u64) {
        self.progress.inc(count);
    }

    /// Takes the time that the server took to confirm so many writes.
    pub(super) fn confirmed(&self, documents: u64, took: Duration) {
        // Small batches say nothing about load.
        if documents >= 100 {
            let mut pace = self.pace.borrow_mut();
            pace.measured(took);
            self.progress.set_message(pace.to_string());
        }
        self.freed.notify_waiters();
    }

    /// Notes that a document has no write. An error if that is too many.
    pub(super) fn fail(&self, failure: Failure) -> Result<()> {
        let count = self.failed.get() + 1;
        self.failed.set(count);
        let text = format!("the document with `_id` {} of `{}`: {}", failure.id, self.settings.collection, failure.why);
        let mut failures = self.failures.borrow_mut();
        if failures.len() < LISTED {
            failures.push(failure);
        }
        if count <= self.settings.tolerated {
            return Ok(());
        }
        let text = if count == 1 { text } else { format!("{count} documents failed, the last: {text}") };
        Err(Error::failed(text).into())
    }
}

/// A batch in flight.
pub(super) struct Slot<'s, 'b>(&'s Shared<'b>);

impl Drop for Slot<'_, '_> {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        self.0.freed.notify_waiters();
    }
}
