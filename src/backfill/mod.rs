//! Backfills: the part of a migration that rewrites many documents, in the background of an application that goes on.

mod ahead;
mod apply;
mod check;
mod decode;
mod drive;
mod effect;
mod ends;
mod failures;
mod guard;
mod ledger;
mod load;
mod pace;
mod pulse;
mod ranges;
mod read;
mod settings;
mod shared;
mod source;
mod totals;
mod transactions;
mod undo;
mod undo_entry;
mod undo_log;
mod verify;
mod view;
mod work;
mod write;

use std::sync::Arc;

use mongodb::bson::Document;
use serde::de::DeserializeOwned;

use crate::db::Db;
use crate::error::Result;
use settings::Settings;
pub use undo::Undone;
use work::Work;
pub use write::Write;

impl Db {
    /// Begins a backfill: documents of a collection are read, a closure says what to write for each, and that is written, fast and
    /// without getting in the way of an application that goes on.
    ///
    /// A document that the application changes between our read and our write is read and computed again: what was computed from an old
    /// state is never written.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// pub async fn up(db: &Db) -> Result<()> {
    ///     db.backfill("users")
    ///         .filter(doc! { "slug": { "$exists": false } })
    ///         .reads(["name"])
    ///         .each(|user: Document| Ok(Write::set("slug", user.get_str("name")?.to_lowercase())))
    ///         .await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn backfill(&self, collection: impl Into<String>) -> Backfill<'_> {
        Backfill { db: self, settings: Settings { collection: collection.into(), ..Settings::default() } }
    }
}

/// A backfill that is being described. [`Db::backfill`] makes one; [`each`](Self::each), [`each_batch`](Self::each_batch) and
/// [`pipeline`](Self::pipeline) carry it out.
#[derive(Clone, Debug)]
#[must_use = "it is carried out by `each`, `each_batch` or `pipeline`"]
pub struct Backfill<'d> {
    db: &'d Db,
    settings: Settings,
}

/// What a backfill has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backfilled {
    /// Documents that were read.
    pub read: u64,
    /// Documents that were changed.
    pub modified: u64,
    /// Documents that were deleted.
    pub deleted: u64,
    /// Writes that were computed again, because the document was changed in the meantime.
    pub repeated: u64,
    /// Documents that failed, and were tolerated.
    pub failed: u64,
}

impl<'d> Backfill<'d> {
    /// Only documents that match. A filter that no longer matches what is done is of use twice: at the end it is asked again, so
    /// that what the application has written meanwhile comes along; and a second run has little to do.
    pub fn filter(mut self, filter: Document) -> Self {
        self.settings.filter = filter;
        self
    }

    /// The fields that the closure needs. Only these are read; without it all fields are. Where documents are guarded one by one, which is
    /// on a standalone server, with [`each_batch`](Self::each_batch), and where the application writes to the same documents again and
    /// again, only a change of one of these makes it compute again.
    ///
    /// For a field of a subdocument (`address.city`) the complete subdocument is read.
    pub fn reads<F: Into<String>>(mut self, fields: impl IntoIterator<Item = F>) -> Self {
        self.settings.reads = Some(fields.into_iter().map(Into::into).collect());
        self
    }

