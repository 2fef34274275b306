//! What a `Db` knows of the migration that it was given to.

use std::sync::{Mutex, PoisonError};

use mongodb::bson::Document;

use crate::store::{Fence, Store};

/// The migration that is under way, for what a migration does over several runs.
#[derive(Debug)]
pub(crate) struct Migrating {
    pub(crate) store: Store,
    pub(crate) fence: Fence,
    /// Its stem: `0002_slugs`.
    pub(crate) stem: String,
    /// `up` or `down`.
    pub(crate) direction: &'static str,
    /// What its backfills have done, for the log.
    backfills: Mutex<Vec<Document>>,
}

impl Migrating {
    pub(crate) fn new(store: &Store, fence: &Fence, stem: &str, direction: &'static str) -> Self {
        let (store, fence, stem) = (store.clone(), fence.clone(), stem.to_owned());
        Self { store, fence, stem, direction, backfills: Mutex::default() }
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
