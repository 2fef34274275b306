//! What a `Db` knows of the migration that it was given to.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use mongodb::bson::Document;
use mongodb::bson::oid::ObjectId;
use tokio::sync::Notify;

use crate::model::Joined;
use crate::store::{BackfillId, Store};

/// The migration that is under way, for what a migration does over several runs.
#[derive(Debug)]
pub(crate) struct Migrating {
    pub(crate) store: Store,
    /// Its stem: `0002_slugs`.
    pub(crate) stem: String,
    /// `up` or `down`.
    pub(crate) direction: &'static str,
    /// Of its file.
    pub(crate) checksum: String,
    pub(crate) part: Part,
    /// This process, among those that work on its backfills.
    pub(crate) worker: String,
    /// What its backfills have done, for the log.
    backfills: Mutex<Vec<Document>>,
    /// What its backfills are called.
    labels: Mutex<BTreeSet<String>>,
}

/// Which part this process has in the migration.
#[derive(Debug)]
pub(crate) enum Part {
    /// It runs the migration, under this number of the fence.
    Runs { fence: i64, run: String },
    /// It helps with one backfill, of which another process runs the migration.
    Joins(Joins),
}

/// The backfill that is joined, and how it ended.
#[derive(Debug)]
pub(crate) struct Joins {
    pub(crate) id: BackfillId,
    result: Mutex<Option<Joined>>,
    ended: Notify,
}

impl Migrating {
    pub(crate) fn new(store: &Store, (stem, checksum): (&str, &str), direction: &'static str, part: Part) -> Self {
        let (store, stem, checksum) = (store.clone(), stem.to_owned(), checksum.to_owned());
        let worker = ObjectId::new().to_hex();
        Self { store, stem, direction, checksum, part, worker, backfills: Mutex::default(), labels: Mutex::default() }
    }

    /// Notes what a backfill is called. Returns `false` if another one is called so.
    pub(crate) fn claim_label(&self, label: &str) -> bool {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner).insert(label.to_owned())
    }

    /// Whether a backfill was begun, also if it did not come to its end.
    pub(crate) fn has_begun_backfills(&self) -> bool {
        !self.labels.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Notes what a backfill has done.
    pub(crate) fn add_backfill(&self, done: Document) {
        self.backfills.lock().unwrap_or_else(PoisonError::into_inner).push(done);
    }

    /// What the backfills have done so far, in the order of their ends.
    pub(crate) fn backfills(&self) -> Vec<Document> {
        self.backfills.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Joins {
    pub(crate) fn new(id: BackfillId) -> Self {
        Self { id, result: Mutex::default(), ended: Notify::new() }
    }

    /// Notes how it ended. The migration's code is not run any further: this does not return.
    pub(crate) async fn end<T>(&self, joined: Joined) -> T {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(joined);
        self.ended.notify_one();
        std::future::pending().await
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) -> Joined {
        loop {
            self.ended.notified().await;
            if let Some(joined) = *self.result.lock().unwrap_or_else(PoisonError::into_inner) {
                return joined;
            }
        }
    }
}
