//! How far the backfills of a migration that is under way have come: a document for each backfill, and one for each of its ranges.
//!
//! They are there as long as the migration is not registered. A run that goes on with a backfill first puts its own number (of the
//! fence) on the backfill and on every range. A run that was frozen in the meantime, or a process that has joined it, can then no
//! longer take a range or mark one as done.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReturnDocument;

use super::backfill_counts::BackfillCounts;
use super::backfill_id::{BACKFILLS, BackfillId, of_migration};
use super::failures::{FAILURES_KEPT, StoredFailure, failures_document, read_failures};
use super::fence::{Change, NewBackfill, Refusal};
use super::{Fence, Store};
use crate::crash;
use crate::durable;
use crate::error::codes::{self, code_of};

/// What one process has to say for itself when it works on a backfill.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) id: BackfillId,
    /// The number of the run that the backfill belongs to.
    pub(crate) fence: i64,
    /// Which ranges are meant: they are cut again if the backfill has changed.
    pub(crate) cut: String,
    /// The process.
    pub(crate) worker: String,
}

/// A part of a collection, by `_id`, in the server's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StoredRange {
    /// Its place among the ranges of the backfill.
    pub(crate) number: i32,
    /// The first `_id`. `None` from the beginning.
    pub(crate) from: Option<Bson>,
    /// The `_id` before which it ends. `None` to the end.
    pub(crate) to: Option<Bson>,
    /// The last `_id` that is done, if each batch is marked.
    pub(crate) at: Option<Bson>,
}

/// How a backfill begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Begin {
    /// Nothing of it is done.
    New,
    /// An earlier run has done another backfill of this name: with another filter, for example. What it noted was removed.
    Changed,
    /// So many ranges of all are left, and so many documents were read.
    GoOn { cut: String, left: u64, all: u64, read: u64 },
    /// A later run has it.
    Lost,
}

/// What became of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marked {
    Done,
    /// Another process took the range, because this one was not heard of for too long.
    Taken,
    /// A later run has the backfill.
    Lost,
}

impl Store {
    pub(super) fn backfills(&self) -> mongodb::Collection<Document> {
        self.collection(BACKFILLS)
    }

    /// Whether anything may be stored about backfills of a migration. A user who may not look has stored nothing.
    pub(crate) async fn may_have_backfills(&self, stem: &str) -> bool {
        let filter = of_migration(self.registry_name(), stem);
        let found =
            durable::patiently(async || self.backfills().find_one(filter.clone()).projection(doc! { "_id": 1 }).await);
        match found.await {
            Ok(found) => found.is_some(),
            Err(error) => code_of(&error) != Some(codes::UNAUTHORIZED),
        }
    }

    /// Makes a backfill that may be there this run's. `what` says what it does: if that has changed, it begins again.
    pub(crate) async fn begin_backfill(
        &self,
        id: &BackfillId,
        fence: i64,
        (run, worker): (&str, &str),
        what: &str,
    ) -> mongodb::error::Result<Begin> {
        let is_it = doc! { "_id": id.as_str(), "fence": { "$lte": fence } };
        let own = doc! { "$set": { "fence": fence, "run": run, "owner": worker, "workers": {}, "done": false } };
        let found =
            durable::patiently(async || self.backfills().find_one_and_update(is_it.clone(), own.clone()).await).await?;
        let Some(found) = found else {
            let newer = durable::patiently(async || self.backfills().find_one(doc! { "_id": id.as_str() }).await).await?;
            return Ok(if newer.is_some() { Begin::Lost } else { Begin::New });
        };
        let text = |key| found.get_str(key).unwrap_or_default();
        if text("what") != what {
            self.forget_backfill(id, fence).await?;
            return Ok(Begin::Changed);
        }
        let cut = text("cut").to_owned();
        let ranges = doc! { "backfill": id.as_str(), "cut": &cut, "fence": { "$lte": fence } };
        let own = doc! { "$set": { "fence": fence, "worker": Bson::Null } };
        durable::patiently(async || self.backfills().update_many(ranges.clone(), own.clone()).await).await?;
        let of_it = doc! { "backfill": id.as_str(), "cut": &cut };
        let count = async |filter: &Document| {
            durable::patiently(async || self.backfills().count_documents(filter.clone()).await).await
        };
        let all = count(&of_it).await?;
        let mut open = of_it;
        open.insert("done", false);
        let left = count(&open).await?;
        let read = self.backfill_counts(id, &cut).await?.read;
        Ok(Begin::GoOn { cut, left, all, read })
    }

