//! Putting a dump into a database, in place of what is there.

use std::path::PathBuf;
use std::sync::Arc;

use mongodb::bson::{Bson, Document, RawDocumentBuf, Timestamp, doc};
use mongodb::{Collection, Database};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::catalog::{self, Kind};
use super::read::Documents;
use super::verify::{Part, Verified};
use crate::error::{Error, Result};
use crate::report::{Progress, Reporter};
use crate::store::{LOCK, LOG};

/// How much is inserted by one command, and by how many at a time.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_DOCUMENTS: usize = 20_000;
const AT_A_TIME: usize = 3;

/// How much of what was read may wait or be under way, in KiB.
const ROOM: usize = 20 << 10;

/// What of the tool's own bookkeeping is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Nothing: the database is a throwaway's.
    Nothing,
    /// The lock, which is held meanwhile, and the log, which tells what was run in truth.
    LockAndLog,
}

impl Keep {
    fn keeps(self, collection: &str) -> bool {
        self == Self::LockAndLog && (collection == LOCK || collection == LOG)
    }
}

/// The collections that a restore would replace or remove, and about how many documents each holds.
pub(crate) async fn replaced(database: &Database) -> Result<Vec<(String, u64)>> {
    let mut all = Vec::new();
    for collection in catalog::read(database).await.map_err(|error| failed("the database could not be read", error))? {
        if Keep::LockAndLog.keeps(&collection.name) {
            continue;
        }
        let count = match collection.kind {
            Kind::View => 0,
            _ => database.collection::<Document>(&collection.name).estimated_document_count().await.unwrap_or(0),
        };
        all.push((collection.name, count));
    }
    Ok(all)
}

fn failed(message: &str, error: mongodb::error::Error) -> Error {
    Error::failed(message).caused_by(error)
}

/// Removes what the database holds, and puts the dump in its place.
pub(crate) async fn load(database: &Database, dump: &Verified, keep: Keep, reporter: &Reporter) -> Result<()> {
    let unremoved = |error| failed("what the database holds could not be removed; run the restore again", error);
    for name in existing(database, keep).await.map_err(unremoved)? {
        database.collection::<Document>(&name).drop().await.map_err(unremoved)?;
    }
    let parts: Vec<&Part> = dump.parts.iter().filter(|part| !keep.keeps(&part.collection.name)).collect();
    let progress = reporter.transfer(parts.iter().map(|part| part.bytes).sum());
    for part in parts.iter().filter(|part| part.collection.kind != Kind::View) {
        progress.set_message(format!("{}, {} documents", part.collection.name, part.documents));
        one(database, part, &progress).await?;
    }
    // Views last: they may be of each other.
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
            return Err(Error::failed("the dump's views are of each other, in a circle").into());
        }
        views = left;
    }
    Ok(())
}

/// Puts the dump's log where there is none: what was run before is then known as it was.
pub(crate) async fn load_log(database: &Database, dump: &Verified, reporter: &Reporter) -> Result<()> {
    let Some(part) = dump.parts.iter().find(|part| part.collection.name == LOG) else { return Ok(()) };
    if database.list_collection_names().await?.iter().any(|name| name == LOG) {
        return Ok(());
    }
    let loaded = one(database, part, &reporter.transfer(part.bytes)).await;
    if loaded.is_err() {
        // Half a log would be taken for a whole one the next time.
        let _ = database.collection::<Document>(LOG).drop().await;
    }
    loaded
}

/// Views come first: one may be of a collection that goes.
async fn existing(database: &Database, keep: Keep) -> mongodb::error::Result<Vec<String>> {
    let mut all = catalog::read(database).await?;
    all.retain(|collection| !keep.keeps(&collection.name));
    all.sort_by_key(|collection| collection.kind != Kind::View);
    Ok(all.into_iter().map(|collection| collection.name).collect())
}