    /// A name, where one migration has several backfills.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.settings.label = Some(label.into());
        self
    }

    /// One batch at a time.
    pub fn gently(mut self) -> Self {
        self.settings.is_gentle = true;
        self
    }

    /// At most so many documents a second.
    pub fn at_most(mut self, documents_per_second: u32) -> Self {
        self.settings.at_most = Some(documents_per_second.max(1));
        self
    }

    /// So many batches in flight, whatever the server's load. Without it the number adapts.
    pub fn in_flight(mut self, batches: usize) -> Self {
        self.settings.in_flight = Some(batches.max(1));
        self
    }

    /// Each batch and the mark that says how far it has come are one transaction: however often the backfill is killed, each document is
    /// written once. Then writes may be used that do more each time, such as `$inc`, `$push`, and inserts without an `_id`.
    ///
    /// It is slower, and needs a replica set. A document that is changed in the meantime is read and computed again, without any other
    /// guard. The filter is not asked again at the end: what is left then is reported.
    pub fn exactly_once(mut self) -> Self {
        self.settings.exactly_once = true;
        self
    }

    /// Goes on until more than so many documents have failed: they do not decode, the closure fails for them, or the server refuses
    /// the write (a validator, a unique index). They stay as they are, and are listed at the end, in the log and in `history`, up to
    /// a hundred of them.
    ///
    /// Without it, the first one ends the backfill, with its `_id` and why.
    pub fn tolerate(mut self, documents: u64) -> Self {
        self.settings.tolerated = documents;
        self
    }

    /// At the end, everything that matches the filter is read again, and the closure is applied: nothing may be left to write. If
    /// something is, the backfill fails, and names the first `_id`s; the migration's next run begins it again.
    ///
    /// What would be written is compared here, so a write is made of `$set`, `$unset`, a replacement or a deletion, and of nothing
    /// in other collections. Others are an error before anything is written, if that can be known from a sample.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// pub async fn up(db: &Db) -> Result<()> {
    ///     let users = db.backfill("users").filter(doc! { "email": { "$type": "string" } }).reads(["email"]).verify();
    ///     users.each(|user: Document| Ok(Write::set("email", user.get_str("email")?.to_lowercase()))).await?;
    ///     Ok(())
    /// }
    /// ```
    pub fn verify(mut self) -> Self {
        self.settings.is_verified = true;
        self
    }

    /// Keeps what it replaces for 30 days, so that the migration's `down` can put it back with [`Db::undo`]. Before the first write,
    /// a note says how large that will be.
    ///
    /// The old values of the fields that change are kept, and complete documents that are replaced or deleted, in the collection
    /// `migrations_undo_` and the migration's name. All fields of each document are read. A write that changes nothing is not sent.
    /// What is written to other collections is not in it.
    ///
    /// A write is made of `$set`, `$unset`, a replacement or a deletion; a document with another one fails. A
    /// [`pipeline`](Self::pipeline) is refused.
    pub fn undo_log(self) -> Self {
        self.undo_log_for(undo_log::DAYS)
    }

    /// Like [`undo_log`](Self::undo_log), for so many days.
    pub fn undo_log_for(mut self, days: u32) -> Self {
        self.settings.undo_days = Some(days.max(1));
        self
    }

    /// Carries it out: the closure says what to write for a document. It is called on all cores, and may be called more than once
    /// for a document.
    ///
    /// # Errors
    /// A document does not decode, the closure fails, the server refuses a write, or a collection of that kind cannot be
    /// backfilled. The message has the document's `_id`.
    pub async fn each<T>(self, compute: impl Fn(T) -> Result<Write> + Send + Sync + 'static) -> Result<Backfilled>
    where
        T: DeserializeOwned,
    {
        self.run(&Work::Each(Arc::new(decode::each(compute)))).await
    }

    /// Carries it out: the closure gets the database and a batch of documents, for look-ups, and returns a write for each, in the
    /// same order.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    pub async fn each_batch<T>(self, compute: impl AsyncFn(&Db, Vec<T>) -> Result<Vec<Write>>) -> Result<Backfilled>
    where
        T: DeserializeOwned,
    {
        let batch = Box::new(decode::batch(self.db, &compute));
        self.run(&Work::Batch(batch)).await
    }

    /// Carries it out: the server computes each document with an aggregation pipeline, without sending it here.
    ///
    /// The result must be the same if it is computed twice, or the filter must no longer match it.
    ///
    /// # Errors
    /// The server refuses the pipeline, or a collection of that kind cannot be backfilled.
    pub async fn pipeline(self, stages: impl IntoIterator<Item = Document>) -> Result<Backfilled> {
        let stages: Vec<Document> = stages.into_iter().collect();
        self.run(&Work::pipeline(&stages)?).await
    }

    async fn run(&self, work: &Work<'_>) -> Result<Backfilled> {
        let totals = drive::run(self.db, &self.settings, work).await?;
        let totals::Totals { read, modified, deleted, repeated, failed } = totals;
        Ok(Backfilled { read, modified, deleted, repeated, failed })
    }
}
