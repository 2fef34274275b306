//! Puts back what the backfills of a migration have replaced, where it was not changed since.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::apply::{self, To};
use super::guard::key;
use super::undo_entry::{Decision, decide, id_of};
use crate::crash;
use crate::db::{Db, Migrating};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::shell;
use crate::report::{Progress, human_time};
use crate::store::{UndoPart, undo_id};

/// How many documents of the log are read at a time.
const BATCH: i64 = 500;

/// How many such batches are in flight.
const IN_FLIGHT: usize = 4;

/// How often a document that changes all the time is looked at.
const TRIES: u32 = 5;

/// How many conflicts are listed.
const LISTED: usize = 20;

/// What [`Db::undo`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undone {
    /// Documents that are as they were before the backfill.
    pub restored: u64,
    /// Documents that were changed since the backfill, or that the server refused to put back. They stayed as they are.
    pub conflicts: u64,
    /// Documents that the backfill had changed, and that were deleted since.
    pub gone: u64,
}

impl Db {
    /// Puts back what the backfills of this migration have replaced in a collection, with all their labels, the last one first. It
    /// is for `down`, and needs [`undo_log`](crate::Backfill::undo_log) in `up`.
    ///
    /// Fields that were changed since the backfill stay as they are: such documents are conflicts, which are counted, listed in a
    /// note, and kept in the log. Other fields may have changed. A document that was deleted by the backfill is inserted again,
    /// unless there is one with its `_id`.
    ///
    /// It can be repeated: what was put back already counts as restored, as long as it has not come to its end.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// pub async fn up(db: &Db) -> Result<()> {
    ///     let users = db.backfill("users").filter(doc! { "name": { "$type": "string" } }).undo_log();
    ///     users.each(|user: Document| Ok(Write::set("name", user.get_str("name")?.trim()))).await?;
    ///     Ok(())
    /// }
    ///
    /// pub async fn down(db: &Db) -> Result<()> {
    ///     let undone = db.undo("users").await?;
    ///     if undone.conflicts > 0 {
    ///         return Err("some users were changed since".into());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// There is no undo log, or it was not kept for so long; it is called in a subtask; the run was asked to stop; or the server
    /// failed.
    pub async fn undo(&self, collection: impl Into<String>) -> Result<Undone> {
        let collection = collection.into();
        let Some(of) = self.migrating() else {
            let message = format!("`db.undo(\"{collection}\")` is for the `down` of a migration, and this is a subtask");
            return Err(Error::usage(message).into());
        };
        let parts = of.store.undo_parts(&of.stem, &collection).await?;
        let undo = Undo { db: self, of, collection, done: Cell::default(), listed: RefCell::default() };
        undo.check(&parts)?;
        let log = of.store.undo_log(&of.stem);
        let progress = self.progress(log.estimated_document_count().await?);
        progress.set_message(format!("putting back `{}`", undo.collection));
        for part in &parts {
            undo.part(&part.label, &progress).await?;
        }
        undo.list();
        Ok(undo.done.get())
    }
}

struct Undo<'u> {
    db: &'u Db,
    of: &'u Migrating,
    collection: String,
    done: Cell<Undone>,
    /// The first conflicts.
    listed: RefCell<Vec<String>>,
}

