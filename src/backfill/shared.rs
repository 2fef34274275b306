//! What the workers of one backfill share. They all run on the migration's own task.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use mongodb::bson::{Bson, Document};
use tokio::sync::{Notify, Semaphore};

use super::ends::stopped;
use super::failures::Failures;
use super::guard::Guard;
use super::pace::{Limit, Pace};
use super::pulse::Pulse;
use super::ranges;
use super::read::{LONGEST, Reader};
use super::settings::Settings;
use super::totals::Failure;
use super::undo_log::UndoLog;
use super::view::View;
use crate::db::{Db, Transaction};
use crate::error::Result;
use crate::line::program::program;
use crate::report::Progress;

/// How often it is looked whether something has changed, while something else is waited for.
const LOOK: Duration = Duration::from_millis(200);

/// How many documents the first transaction has, and one at least that meets other processes' writes again and again.
const FIRST: u32 = 250;
const SHORTEST: u32 = 5;

/// A transaction should take less than this.
const LONG_TRANSACTION: Duration = Duration::from_millis(900);

/// One backfill under way.
pub(super) struct Shared<'b> {
    pub(super) db: &'b Db,
    pub(super) settings: &'b Settings,
    pub(super) reader: Reader,
    pub(super) guard: Guard,
    /// What the closure gets of a document that was read.
    pub(super) view: View,
    /// What it gets of a complete document.
    pub(super) part: View,
    pub(super) undo_log: Option<UndoLog>,
    /// How many closures are called at a time.
    pub(super) cores: Semaphore,
    pub(super) failures: Failures,
    progress: Progress,
    /// How many documents the collection has, about.
    estimate: u64,
    pub(super) pulse: Pulse,
    pace: RefCell<Pace>,
    /// Something is no longer in flight, or more may be.
    freed: Notify,
    /// When the next document may be read, if there is a rate.
    next: Cell<Instant>,
    /// Transactions that are not open. They keep their sessions.
    pub(super) idle: RefCell<Vec<Transaction>>,
    /// How many documents a transaction has.
    size: Cell<u32>,
    /// Whether it was said that the backfill is paused.
    is_paused: Cell<bool>,
}

impl<'b> Shared<'b> {
    pub(super) fn new(
        (db, settings): (&'b Db, &'b Settings),
        (reader, guard): (Reader, Guard),
        (view, part, undo_log): (View, View, Option<UndoLog>),
        (progress, estimate): (Progress, u64),
        pulse: Pulse,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let (most, limit) = match settings.in_flight {
            Some(count) => (count, Limit::Fixed),
            None if settings.is_gentle => (1, Limit::Fixed),
            None => ((cores * 4).clamp(4, 16), Limit::Measured),
        };
        Self {
            db,
            settings,
            reader,
            guard,
            view,
            part,
            undo_log,
            cores: Semaphore::new(cores),
            failures: Failures::default(),
            progress,
            estimate,
            pulse,
            pace: RefCell::new(Pace::new(most, limit)),
            freed: Notify::new(),
            next: Cell::new(Instant::now()),
            idle: RefCell::default(),
            size: Cell::new(FIRST),
            is_paused: Cell::new(false),
        }
    }

    /// Returns the `_id`s at which ranges end and the next ones begin.
    pub(super) async fn cut(&self) -> Result<Vec<Bson>> {
        let collection = self.db.collection::<Document>(&self.settings.collection);
        Ok(ranges::cut(&collection, self.estimate).await?)
    }

    /// How many documents the collection has, about.
    pub(super) fn estimate(&self) -> u64 {
        self.estimate
    }

    /// Reads all fields of the documents that match.
    pub(super) fn complete_reader(&self) -> Reader {
        Reader::new(self.db.collection(&self.settings.collection), self.settings.filter.clone(), None)
    }

    /// Shows what earlier runs have read.
    pub(super) fn read_before(&self, count: u64) {
        self.progress.inc(count);
    }

    /// The error of a backfill whose run was asked to stop.
    pub(super) fn stopped(&self) -> Box<dyn std::error::Error + Send + Sync> {
        stopped(&self.settings.collection).into()
    }

    /// How many workers are of use at most.
    pub(super) fn workers(&self) -> usize {
        self.pace.borrow().most()
    }

    /// Waits until one more batch may be in flight. `None` if the run is asked to stop first.
    pub(super) async fn slot(&self) -> Result<Option<Slot<'_, 'b>>> {
        loop {
            if self.db.is_stopping() {
                return Ok(None);
            }
            let freed = self.freed.notified();
            let most = self.pace.borrow().now();
            if self.pulse.begin(most) {
                return Ok(Some(Slot(self)));
            }
            if self.pulse.orders()?.paused {
                self.say_paused();
                self.pulse.next().await;
            } else {
                self.is_paused.set(false);
                // Orders and signals are looked at from time to time, too.
                let _ = tokio::time::timeout(LOOK, freed).await;
            }
        }
    }

