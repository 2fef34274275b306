//! The fence: what keeps a run that lost its lease from writing to the registry or the log.
//!
//! A run works under a number. Whoever takes the lease raises the fence to the lease's term, and each of a run's changes goes
//! through only while the fence still has the run's own number. On a replica set a change is a transaction that *writes* the
//! fence: one that only read it would still commit after the fence was raised. A standalone server has no transactions; there
//! the server itself merges each document in, while the fence matches.

use std::fmt;

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error;

use super::{LOG, Store};
use crate::crash;
use crate::durable::attempt;
use crate::durable::{is_duplicate, retry};

/// The document's `_id`.
pub(super) const ID: &str = "fence";

/// What is changed at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// Events, appended.
    pub(crate) log: Vec<Document>,
    /// An entry to write; its `_id` is that of the one it takes the place of, if any.
    pub(crate) register: Option<Document>,
    /// Filters for the entries to remove, each as it was read: what another run wrote since is not found.
    pub(crate) unregister: Vec<Document>,
}

/// Why a change was not made.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The fence was raised: another run has taken over.
    Lost,
    Server(Error),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("another run has taken over"),
            Self::Server(error) => f.write_str(&crate::error::describe::driver(error)),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Lost => None,
            Self::Server(error) => Some(error),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

/// The fence as one run sees it.
#[derive(Clone, Debug)]
pub(crate) struct Fence {
    store: Store,
    number: i64,
    epoch: String,
}

impl Fence {
    pub(crate) fn new(store: &Store, number: i64, epoch: String) -> Self {
        Self { store: store.clone(), number, epoch }
    }

    /// Of which lock the number is one.
    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// Makes a change: all of it or nothing on a replica set; on a standalone server the registry's part first, since that is
    /// what counts.
    pub(crate) async fn write(&self, change: &Change) -> Result<(), Refusal> {
        if !self.store.has_transactions() {
            return self.merge(change).await;
        }
        let client = self.store.database().client();
        // A refusal is carried through as the error that ends the transaction.
        let written = attempt::retried(client, async |session| Ok(self.write_within(session, change).await?)).await;
        written.map_err(|error| match error.downcast::<Refusal>() {
            Ok(refusal) => *refusal,
            Err(error) => match error.downcast::<Error>() {
                Ok(error) => Refusal::Server(*error),
                Err(error) => Refusal::Server(Error::custom(error.to_string())),
            },
        })
    }

    /// Makes a change in a transaction that is under way. The fence is written late, since it is what others wait for, and the
    /// registry last.
    pub(crate) async fn write_within(&self, session: &mut ClientSession, change: &Change) -> Result<(), Refusal> {
        let database = self.store.database();
        if !change.log.is_empty() {
            database.collection::<Document>(LOG).insert_many(&change.log).session(&mut *session).await?;
            crash::point("log inserted");
        }
        let lock = database.collection::<Document>(super::LOCK);
        let update = doc! { "$inc": { "writes": 1_i64 } };
        let fence = lock.update_one(doc! { "_id": ID, "number": self.number }, update).session(&mut *session).await?;
        if fence.matched_count != 1 {
            return Err(Refusal::Lost);
        }
        crash::point("fence written");
        let registry = database.collection::<Document>(self.store.registry_name());
        if let Some(entry) = &change.register {
            let id = doc! { "_id": entry.get("_id") };
            registry.replace_one(id, entry).upsert(true).session(&mut *session).await?;
            crash::point("registry written");
        }
        if !change.unregister.is_empty() {
            registry.delete_many(doc! { "$or": &change.unregister }).session(&mut *session).await?;
            crash::point("registry written");
        }
        Ok(())
    }

    async fn merge(&self, change: &Change) -> Result<(), Refusal> {
        if let Some(entry) = &change.register {
            self.merge_into(self.store.registry_name(), std::slice::from_ref(entry)).await?;
            crash::point("registry merged");
        }
        if !change.unregister.is_empty() {
            // No server command deletes under a condition on another document: it is looked at right ahead.
            let own = doc! { "_id": ID, "number": self.number };
            if self.store.lock().find_one(own).await?.is_none() {
                return Err(Refusal::Lost);
            }
            let entries = doc! { "$or": &change.unregister };
            retry(async || self.store.registry().delete_many(entries.clone()).await).await?;
            crash::point("registry deleted");
        }
        if !change.log.is_empty() {
            self.merge_into(LOG, &change.log).await?;
            crash::point("log merged");
        }
        Ok(())
    }

    /// One command of the server's reads the fence and writes the documents, if it has our number.
    async fn merge_into(&self, collection: &str, documents: &[Document]) -> Result<(), Refusal> {
        let target = self.store.collection(collection);
        let ids: Vec<&Bson> = documents.iter().filter_map(|document| document.get("_id")).collect();
        let pipeline = [
            doc! { "$match": { "_id": ID, "number": self.number } },
            doc! { "$project": { "document": { "$literal": documents } } },
            doc! { "$unwind": "$document" },
            doc! { "$replaceWith": "$document" },
            // The `_id`s are ours alone, or those of what is replaced: doing it twice changes nothing.
            doc! { "$merge": { "into": collection, "on": "_id", "whenMatched": "replace", "whenNotMatched": "insert" } },
        ];
        retry(async || self.store.lock().aggregate(pipeline.clone()).await.map(|_| ())).await?;
        crash::point("merge sent");
        // The command does not tell whether it wrote.
        let last = documents.last().and_then(|document| document.get("run")).cloned();
        let written = doc! { "_id": { "$in": &ids }, "run": last };
        let count = target.count_documents(written).await?;
        if count == documents.len() as u64 { Ok(()) } else { Err(Refusal::Lost) }
    }
}

/// A number of whatever type: people edit what they should not.
fn whole(value: &Bson) -> Option<i64> {
    match *value {
        Bson::Int64(number) => Some(number),
        Bson::Int32(number) => Some(number.into()),
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, or not far from it")]
        Bson::Double(number) => Some(number as i64),
        _ => None,
    }
}

impl Store {
    /// Raises the fence to a term that was taken. `false`: it is above that already.
    pub(crate) async fn raise_fence(&self, term: i64, session: &mut ClientSession) -> mongodb::error::Result<bool> {
        loop {
            let lower = doc! { "_id": ID, "number": { "$lt": term } };
            let raise = doc! { "$set": { "number": term } };
            let raised =
                retry(async || self.lock().update_one(lower.clone(), raise.clone()).session(&mut *session).await).await?;
            if raised.matched_count == 1 {
                return Ok(true);
            }
            let fence = self.lock().find_one(doc! { "_id": ID }).session(&mut *session).await?;
            match fence.map(|fence| fence.get("number").and_then(whole)) {
                // Also when it was raised by us, and the answer did not come.
                Some(Some(number)) => return Ok(number <= term),
                Some(None) => {
                    let message =
                        "the fence in `migrations_lock` holds no number: somebody changed it; delete that document";
                    return Err(Error::custom(message));
                }
                // Somebody deleted it.
                None => match self.lock().insert_one(doc! { "_id": ID, "number": term }).session(&mut *session).await {
                    Ok(_) => return Ok(true),
                    Err(error) if is_duplicate(&error) => {}
                    Err(error) => return Err(error),
                },
            }
        }
    }
}
