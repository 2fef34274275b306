//! Puts back what the backfills of a migration have replaced, where it was not changed since.

use std::collections::HashMap;

use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc, rawdoc};

use super::apply::{self, To};
use super::effect::{at, is_same, is_same_document};
use crate::crash;
use crate::db::{Db, Migrating};
use crate::durable;
use crate::error::{Error, Result};
use crate::model::shell;
use crate::report::{Progress, human_time};
use crate::store::{UndoPart, undo_id};

/// How many documents of the log are read at a time.
const BATCH: i64 = 500;

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
        let mut undo = Undo { db: self, of, collection, done: Undone::default(), listed: Vec::new() };
        undo.check(&parts)?;
        let log = of.store.undo_log(&of.stem);
        let progress = self.progress(log.estimated_document_count().await?);
        progress.set_message(format!("putting back `{}`", undo.collection));
        for part in &parts {
            undo.part(&part.label, &progress).await?;
        }
        undo.list();
        Ok(undo.done)
    }
}

struct Undo<'u> {
    db: &'u Db,
    of: &'u Migrating,
    collection: String,
    done: Undone,
    /// The first conflicts.
    listed: Vec<String>,
}

/// What there is to do about one document.
enum Decision {
    Restored,
    Gone,
    Conflict,
    Write(RawDocumentBuf),
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
    async fn part(&mut self, label: &str, progress: &Progress) -> Result<()> {
        let log = self.of.store.undo_log(&self.of.stem);
        let mut from = undo_id(&self.collection, label, Bson::MinKey);
        let to = undo_id(&self.collection, label, Bson::MaxKey);
        let mut comparison = "$gte";
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
            let count = entries.len() as u64;
            self.batch(entries).await?;
            progress.inc(count);
            crash::point("undo batch written");
        }
        self.of.store.end_undo(&self.of.stem, &self.collection, label).await?;
        crash::point("undo log emptied");
        Ok(())
    }

    async fn batch(&mut self, entries: Vec<Document>) -> Result<()> {
        let mut open = entries;
        let mut refused: HashMap<Vec<u8>, String> = HashMap::new();
        for attempt in 0..=TRIES {
            let present = self.present(&open).await?;
            let (mut sent, mut statements) = (Vec::new(), Vec::new());
            for entry in open {
                let key = key(&id_of(&entry));
                match decide(&entry, present.get(&key))? {
                    Decision::Restored => self.restored(&entry).await?,
                    Decision::Gone => self.done.gone += 1,
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
        Ok(())
    }

    /// Counts a document that is as it was before.
    async fn restored(&mut self, entry: &Document) -> Result<()> {
        self.done.restored += 1;
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
    async fn conflict(&mut self, entry: &Document, refused: Option<&String>) -> Result<()> {
        self.done.conflicts += 1;
        let why = refused.map_or("it was changed since", String::as_str);
        if self.listed.len() < LISTED {
            self.listed.push(format!("{}: {why}", shell(&id_of(entry))));
        }
        self.mark(entry, doc! { "$set": { "conflict": why } }).await
    }

    fn list(&self) {
        let Undone { restored, conflicts, gone } = self.done;
        let documents = |count: u64| if count == 1 { "1 document".to_owned() } else { format!("{count} documents") };
        let name = &self.collection;
        if restored > 0 {
            self.db.note(format!("{} of `{name}` were put back", documents(restored)));
        }
        if gone > 0 {
            self.db.note(format!("{} of `{name}` were deleted since the backfill, and stay deleted", documents(gone)));
        }
        if conflicts > 0 {
            let more = conflicts.saturating_sub(self.listed.len() as u64);
            let more = if more == 0 { String::new() } else { format!("\n  and {more} more") };
            let text = format!("{} of `{name}` were not put back, and stay as they are:", documents(conflicts));
            self.db.note(format!("{text}\n  {}{more}", self.listed.join("\n  ")));
        }
    }
}

/// What there is to do for an entry of the log.
fn decide(entry: &Document, present: Option<&Document>) -> Result<Decision> {
    let id = id_of(entry);
    let own = doc! { "_id": { "$eq": &id } };
    let kind = entry.get_str("kind").unwrap_or_default();
    let Some(present) = present else {
        return Ok(match kind {
            "delete" => {
                // It matches nothing, so it inserts, unless there is a document of that `_id` by then.
                let filter = doc! { "_id": { "$eq": &id }, "$nor": [{}] };
                let (filter, document) = (raw(&filter)?, raw(entry.get_document("document")?)?);
                Decision::Write(rawdoc! { "q": filter, "u": document, "multi": false, "upsert": true })
            }
            _ => Decision::Gone,
        });
    };
    if kind != "update" {
        let before = entry.get_document("document")?;
        return Ok(match entry.get_document("now") {
            _ if is_same_document(present, before) => Decision::Restored,
            Ok(now) if is_same_document(present, now) => {
                let is_now = doc! { "$expr": { "$eq": ["$$ROOT", { "$literal": now }] } };
                let filter = doc! { "$and": [own, is_now] };
                Decision::Write(rawdoc! { "q": raw(&filter)?, "u": raw(before)?, "multi": false })
            }
            _ => Decision::Conflict,
        });
    }
    let (was, now) = (entry.get_document("was")?, entry.get_document("now")?);
    let missing: Vec<&str> = entry.get_array("missing")?.iter().filter_map(Bson::as_str).collect();
    let paths: Vec<&str> = was.keys().map(String::as_str).chain(missing.iter().copied()).collect();
    let is_as = |values: &Document| paths.iter().all(|path| is_same(at(present, path), values.get(path)));
    if is_as(was) {
        return Ok(Decision::Restored);
    }
    if !is_as(now) {
        return Ok(Decision::Conflict);
    }
    let mut conditions = vec![own];
    conditions.extend(paths.iter().map(|path| {
        let field = format!("${path}");
        doc! { "$expr": match now.get(path) {
            Some(value) => doc! { "$eq": [field, { "$literal": value }] },
            None => doc! { "$eq": [{ "$type": field }, "missing"] },
        } }
    }));
    let mut update = Document::new();
    if !was.is_empty() {
        update.insert("$set", was);
    }
    if !missing.is_empty() {
        update.insert("$unset", missing.iter().map(|path| ((*path).to_owned(), Bson::from(true))).collect::<Document>());
    }
    Ok(Decision::Write(rawdoc! { "q": raw(&doc! { "$and": conditions })?, "u": raw(&update)?, "multi": false }))
}

fn raw(document: &Document) -> Result<RawDocumentBuf> {
    Ok(RawDocumentBuf::try_from(document)?)
}

/// The `_id` of the document that an entry of the log is about.
fn id_of(entry: &Document) -> Bson {
    entry.get_document("_id").ok().and_then(|id| id.get("id").cloned()).unwrap_or(Bson::Null)
}

/// The bytes of an `_id`.
fn key(id: &Bson) -> Vec<u8> {
    raw(&doc! { "": id }).map(|raw| raw.as_bytes().to_vec()).unwrap_or_default()
}