async fn create(database: &Database, part: &Part) -> Result<()> {
    let collection = &part.collection;
    let mut command = doc! { "create": &collection.name };
    for (key, value) in &collection.options {
        // What some servers tell, and others refuse.
        if !["autoIndexId", "create", "recordIdsReplicated"].contains(&key.as_str()) {
            command.insert(key, value.clone());
        }
    }
    let message = format!("the collection {} could not be made; run the restore again", collection.name);
    database.run_command(command).await.map_err(|error| failed(&message, error))?;
    Ok(())
}

async fn one(database: &Database, part: &Part, progress: &Progress) -> Result<()> {
    create(database, part).await?;
    let name = &part.collection.name;
    if let (Some(path), Some(target)) = (&part.data, part.collection.data()) {
        insert(database, &target, path.clone(), part.collection.is_capped(), progress).await.map_err(|error| {
            Error::failed(format!("the documents of {name} could not be restored; run the restore again")).caused_by(error)
        })?;
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
            // Old servers told the collection as well.
            index.remove("ns");
            // An index tells no collation where it has none; made so, it would get the collection's.
            if is_collated && !index.contains_key("collation") {
                index.insert("collation", doc! { "locale": "simple" });
            }
            index
        })
        .collect();
    if !indexes.is_empty() {
        // Older servers took options that were none.
        let command = doc! { "createIndexes": name, "indexes": indexes, "ignoreUnknownIndexOptions": true };
        let message = format!("the indexes of {name} could not be restored; run the restore again");
        database.run_command(command).await.map_err(|error| failed(&message, error))?;
    }
    Ok(())
}

/// A thread reads, and several commands are under way at a time; of a capped collection, whose order counts, one.
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
                let size = u32::try_from((batch.bytes >> 10).clamp(1, ROOM)).expect("no more than there is room");
                let permit = runtime.block_on(Arc::clone(&room).acquire_many_owned(size)).expect("nobody closes it");
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
            ended(inserting.join_next().await, progress)?;
        }
        let target = target.clone();
        inserting.spawn(async move {
            let inserted = batch.insert(&target, is_capped).await;
            drop(permit);
            inserted
        });
    }
    while !inserting.is_empty() {
        ended(inserting.join_next().await, progress)?;
    }
    reading.await.map_err(|error| Error::failed("a dump's file could not be read").caused_by(error))??;
    Ok(())
}

/// What one command inserts.
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
        // A validator may be younger than what it would refuse.
        target.insert_many(&self.documents).ordered(in_order).bypass_document_validation(true).await?;
        // An insert puts the time in the place of a timestamp that is empty; an update leaves it as it is.
        for document in &self.documents {
            if let Some(empty) = empty_timestamps(document) {
                let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
                target.update_one(doc! { "_id": id }, doc! { "$set": empty }).bypass_document_validation(true).await?;
            }
        }
        Ok(self.bytes)
    }
}

/// The fields at a document's top that hold the empty timestamp.
fn empty_timestamps(document: &RawDocumentBuf) -> Option<Document> {
    // Most documents have no eight zeros in a row.
    if !document.as_bytes().windows(8).any(|bytes| bytes == [0; 8]) {
        return None;
    }
    let empty = Timestamp { time: 0, increment: 0 };
    let fields = document.iter().flatten().filter(|(_, value)| value.as_timestamp() == Some(empty));
    let fields: Document = fields.map(|(key, _)| (key.to_string(), Bson::Timestamp(empty))).collect();
    (!fields.is_empty()).then_some(fields)
}

type Joined = Option<Result<mongodb::error::Result<usize>, tokio::task::JoinError>>;

fn ended(joined: Joined, progress: &Progress) -> Result<()> {
    match joined {
        Some(Ok(Ok(bytes))) => progress.inc(bytes as u64),
        Some(Ok(Err(error))) => return Err(error.into()),
        Some(Err(error)) => return Err(error.into()),
        None => {}
    }
    Ok(())
}
