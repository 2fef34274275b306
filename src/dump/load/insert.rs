//! Inserts the documents of a dump's file into a collection.

use std::path::PathBuf;
use std::sync::Arc;

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{CollectionOptions, UpdateModifications};
use mongodb::{Collection, Database};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};

use super::raw;
use super::server::{self, EMPTY, STAGES};
use crate::crash;
use crate::dump::fields;
use crate::dump::read::Documents;
use crate::error::{Error, Result};
use crate::process::stop::Stop;
use crate::report::Progress;

/// The limits of one insert command.
pub(super) const BATCH_BYTES: usize = 4 << 20;
pub(super) const BATCH_DOCUMENTS: usize = 20_000;

/// How many insert commands into one collection run at a time.
const AT_A_TIME: usize = 3;

/// How much data may be in memory between the files and the server, in KiB.
const ROOM: usize = 20 << 10;

/// What all inserts of a restore have in common.
pub(super) struct Inserts<'r> {
    pub(super) database: &'r Database,
    pub(super) progress: &'r Progress,
    /// Asked to stop when the restore is to end early: no further command is sent then.
    pub(super) cancel: &'r Stop,
    room: Arc<Semaphore>,
}

/// Where the documents of a file go.
pub(super) struct Target<'t> {
    pub(super) collection: &'t str,
    /// Whether the documents must keep their order: those of a capped collection.
    pub(super) in_order: bool,
    /// Whether the server would refuse documents that do not match a validator.
    pub(super) has_validator: bool,
}

impl<'r> Inserts<'r> {
    pub(super) fn new(database: &'r Database, progress: &'r Progress, cancel: &'r Stop) -> Self {
        Self { database, progress, cancel, room: Arc::new(Semaphore::new(ROOM)) }
    }

    /// Inserts the documents of a file. A thread reads the file while several commands run at a time. When this returns, even with
    /// an error, no command is under way: a late one would create the collection again after it was dropped.
    pub(super) async fn insert(&self, path: PathBuf, target: &Target<'_>) -> Result<()> {
        let (sender, mut receiver) = mpsc::channel::<(Batch, OwnedSemaphorePermit)>(1);
        let room = Arc::clone(&self.room);
        let runtime = tokio::runtime::Handle::current();
        let reading = tokio::task::spawn_blocking(move || -> Result<(), Error> {
            let mut input = Documents::open(&path)?;
            let mut batch = Batch::default();
            loop {
                let document = input.next()?;
                let is_last = document.is_none();
                batch.extend(document);
                if batch.is_full() || is_last && !batch.documents.is_empty() {
                    let size = u32::try_from((batch.bytes >> 10).clamp(1, ROOM)).expect("at most ROOM");
                    let permit =
                        runtime.block_on(Arc::clone(&room).acquire_many_owned(size)).expect("the semaphore is never closed");
                    if sender.blocking_send((std::mem::take(&mut batch), permit)).is_err() {
                        return Ok(());
                    }
                }
                if is_last {
                    return Ok(());
                }
            }
        });
        let writer = Arc::new(self.writer(target));
        let at_a_time = if target.in_order { 1 } else { AT_A_TIME };
        let mut inserting = JoinSet::new();
        let mut outcome = Ok(());
        while let Some((batch, permit)) = receiver.recv().await {
            while inserting.len() >= at_a_time && outcome.is_ok() {
                outcome = self.count(inserting.join_next().await);
            }
            if outcome.is_err() || self.cancel.is_asked() {
                break;
            }
            let writer = Arc::clone(&writer);
            inserting.spawn(async move {
                let inserted = writer.insert(&batch).await;
                drop(permit);
                inserted
            });
        }
        drop(receiver);
        while !inserting.is_empty() {
            outcome = outcome.and(self.count(inserting.join_next().await));
        }
        outcome?;
        reading.await.map_err(|error| Error::failed("a file of the dump could not be read").caused_by(error))??;
        Ok(())
    }

    fn writer(&self, target: &Target<'_>) -> Writer {
        let options = CollectionOptions::builder().write_concern(server::write_concern()).build();
        Writer {
            database: self.database.clone(),
            collection: self.database.collection_with_options(target.collection, options),
            in_order: target.in_order,
            bypasses_validator: target.has_validator,
        }
    }

    /// Adds the size of a batch to the progress when its insert has ended.
    fn count(&self, joined: Joined) -> Result<()> {
        match joined {
            Some(Ok(Ok(bytes))) => {
                crash::point("documents inserted");
                self.progress.inc(bytes as u64);
            }
            Some(Ok(Err(error))) => return Err(error.into()),
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
        Ok(())
    }
}

type Joined = Option<Result<mongodb::error::Result<usize>, JoinError>>;

/// The documents of one insert command.
#[derive(Default)]
struct Batch {
    documents: Vec<RawDocumentBuf>,
    bytes: usize,
}

impl Batch {
    fn extend(&mut self, document: Option<RawDocumentBuf>) {
        self.bytes += document.as_ref().map_or(0, |document| document.as_bytes().len());
        self.documents.extend(document);
    }

    fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.documents.len() >= BATCH_DOCUMENTS
    }
}

