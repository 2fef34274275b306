//! How far the backfills of a migration that is under way have come: a document for each backfill, and one for each of its ranges.
//!
//! They are there as long as the migration is not registered. A run that goes on with a backfill first puts its own number (of the
//! fence) on every range; a run that was frozen meanwhile can then no longer mark a range as done.

use mongodb::bson::{Bson, Document, doc};

use super::{Fence, Store};
use crate::durable;

/// The collection of backfills.
pub(crate) const BACKFILLS: &str = "migrations_backfill";

/// A backfill of a migration that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BackfillId(String);

impl BackfillId {
    /// `label` tells several backfills of one migration apart.
    pub(crate) fn new(registry: &str, stem: &str, direction: &str, label: &str) -> Self {
        Self(format!("{registry}/{stem}/{direction}/{label}"))
    }
}

/// A part of a collection, by `_id`, in the server's order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredRange {
    /// Its place among the ranges of the backfill.
    pub(crate) number: i32,
    /// The first `_id`. `None` from the beginning.
    pub(crate) from: Option<Bson>,
    /// The `_id` before which it ends. `None` to the end.
    pub(crate) to: Option<Bson>,
}

/// How a backfill begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Begin {
    /// Nothing of it is done.
    New,
    /// An earlier run has done another backfill of this name: with another filter, for example. What it noted was removed.
    Changed,
    /// These ranges are left of so many.
    GoOn(Vec<StoredRange>, u64),
}

/// Counts of a backfill that are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BackfillCounts {
    pub(crate) read: u64,
    pub(crate) modified: u64,
    pub(crate) deleted: u64,
    pub(crate) repeated: u64,
    pub(crate) failed: u64,
}

impl Store {
    fn backfills(&self) -> mongodb::Collection<Document> {
        self.collection(BACKFILLS)
    }

    /// Finds out what is left of a backfill, and makes it this run's. `what` is a digest of what it does.
    pub(crate) async fn begin_backfill(&self, fence: &Fence, id: &BackfillId, what: &str) -> mongodb::error::Result<Begin> {
        let found = durable::patiently(async || self.backfills().find_one(doc! { "_id": &id.0 }).await).await?;
        let is_same = found.as_ref().is_some_and(|found| found.get_str("what") == Ok(what));
        if !is_same {
            self.forget_backfill(id).await?;
            return Ok(if found.is_some() { Begin::Changed } else { Begin::New });
        }
        let of_it = doc! { "backfill": &id.0 };
        let own = doc! { "$set": { "fence": fence.number() } };
        durable::patiently(async || self.backfills().update_many(of_it.clone(), own.clone()).await).await?;
        let (mut left, mut all) = (Vec::new(), 0);
        let mut cursor = self.backfills().find(of_it).sort(doc! { "number": 1 }).await?;
        while cursor.advance().await? {
            let range = cursor.deserialize_current()?;
            all += 1;
            if !range.get_bool("done").unwrap_or(false) {
                left.push(read_range(&range));
            }
        }
        Ok(Begin::GoOn(left, all))
    }

    /// Notes the ranges of a backfill that begins.
    pub(crate) async fn note_ranges(
        &self,
        fence: &Fence,
        id: &BackfillId,
        what: &str,
        about: Document,
        ranges: &[StoredRange],
    ) -> mongodb::error::Result<()> {
        let document = |range: &StoredRange| {
            let mut document = doc! {
                "_id": format!("{}/{}", id.0, range.number),
                "backfill": &id.0,
                "number": range.number,
                "fence": fence.number(),
                "done": false,
            };
            // In documents of their own: as a field's value, `_id` may be anything.
            document.extend(range.from.clone().map(|from| ("from".to_owned(), Bson::from(doc! { "id": from }))));
            document.extend(range.to.clone().map(|to| ("to".to_owned(), Bson::from(doc! { "id": to }))));
            document
        };
        let documents: Vec<Document> = ranges.iter().map(document).collect();
        durable::patiently(async || match self.backfills().insert_many(&documents).ordered(false).await {
            Ok(_) => Ok(()),
            Err(error) if durable::is_duplicate(&error) => Ok(()),
            Err(error) => Err(error),
        })
        .await?;
        // The backfill itself comes last: with it, all its ranges are there.
        let mut backfill = doc! { "_id": &id.0, "what": what };
        backfill.extend(about);
        let filter = doc! { "_id": &id.0 };
        durable::patiently(async || self.backfills().replace_one(filter.clone(), &backfill).upsert(true).await).await?;
        Ok(())
    }

    /// Marks a range as done. Returns `false` if another run has taken over.
    pub(crate) async fn range_done(
        &self,
        fence: &Fence,
        id: &BackfillId,
        number: i32,
        counts: BackfillCounts,
    ) -> mongodb::error::Result<bool> {
        let filter = doc! { "_id": format!("{}/{number}", id.0), "fence": fence.number() };
        let set = doc! { "$set": { "done": true, "counts": counts_document(counts) } };
        let update = async || self.backfills().update_one(filter.clone(), set.clone()).await;
        Ok(durable::patiently(update).await?.matched_count == 1)
    }

    /// What the ranges of a backfill have counted.
    pub(crate) async fn backfill_counts(&self, id: &BackfillId) -> mongodb::error::Result<BackfillCounts> {
        let mut all = BackfillCounts::default();
        let mut cursor = self.backfills().find(doc! { "backfill": &id.0 }).projection(doc! { "counts": 1 }).await?;
        while cursor.advance().await? {
            let range = cursor.deserialize_current()?;
            let Ok(counts) = range.get_document("counts") else { continue };
            let count = |key| counts.get_i64(key).ok().and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            all.read += count("read");
            all.modified += count("modified");
            all.deleted += count("deleted");
            all.repeated += count("repeated");
            all.failed += count("failed");
        }
        Ok(all)
    }

    /// Removes everything that is stored about a backfill.
    async fn forget_backfill(&self, id: &BackfillId) -> mongodb::error::Result<()> {
        // The backfill first: without it, ranges mean nothing.
        for filter in [doc! { "_id": &id.0 }, doc! { "backfill": &id.0 }] {
            durable::patiently(async || self.backfills().delete_many(filter.clone()).await).await?;
        }
        Ok(())
    }
}

/// Matches all that is stored about the backfills of a migration.
pub(super) fn of_migration(registry: &str, stem: &str) -> Document {
    // The prefix of the names of all its backfills, and of their ranges.
    let prefix = format!("{registry}/{stem}/");
    let end = format!("{registry}/{stem}0");
    doc! { "_id": { "$gte": prefix, "$lt": end } }
}

pub(crate) fn counts_document(counts: BackfillCounts) -> Document {
    let BackfillCounts { read, modified, deleted, repeated, failed } = counts;
    let number = |count: u64| Bson::Int64(i64::try_from(count).unwrap_or(i64::MAX));
    doc! {
        "read": number(read), "modified": number(modified), "deleted": number(deleted), "repeated": number(repeated),
        "failed": number(failed),
    }
}

fn read_range(document: &Document) -> StoredRange {
    let id = |key| document.get_document(key).ok().and_then(|value| value.get("id").cloned());
    StoredRange { number: document.get_i32("number").unwrap_or_default(), from: id("from"), to: id("to") }
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
