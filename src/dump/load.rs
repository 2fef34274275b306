//! Restores a dump into a database, in place of the present collections.

use std::path::PathBuf;
use std::sync::Arc;

use mongodb::bson::{Bson, Document, RawDocumentBuf, Timestamp, doc};
use mongodb::options::UpdateModifications;
use mongodb::{Collection, Database};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::catalog::{self, Kind};
use super::read::Documents;
use super::verify::{Part, Verified};
use crate::error::{Error, Result, hint_of};
use crate::report::{Progress, Reporter};
use crate::store::{LOCK, LOG};

/// The limits of one insert command.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_DOCUMENTS: usize = 20_000;

/// How many insert commands run at a time.
const AT_A_TIME: usize = 3;

/// How much data may be in memory between the file and the server, in KiB.
const ROOM: usize = 20 << 10;

/// What an insert replaces with the current time.
const EMPTY: Timestamp = Timestamp { time: 0, increment: 0 };

/// How many stages the pipeline of one update has at most. The server's limit is 1000, or 200 where it was built for debugging.
const STAGES: usize = 100;

/// Which of the tool's own collections a restore leaves unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// None of them: the server is a throwaway.
    Nothing,
    /// The lock, which the restore holds, and the log, which records what was really run.
    LockAndLog,
}

impl Keep {
    fn keeps(self, collection: &str) -> bool {
        self == Self::LockAndLog && (collection == LOCK || collection == LOG)
    }
}

/// Returns the collections that a restore would replace or remove, with the approximate number of documents in each, or `None` if
/// the user may not count them.
pub(crate) async fn replaced(database: &Database) -> Result<Vec<(String, Option<u64>)>> {
    let mut all = Vec::new();
    for collection in
        catalog::read(database).await.map_err(|error| Error::failed("the database could not be read").caused_by(error))?
    {
        if Keep::LockAndLog.keeps(&collection.name) {
            continue;
        }
        let count = match collection.kind {
            Kind::View => Some(0),
            _ => database.collection::<Document>(&collection.name).estimated_document_count().await.ok(),
        };
        all.push((collection.name, count));
    }
    Ok(all)
}

/// The error of a restore that may have changed the database already.
fn failed(message: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error: Box<dyn std::error::Error + Send + Sync> = error.into();
    // A cause with a hint of its own, such as a damaged file, says better what to do.
    let is_advised = hint_of(&*error).is_some();
    let failed = Error::failed(message).caused_by(error);
    if is_advised { failed } else { failed.with_hint("run the restore again") }
}

/// Drops the collections of the database, and restores those of the dump.
pub(crate) async fn load(database: &Database, dump: &Verified, keep: Keep, reporter: &Reporter) -> Result<()> {
    let unremoved = |error| failed("the present collections could not be dropped", error);
    for name in existing(database, keep).await.map_err(unremoved)? {
        database.collection::<Document>(&name).drop().await.map_err(unremoved)?;
    }
    let parts: Vec<&Part> = dump.parts.iter().filter(|part| !keep.keeps(&part.collection.name)).collect();
    let progress = reporter.transfer(parts.iter().map(|part| part.bytes).sum());
    for part in parts.iter().filter(|part| part.collection.kind != Kind::View) {
        progress.set_message(format!("{}, {} documents", part.collection.name, part.documents));
        restore_collection(database, part, &progress).await?;
    }
    // Views are created last, since they need the collections, and one view may be defined on another.
    let mut views: Vec<&Part> = parts.into_iter().filter(|part| part.collection.kind == Kind::View).collect();
    while !views.is_empty() {
        let before = views.len();
        let mut left = Vec::new();
        let names: Vec<String> = views.iter().map(|view| view.collection.name.clone()).collect();
        for view in views {
            let on = view.collection.options.get_str("viewOn").unwrap_or_default();
            if names.iter().any(|name| name == on && *name != view.collection.name) {
                left.push(view);
            } else {
                create(database, view).await?;
            }
        }
        if left.len() == before {
            return Err(Error::failed("the dump's views are defined on each other in a circle").into());
        }
        views = left;
    }
    Ok(())
}

/// Restores the dump's log if the database has none, so that earlier runs are known.
pub(crate) async fn load_log(database: &Database, dump: &Verified, reporter: &Reporter) -> Result<()> {
    let Some(part) = dump.parts.iter().find(|part| part.collection.name == LOG) else { return Ok(()) };
    if database.list_collection_names().await?.iter().any(|name| name == LOG) {
        return Ok(());
    }
    let loaded = restore_collection(database, part, &reporter.transfer(part.bytes)).await;
    if loaded.is_err() {
        // The next restore would take a partial log for a complete one.
        let _ = database.collection::<Document>(LOG).drop().await;
    }
    loaded
}

/// Lists the collections to drop. Views come first: they may be defined on a collection that is dropped.
async fn existing(database: &Database, keep: Keep) -> mongodb::error::Result<Vec<String>> {
    let mut all = catalog::read(database).await?;
    all.retain(|collection| !keep.keeps(&collection.name));
    all.sort_by_key(|collection| collection.kind != Kind::View);
    Ok(all.into_iter().map(|collection| collection.name).collect())
}