/// Writes into one collection.
struct Writer {
    database: Database,
    collection: Collection<RawDocumentBuf>,
    in_order: bool,
    bypasses_validator: bool,
}

impl Writer {
    /// Inserts a batch, and returns its size.
    async fn insert(&self, batch: &Batch) -> mongodb::error::Result<usize> {
        for documents in batch.documents.chunk_by(|a, b| raw::is_readable(a) == raw::is_readable(b)) {
            if documents.first().is_some_and(|document| raw::is_readable(document)) {
                let mut insert = self.collection.insert_many(documents).ordered(self.in_order);
                if self.bypasses_validator {
                    insert = insert.bypass_document_validation(true);
                }
                insert.await?;
                continue;
            }
            for document in documents {
                raw::insert(&self.database, self.collection.name(), document, self.bypasses_validator).await?;
            }
        }
        // An insert replaces an empty timestamp with the current time, while an update keeps it.
        for document in &batch.documents {
            let names = empty_timestamps(document);
            if names.is_empty() {
                continue;
            }
            let Some(fields) = texts(&names).filter(|_| raw::is_readable(document)) else {
                let name = self.collection.name();
                raw::set_empty(&self.database, name, document, &names, self.bypasses_validator).await?;
                continue;
            };
            let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
            for modifications in emptying(fields) {
                let mut update = self.collection.update_one(doc! { "_id": id.clone() }, modifications);
                if self.bypasses_validator {
                    update = update.bypass_document_validation(true);
                }
                update.await?;
            }
        }
        Ok(batch.bytes)
    }
}

/// Returns the names of the top-level fields whose value is the empty timestamp and would be replaced. An `_id` is not.
fn empty_timestamps(document: &RawDocumentBuf) -> Vec<&[u8]> {
    const TIMESTAMP: u8 = 0x11;
    // Most documents do not contain eight zero bytes in a row.
    if !document.as_bytes().windows(8).any(|bytes| bytes == [0; 8]) {
        return Vec::new();
    }
    let fields = fields::of(document.as_bytes()).filter(|field| field.kind == TIMESTAMP && field.value == [0; 8]);
    fields.map(|field| field.name).filter(|name| *name != b"_id").collect()
}

/// Returns the names as texts, or `None` if one of them is not UTF-8.
fn texts(names: &[&[u8]]) -> Option<Vec<String>> {
    names.iter().map(|name| std::str::from_utf8(name).ok().map(str::to_owned)).collect()
}

/// Returns updates that set those fields to the empty timestamp.
fn emptying(fields: Vec<String>) -> Vec<UpdateModifications> {
    // `$set` takes a name with a dot for a path, and refuses an empty name and most that begin with a dollar. `$setField` takes any
    // name, but servers before 5.0 do not have it.
    let is_plain = |name: &String| !name.is_empty() && !name.starts_with('$') && !name.contains('.');
    let (plain, other): (Vec<_>, Vec<_>) = fields.into_iter().partition(is_plain);
    let mut updates = Vec::new();
    if !plain.is_empty() {
        let fields: Document = plain.into_iter().map(|name| (name, Bson::Timestamp(EMPTY))).collect();
        updates.push(UpdateModifications::Document(doc! { "$set": fields }));
    }
    let stage = |name: &String| {
        let set = doc! { "field": { "$literal": name }, "input": "$$ROOT", "value": { "$literal": EMPTY } };
        doc! { "$replaceWith": { "$setField": set } }
    };
    updates.extend(other.chunks(STAGES).map(|names| UpdateModifications::Pipeline(names.iter().map(stage).collect())));
    updates
}

#[cfg(test)]
mod tests {
    use mongodb::bson::Timestamp;

    use super::*;

    #[test]
    fn an_empty_timestamp_is_set_under_its_name_and_not_under_a_path() {
        let document = doc! {
            "_id": EMPTY, "a": EMPTY, "a.b": EMPTY, "$c": EMPTY, "": EMPTY, "é": EMPTY,
            "in": { "a": EMPTY }, "other": Timestamp { time: 1, increment: 0 }, "zero": 0_i64,
        };
        let document = RawDocumentBuf::try_from(&document).unwrap();
        let fields = texts(&empty_timestamps(&document)).unwrap();
        assert_eq!(fields, ["a", "a.b", "$c", "", "é"]);
        match &emptying(fields)[..] {
            [UpdateModifications::Document(plain), UpdateModifications::Pipeline(stages)] => {
                assert_eq!(*plain, doc! { "$set": { "a": EMPTY, "é": EMPTY } });
                let set = |name: &str| {
                    let set = doc! { "field": { "$literal": name }, "input": "$$ROOT", "value": { "$literal": EMPTY } };
                    doc! { "$replaceWith": { "$setField": set } }
                };
                assert_eq!(*stages, [set("a.b"), set("$c"), set("")]);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn many_names_take_several_updates() {
        let names: Vec<_> = (0..=2 * STAGES).map(|number| format!("a.{number}")).collect();
        assert_eq!(emptying(names).len(), 3);
        assert!(emptying(Vec::new()).is_empty());
    }
}