    /// Notes a backfill that begins, with its ranges. Returns what their cut is called, or `None` if a later run has the backfill.
    pub(crate) async fn note_backfill(
        &self,
        (id, fence): (&BackfillId, i64),
        about: Document,
        ranges: &[StoredRange],
    ) -> mongodb::error::Result<Option<String>> {
        let cut = ObjectId::new().to_hex();
        let document = |range: &StoredRange| {
            let mut document = doc! {
                "_id": format!("{}/{cut}/{}", id.as_str(), range.number),
                "backfill": id.as_str(),
                "cut": &cut,
                "number": range.number,
                "fence": fence,
                "worker": Bson::Null,
                "done": false,
            };
            // In documents of their own: as a field's value, `_id` may be anything.
            document.extend(range.from.clone().map(|from| ("from".to_owned(), Bson::from(doc! { "id": from }))));
            document.extend(range.to.clone().map(|to| ("to".to_owned(), Bson::from(doc! { "id": to }))));
            document
        };
        let ranges: Vec<Document> = ranges.iter().map(document).collect();
        let mut backfill = about;
        backfill.extend(doc! { "_id": id.as_str(), "fence": fence, "cut": &cut, "done": false });
        crash::point("ranges cut");
        // Under the fence of the lock: a later run may have begun and registered the migration in the meantime, so that there is nothing
        // here that would say so.
        let change = Change { backfill: Some(NewBackfill { ranges, backfill }), ..Change::default() };
        match Fence::new(self, fence, String::new()).write(&change).await {
            Ok(()) => Ok(Some(cut)),
            Err(Refusal::Lost) => Ok(None),
            Err(Refusal::Server(error)) => Err(error),
        }
    }

    /// Takes a range that no process has, or, if the `living` are given, whose worker is none of them. `takes`: the name of this take,
    /// and all takes that the process works on or is about to.
    pub(crate) async fn take_range(
        &self,
        claim: &Claim,
        (take, takes): (&str, &[String]),
        living: Option<&[String]>,
    ) -> mongodb::error::Result<Option<StoredRange>> {
        let mut free = claim.ranges();
        free.insert("done", false);
        let others = living.map_or(Bson::Null, |living| doc! { "$nin": living, "$ne": &claim.worker }.into());
        // What this process has taken without learning of it.
        let unknown = doc! { "worker": &claim.worker, "take": { "$nin": takes } };
        free.insert("$or", vec![doc! { "worker": others }, unknown]);
        let own = doc! { "$set": { "worker": &claim.worker, "take": take } };
        let take = async || {
            let backfills = self.backfills();
            let take = backfills.find_one_and_update(free.clone(), own.clone());
            take.sort(doc! { "number": 1 }).return_document(ReturnDocument::After).await
        };
        Ok(durable::patiently(take).await?.as_ref().map(read_range))
    }

    /// How many ranges are not done, other than those that this process works on.
    pub(crate) async fn ranges_elsewhere(&self, claim: &Claim, takes: &[String]) -> mongodb::error::Result<u64> {
        let mut open = claim.ranges();
        open.insert("done", false);
        open.insert("$nor", vec![doc! { "worker": &claim.worker, "take": { "$in": takes } }]);
        durable::patiently(async || self.backfills().count_documents(open.clone()).await).await
    }

    /// Marks a range as done. `counts` are missing if each batch has been counted.
    pub(crate) async fn range_done(
        &self,
        claim: &Claim,
        (number, take): (i32, &str),
        counts: Option<BackfillCounts>,
        failures: &[StoredFailure],
    ) -> mongodb::error::Result<Marked> {
        let mut set = doc! { "done": true };
        set.extend(failures_document(failures));
        set.extend(counts.map(|counts| ("counts".to_owned(), Bson::from(counts.document()))));
        let (filter, update) = (claim.own(number, take), doc! { "$set": set });
        let mark = async || self.backfills().update_one(filter.clone(), update.clone()).await;
        if durable::patiently(mark).await?.matched_count == 1 {
            return Ok(Marked::Done);
        }
        Ok(if self.has_backfill(claim).await? { Marked::Taken } else { Marked::Lost })
    }

    /// Whether the backfill is still that of the run.
    pub(crate) async fn has_backfill(&self, claim: &Claim) -> mongodb::error::Result<bool> {
        Ok(durable::patiently(async || self.backfills().find_one(claim.backfill()).await).await?.is_some())
    }

