//! Counts of what a backfill has done, and the documents that failed.

use super::apply::Outcome;
/// A document for which there is no write.
pub(super) use crate::store::StoredFailure as Failure;

/// What was done so far.
pub(super) use crate::store::BackfillCounts as Totals;

impl From<&Outcome> for Totals {
    fn from(outcome: &Outcome) -> Self {
        let Outcome { matched: _, modified, deleted, missed, refused: _ } = *outcome;
        Self { modified, deleted, repeated: missed, ..Self::default() }
    }
}