/// Creates the collection or view, without documents or indexes.
async fn create(database: &Database, part: &Part) -> Result<()> {
    let collection = &part.collection;
    let mut command = doc! { "create": &collection.name };
    for (key, value) in &collection.options {
        // Some servers list these options, and others refuse them.
        if !["autoIndexId", "create", "recordIdsReplicated"].contains(&key.as_str()) {
            command.insert(key, value.clone());
        }
    }
    let message = format!("the collection {} could not be created", collection.name);
    database.run_command(command).await.map_err(|error| failed(&message, error))?;
    Ok(())
}

/// Creates the collection, and restores its documents and then its indexes.
async fn restore_collection(database: &Database, part: &Part, progress: &Progress) -> Result<()> {
    create(database, part).await?;
    let name = &part.collection.name;
    if let (Some(path), Some(target)) = (&part.data, part.collection.data()) {
        insert(database, &target, path.clone(), part.collection.is_capped(), progress)
            .await
            .map_err(|error| failed(&format!("the documents of {name} could not be restored"), error))?;
    }
    let collation = part.collection.options.get_document("collation").and_then(|collation| collation.get_str("locale"));
    let is_collated = collation.is_ok_and(|locale| locale != "simple");
    let indexes: Vec<Document> = part
        .collection
        .indexes
        .iter()
        .filter(|index| {
            !index.get_str("name").is_ok_and(|name| name == "_id_") && !index.get_bool("clustered").unwrap_or(false)
        })
        .map(|index| {
            let mut index = index.clone();
            // Old servers list the collection here too.
            index.remove("ns");
            // An index without a collation is listed without one, but would be created with the collection's collation.
            if is_collated && !index.contains_key("collation") {
                index.insert("collation", doc! { "locale": "simple" });
            }
            index
        })
        .collect();
    if !indexes.is_empty() {
        // Older servers accepted unknown options and kept them.
        let command = doc! { "createIndexes": name, "indexes": indexes, "ignoreUnknownIndexOptions": true };
        let message = format!("the indexes of {name} could not be restored");
        database.run_command(command).await.map_err(|error| failed(&message, error))?;
    }
    Ok(())
}

/// Inserts the documents of a file. A thread reads the file while several commands run at a time, or only one for a capped
/// collection, whose documents must keep their order.
async fn insert(database: &Database, collection: &str, path: PathBuf, is_capped: bool, progress: &Progress) -> Result<()> {
    let room = Arc::new(Semaphore::new(ROOM));
    let (sender, mut receiver) = mpsc::channel::<(Batch, OwnedSemaphorePermit)>(1);
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
    let target = database.collection::<RawDocumentBuf>(collection);
    let mut inserting = JoinSet::new();
    while let Some((batch, permit)) = receiver.recv().await {
        while inserting.len() >= if is_capped { 1 } else { AT_A_TIME } {
            count_inserted(inserting.join_next().await, progress)?;
        }
        let target = target.clone();
        inserting.spawn(async move {
            let inserted = batch.insert(&target, is_capped).await;
            drop(permit);
            inserted
        });
    }
    while !inserting.is_empty() {
        count_inserted(inserting.join_next().await, progress)?;
    }
    reading.await.map_err(|error| Error::failed("a file of the dump could not be read").caused_by(error))??;
    Ok(())
}

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

    async fn insert(&self, target: &Collection<RawDocumentBuf>, in_order: bool) -> mongodb::error::Result<usize> {
        // A validator may be younger than documents that it would refuse.
        target.insert_many(&self.documents).ordered(in_order).bypass_document_validation(true).await?;
        // An insert replaces an empty timestamp with the current time, while an update keeps it.
        for document in &self.documents {
            let fields = empty_timestamps(document);
            if fields.is_empty() {
                continue;
            }
            let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
            for update in emptying(fields) {
                target.update_one(doc! { "_id": id.clone() }, update).bypass_document_validation(true).await?;
            }
        }
        Ok(self.bytes)
    }
}

/// Returns the top-level fields whose value is the empty timestamp and would be replaced. An `_id` is not.
fn empty_timestamps(document: &RawDocumentBuf) -> Vec<String> {
    // Most documents do not contain eight zero bytes in a row.
    if !document.as_bytes().windows(8).any(|bytes| bytes == [0; 8]) {
        return Vec::new();
    }
    let fields = document.iter().flatten().filter(|(_, value)| value.as_timestamp() == Some(EMPTY));
    fields.map(|(key, _)| key.to_string()).filter(|key| key != "_id").collect()
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

type Joined = Option<Result<mongodb::error::Result<usize>, tokio::task::JoinError>>;

/// Adds the size of a batch to the progress when its insert has ended.
fn count_inserted(joined: Joined, progress: &Progress) -> Result<()> {
    match joined {
        Some(Ok(Ok(bytes))) => progress.inc(bytes as u64),
        Some(Ok(Err(error))) => return Err(error.into()),
        Some(Err(error)) => return Err(error.into()),
        None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_timestamp_is_set_under_its_name_and_not_under_a_path() {
        let document = doc! {
            "_id": EMPTY, "a": EMPTY, "a.b": EMPTY, "$c": EMPTY, "": EMPTY, "é": EMPTY,
            "in": { "a": EMPTY }, "other": Timestamp { time: 1, increment: 0 }, "zero": 0_i64,
        };
        let fields = empty_timestamps(&RawDocumentBuf::try_from(&document).unwrap());
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
