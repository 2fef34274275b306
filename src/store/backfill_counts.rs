//! Counts of a backfill, as they are stored in its ranges and in the log.

use mongodb::bson::{Bson, Document, doc};

/// Counts of a backfill that are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BackfillCounts {
    pub(crate) read: u64,
    pub(crate) modified: u64,
    pub(crate) deleted: u64,
    pub(crate) repeated: u64,
    pub(crate) failed: u64,
}

impl BackfillCounts {
    /// As it is stored.
    pub(crate) fn document(self) -> Document {
        let Self { read, modified, deleted, repeated, failed } = self;
        let number = |count: u64| Bson::Int64(i64::try_from(count).unwrap_or(i64::MAX));
        doc! {
            "read": number(read), "modified": number(modified), "deleted": number(deleted), "repeated": number(repeated),
            "failed": number(failed),
        }
    }

    /// Reads what was stored.
    pub(crate) fn read(stored: &Document) -> Self {
        let count = |key| stored.get_i64(key).ok().and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        Self {
            read: count("read"),
            modified: count("modified"),
            deleted: count("deleted"),
            repeated: count("repeated"),
            failed: count("failed"),
        }
    }

    /// The sum of both.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            read: self.read + other.read,
            modified: self.modified + other.modified,
            deleted: self.deleted + other.deleted,
            repeated: self.repeated + other.repeated,
            failed: self.failed + other.failed,
        }
    }
}
