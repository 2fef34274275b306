//! Counts of what a backfill has done, and the documents that failed.

use super::apply::Outcome;
/// A document for which there is no write.
pub(super) use crate::store::StoredFailure as Failure;

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
        let Outcome { matched, modified, deleted, missed, refused: _ } = *outcome;
        Self { matched, modified, deleted, repeated: missed, ..Self::default() }
    }
}
