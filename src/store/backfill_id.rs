//! What a backfill is called where it is stored.

use mongodb::bson::{Document, doc};

/// The collection of backfills.
pub(crate) const BACKFILLS: &str = "migrations_backfill";

/// A backfill of a migration that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackfillId(String);

impl BackfillId {
    /// Several backfills of one migration differ in their `label`.
    pub(crate) fn new(registry: &str, stem: &str, direction: &str, label: &str) -> Self {
        Self(format!("{registry}/{stem}/{direction}/{label}"))
    }

    /// As it is stored.
    pub(super) fn stored(id: &str) -> Self {
        Self(id.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Matches all that is stored about the backfills of a migration.
pub(super) fn of_migration(registry: &str, stem: &str) -> Document {
    // The prefix of the names of all its backfills, and of their ranges.
    let prefix = format!("{registry}/{stem}/");
    let end = format!("{registry}/{stem}0");
    doc! { "_id": { "$gte": prefix, "$lt": end } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_about_one_migration_is_not_that_of_another() {
        let filter = of_migration("migrations", "0001_a");
        let bounds = filter.get_document("_id").unwrap();
        let (from, to) = (bounds.get_str("$gte").unwrap(), bounds.get_str("$lt").unwrap());
        let is_in = |stem: &str| {
            let BackfillId(id) = BackfillId::new("migrations", stem, "up", "users");
            *from <= *id && *id < *to
        };
        assert!(is_in("0001_a"));
        assert!(!is_in("0001_a2") && !is_in("0001_a_b") && !is_in("0001"));
    }
}
