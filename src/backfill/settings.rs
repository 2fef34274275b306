//! What a backfill was asked to do.

use mongodb::bson::Document;

/// The settings, as the builder collects them.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) collection: String,
    /// Tells several backfills of one migration apart.
    pub(super) label: Option<String>,
    pub(super) filter: Document,
    /// The fields that are read. `None` for all.
    pub(super) reads: Option<Vec<String>>,
    /// How many batches are in flight, if that is fixed.
    pub(super) in_flight: Option<usize>,
    pub(super) is_gentle: bool,
    /// Documents a second.
    pub(super) at_most: Option<u32>,
    /// Each batch and its mark are one transaction.
    pub(super) exactly_once: bool,
    /// How many documents may fail.
    pub(super) tolerated: u64,
    /// Whether all of it is looked at again at the end.
    pub(super) is_verified: bool,
    /// For how many days its undo log is kept, if it has one.
    pub(super) undo_days: Option<u32>,
}

impl Settings {
    /// Whether a write may be carried out more than once: after a failure, or because the document was changed.
    pub(super) fn is_repeated(&self) -> bool {
        !self.exactly_once
    }

    /// What it is called among the backfills of one migration.
    pub(super) fn label_or_collection(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.collection)
    }
}