    fn say_paused(&self) {
        if !self.is_paused.replace(true) {
            let text = format!("the backfill of `{}` is paused", self.settings.collection);
            self.db.note(format!("{text}: `{} backfill:resume` lets it go on", program()));
            self.progress.set_message("paused");
        }
    }

    /// Waits until so many more documents may be read.
    pub(super) async fn rate(&self, documents: usize) {
        let limit = self.pulse.throttle();
        let Some(rate) = self.documents_per_second() else { return };
        let begin = self.next.get().max(Instant::now());
        #[expect(clippy::cast_precision_loss, reason = "a pause")]
        let until = begin + Duration::from_secs_f64(documents as f64 / rate.max(1.0));
        self.next.set(until);
        // The rate may be changed, and the run may be asked to pause or to stop, before a long wait is over. What was read is then
        // written at once: a pause is answered when nothing is in flight.
        let is_changed = || self.pulse.throttle() != limit || self.pulse.is_to_pause();
        while Instant::now() < until && !self.db.is_stopping() && !is_changed() {
            tokio::time::sleep(LOOK.min(until.saturating_duration_since(Instant::now()))).await;
        }
        if is_changed() {
            self.next.set(Instant::now());
        }
    }

    /// Prepares a transaction for each worker. If this process dies, others end what it has left open.
    pub(super) async fn prepare_transactions(&self) -> Result<()> {
        let mut all = Vec::new();
        for _ in 0..self.workers() {
            all.push(self.db.begin().await?);
        }
        self.pulse.announce(all.iter_mut().map(|transaction| transaction.session().id().clone()).collect()).await?;
        self.idle.replace(all);
        Ok(())
    }

    /// A transaction that is not open.
    pub(super) async fn transaction(&self) -> Result<Transaction> {
        let idle = self.idle.borrow_mut().pop();
        match idle {
            Some(idle) => Ok(idle),
            None => Ok(self.db.begin().await?),
        }
    }

    /// How many documents the next transaction has at most.
    pub(super) fn transaction_size(&self) -> u32 {
        self.size.get().min(self.batch_size())
    }

    /// The next transactions have more documents if one was short, and fewer if it was long.
    pub(super) fn grow(&self, took: Duration) {
        if took < LONG_TRANSACTION / 3 {
            self.size.set((self.size.get() + self.size.get() / 2).min(LONGEST));
        } else if took > LONG_TRANSACTION {
            self.shrink();
        }
    }

    /// The next transactions have fewer documents.
    pub(super) fn shrink(&self) {
        self.size.set((self.size.get() / 2).max(SHORTEST));
    }

    /// How many documents are read at a time: fewer where the rate is limited, so that it is even.
    pub(super) fn batch_size(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between one and the longest batch")]
        let size = |rate: f64| (rate / 4.0).clamp(1.0, f64::from(LONGEST)) as u32;
        self.documents_per_second().map_or(LONGEST, size)
    }

    /// The rate of this process, if the migration or the orders limit it.
    fn documents_per_second(&self) -> Option<f64> {
        let rates = [self.settings.at_most.map(f64::from), self.pulse.throttle()];
        rates.into_iter().flatten().reduce(f64::min)
    }

    /// Records a query for a batch, which took so long.
    pub(super) fn queried(&self, took: Duration) {
        let filter: Vec<&str> = self.settings.filter.keys().map(String::as_str).collect();
        self.db.record(("find", &self.settings.collection), &filter, &Document::new(), took);
    }

    /// Shows that so many more documents were read.
    pub(super) fn read(&self, count: u64) {
        self.progress.inc(count);
        self.pulse.read(count);
    }

    /// Takes the time that the server took to confirm so many writes.
    pub(super) fn confirmed(&self, documents: u64, took: Duration) {
        // Small batches say nothing about load.
        if documents >= 100 {
            let mut pace = self.pace.borrow_mut();
            pace.loaded(self.pulse.load());
            pace.measured(took);
            self.progress.set_message(pace.to_string());
            self.pulse.pace(pace.now(), pace.why());
        }
        self.freed.notify_waiters();
    }

    /// Notes that a document of a range has no write. An error if that is more than are tolerated.
    pub(super) fn fail(&self, number: i32, failure: Failure) -> Result<()> {
        self.failures.add(self.settings, number, failure)
    }
}

/// A batch in flight.
pub(super) struct Slot<'s, 'b>(&'s Shared<'b>);

impl Drop for Slot<'_, '_> {
    fn drop(&mut self) {
        self.0.pulse.end();
        self.0.freed.notify_waiters();
    }
}