impl Undo<'_> {
    /// An error if there is nothing to put back from.
    fn check(&self, parts: &[UndoPart]) -> Result<()> {
        let (collection, stem) = (&self.collection, &self.of.stem);
        // The advice is part of the message: a migration's error is printed as a cause, which has no hint of its own.
        let advice = "what cannot be put back has to be repaired by `down` itself, or from a dump";
        if parts.is_empty() {
            let why = format!("its backfills have not written one, or it was dropped; {advice}");
            return Err(Error::failed(format!("there is no undo log of `{collection}` of {stem}: {why}")).into());
        }
        let now = DateTime::now();
        match parts.iter().find(|part| !part.is_undone && part.expires_at() < now) {
            Some(part) => {
                let (days, until) = (part.days, human_time(part.expires_at()));
                let text =
                    format!("the undo log of `{collection}` of {stem} was kept for {days} days, until {until}; {advice}");
                Err(Error::failed(text).into())
            }
            None => Ok(()),
        }
    }

    /// Puts back what one backfill has replaced.
    async fn part(&self, label: &str, progress: &Progress) -> Result<()> {
        let log = self.of.store.undo_log(&self.of.stem);
        let mut from = undo_id(&self.collection, label, Bson::MinKey);
        let to = undo_id(&self.collection, label, Bson::MaxKey);
        let mut comparison = "$gte";
        let mut in_flight = FuturesUnordered::new();
        loop {
            if self.db.is_stopping() {
                let text =
                    format!("putting back `{}` stopped as asked: the next run goes on with the rest", self.collection);
                return Err(Error::failed(text).into());
            }
            let entries = durable::patiently(async || {
                let mut cursor = log
                    .find(doc! { "_id": { comparison: &from, "$lte": &to } })
                    .sort(doc! { "_id": 1 })
                    .limit(BATCH)
                    .await?;
                let mut entries = Vec::new();
                while cursor.advance().await? {
                    entries.push(cursor.deserialize_current()?);
                }
                Ok(entries)
            })
            .await?;
            let Some(last) = entries.last() else { break };
            (from, comparison) = (last.get_document("_id")?.clone(), "$gt");
            in_flight.push(self.batch(entries, progress));
            if in_flight.len() == IN_FLIGHT {
                in_flight.next().await.transpose()?;
            }
        }
        while in_flight.next().await.transpose()?.is_some() {}
        self.of.store.end_undo(&self.of.stem, &self.collection, label).await?;
        crash::point("undo log emptied");
        Ok(())
    }

    async fn batch(&self, entries: Vec<Document>, progress: &Progress) -> Result<()> {
        let count = entries.len() as u64;
        let mut open = entries;
        let mut refused: HashMap<Vec<u8>, String> = HashMap::new();
        for attempt in 0..=TRIES {
            let present = self.present(&open).await?;
            let (mut sent, mut statements) = (Vec::new(), Vec::new());
            for entry in open {
                let key = key(&id_of(&entry));
                match decide(&entry, present.get(&key))? {
                    Decision::Restored => self.restored(&entry).await?,
                    Decision::Gone => self.count(|done| done.gone += 1),
                    Decision::Conflict => self.conflict(&entry, None).await?,
                    Decision::Write(_) if refused.contains_key(&key) || attempt == TRIES => {
                        self.conflict(&entry, refused.get(&key)).await?;
                    }
                    Decision::Write(statement) => {
                        statements.push((sent.len(), statement));
                        sent.push(entry);
                    }
                }
            }
            if sent.is_empty() {
                break;
            }
            let outcome = apply::updates(&mut To::Database(self.db), &self.collection, statements).await?;
            for (place, code, why) in &outcome.refused {
                refused.insert(key(&id_of(&sent[*place])), format!("{why} (code {code})"));
            }
            if outcome.matched == sent.len() as u64 {
                for entry in &sent {
                    self.restored(entry).await?;
                }
                break;
            }
            // The answer does not say which documents have changed in the meantime, so all of them are looked at again.
            open = sent;
        }
        progress.inc(count);
        crash::point("undo batch written");
        Ok(())
    }

    fn count(&self, add: impl FnOnce(&mut Undone)) {
        let mut done = self.done.get();
        add(&mut done);
        self.done.set(done);
    }

    /// Counts a document that is as it was before.
    async fn restored(&self, entry: &Document) -> Result<()> {
        self.count(|done| done.restored += 1);
        // It was a conflict when this was called before.
        if entry.contains_key("conflict") {
            self.mark(entry, doc! { "$unset": { "conflict": true } }).await?;
        }
        Ok(())
    }

    async fn mark(&self, entry: &Document, update: Document) -> Result<()> {
        let filter = doc! { "_id": { "$eq": entry.get("_id") } };
        let log = self.of.store.undo_log(&self.of.stem);
        durable::patiently(async || log.update_one(filter.clone(), update.clone()).await).await?;
        Ok(())
    }

    /// The documents that the entries are about, as they are now.
    async fn present(&self, entries: &[Document]) -> Result<HashMap<Vec<u8>, Document>> {
        let ids: Vec<Bson> = entries.iter().map(id_of).collect();
        let documents = self.db.collection::<Document>(&self.collection);
        let present = durable::patiently(async || {
            let mut cursor = documents.find(doc! { "_id": { "$in": &ids } }).await?;
            let mut present = HashMap::new();
            while cursor.advance().await? {
                let document = cursor.deserialize_current()?;
                present.insert(key(document.get("_id").unwrap_or(&Bson::Null)), document);
            }
            Ok(present)
        });
        Ok(present.await?)
    }

    /// Counts a document that stays as it is, and marks it in the log, where it stays too.
    async fn conflict(&self, entry: &Document, refused: Option<&String>) -> Result<()> {
        self.count(|done| done.conflicts += 1);
        let why = refused.map_or("it was changed since", String::as_str);
        if self.listed.borrow().len() < LISTED {
            self.listed.borrow_mut().push(format!("{}: {why}", shell(&id_of(entry))));
        }
        self.mark(entry, doc! { "$set": { "conflict": why } }).await
    }

    fn list(&self) {
        let Undone { restored, conflicts, gone } = self.done.get();
        let listed = self.listed.borrow();
        let documents = |count: u64| if count == 1 { "1 document".to_owned() } else { format!("{count} documents") };
        let name = &self.collection;
        if restored > 0 {
            self.db.note(format!("{} of `{name}` were put back", documents(restored)));
        }
        if gone > 0 {
            self.db.note(format!("{} of `{name}` were deleted since the backfill, and stay deleted", documents(gone)));
        }
        if conflicts > 0 {
            let more = conflicts.saturating_sub(listed.len() as u64);
            let more = if more == 0 { String::new() } else { format!("\n  and {more} more") };
            let text = format!("{} of `{name}` were not put back, and stay as they are:", documents(conflicts));
            self.db.note(format!("{text}\n  {}{more}", listed.join("\n  ")));
        }
    }
}