    /// Marks a batch of a range as done, in the transaction that writes it. Returns `false` if the range is no longer this process's.
    pub(crate) async fn batch_done(
        &self,
        session: &mut mongodb::ClientSession,
        claim: &Claim,
        (number, take, at): (i32, &str, &Bson),
        (counts, failures): (BackfillCounts, &[StoredFailure]),
    ) -> mongodb::error::Result<bool> {
        let mut increments = Document::new();
        for (key, count) in counts.document() {
            increments.insert(format!("counts.{key}"), count);
        }
        let mut update = doc! { "$set": { "at": { "id": at } }, "$inc": increments };
        if let Some(failures) = failures_document(failures).remove("failures") {
            let most = i64::try_from(FAILURES_KEPT).unwrap_or(i64::MAX);
            update.insert("$push", doc! { "failures": { "$each": failures, "$slice": most } });
        }
        // Of the session's client, without the options of a collection: a transaction takes none.
        let backfills = session.client().database(self.database().name()).collection::<Document>(BACKFILLS);
        Ok(backfills.update_one(claim.own(number, take), update).session(session).await?.matched_count == 1)
    }

    /// What the ranges of a backfill have counted.
    pub(crate) async fn backfill_counts(&self, id: &BackfillId, cut: &str) -> mongodb::error::Result<BackfillCounts> {
        let mut all = BackfillCounts::default();
        let of_it = doc! { "backfill": id.as_str(), "cut": cut };
        let mut cursor = self.backfills().find(of_it).projection(doc! { "counts": 1 }).await?;
        while cursor.advance().await? {
            let range = cursor.deserialize_current()?;
            if let Ok(counts) = range.get_document("counts") {
                all = all.with(BackfillCounts::read(counts));
            }
        }
        Ok(all)
    }

    /// The failures that the ranges of a backfill have stored.
    pub(crate) async fn backfill_failures(&self, id: &BackfillId, cut: &str) -> mongodb::error::Result<Vec<StoredFailure>> {
        let with_failures = doc! { "backfill": id.as_str(), "cut": cut, "failures": { "$exists": true } };
        let backfills = self.backfills();
        let find = backfills.find(with_failures).sort(doc! { "number": 1 }).projection(doc! { "failures": 1 });
        let mut cursor = find.await?;
        let mut failures = Vec::new();
        while failures.len() < FAILURES_KEPT && cursor.advance().await? {
            failures.extend(read_failures(&cursor.deserialize_current()?));
        }
        failures.truncate(FAILURES_KEPT);
        Ok(failures)
    }

    /// Notes that all of a backfill is done.
    pub(crate) async fn backfill_done(&self, claim: &Claim) -> mongodb::error::Result<()> {
        let done = doc! { "$set": { "done": true }, "$unset": { format!("workers.{}", claim.worker): true } };
        durable::patiently(async || self.backfills().update_one(claim.backfill(), done.clone()).await).await?;
        Ok(())
    }

    /// Removes everything that is stored about a backfill, unless a later run has it.
    pub(crate) async fn forget_backfill(&self, id: &BackfillId, fence: i64) -> mongodb::error::Result<()> {
        // The backfill first: without it, ranges mean nothing.
        for key in ["_id", "backfill"] {
            let filter = doc! { key: id.as_str(), "fence": { "$lte": fence } };
            durable::patiently(async || self.backfills().delete_many(filter.clone()).await).await?;
        }
        Ok(())
    }
}

impl Claim {
    /// Matches the backfill as long as no later run has it.
    pub(super) fn backfill(&self) -> Document {
        doc! { "_id": self.id.as_str(), "fence": self.fence }
    }

    fn ranges(&self) -> Document {
        doc! { "backfill": self.id.as_str(), "cut": &self.cut, "fence": self.fence }
    }

    /// Matches a range as long as this process has it by that take.
    fn own(&self, number: i32, take: &str) -> Document {
        let id = format!("{}/{}/{number}", self.id.as_str(), self.cut);
        doc! { "_id": id, "fence": self.fence, "worker": &self.worker, "take": take }
    }
}

fn read_range(document: &Document) -> StoredRange {
    let id = |key| document.get_document(key).ok().and_then(|value| value.get("id").cloned());
    let number = document.get_i32("number").unwrap_or_default();
    StoredRange { number, from: id("from"), to: id("to"), at: id("at") }
}
