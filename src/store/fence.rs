//! The fence keeps a run that lost its lease from writing to the registry or the log.
//!
//! A run works under a number. A run that takes the lease raises the fence to the lease's term, and each change of a run goes
//! through only while the fence still has that run's number. On a replica set a change is a transaction that *writes* the
//! fence: a transaction that only read it would still commit after the fence was raised. A standalone server has no
//! transactions, so one aggregation checks the fence and merges each document.

use std::fmt;

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error;

use super::backfill_id::{BACKFILLS, of_migration};
use super::{FENCE_ID, LOG, Store, statements};
use crate::crash;
use crate::durable::attempt;
use crate::durable::{is_duplicate, retry};

/// What one write changes, all of it or nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// Events, appended.
    pub(crate) log: Vec<Document>,
    /// An entry to write; its `_id` is that of the one it takes the place of, if any.
    pub(crate) register: Option<Document>,
    /// Fields to set in an entry that is there; its `_id` is among them.
    pub(crate) amend: Option<Document>,
    /// A backfill that begins.
    pub(crate) backfill: Option<NewBackfill>,
    /// The migration of which nothing about backfills is to be kept: it is done with them.
    pub(crate) clears: Option<String>,
    /// Filters for the entries to remove. Each matches the entry as it was read, so that one that another run has written since
    /// stays.
    pub(crate) unregister: Vec<Document>,
    /// The run whose lease is released too, if the server has transactions and the run still has it.
    pub(crate) release: Option<String>,
}

/// What is stored about a backfill that begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewBackfill {
    pub(crate) ranges: Vec<Document>,
    /// Its `_id` is that of the one it takes the place of, if any.
    pub(crate) backfill: Document,
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

const IS_GONE: &str = "its document was removed from the registry in the meantime";

/// What `$merge` does with a document whose `_id` is there, and with one whose is not.
const REPLACES: [&str; 2] = ["replace", "insert"];
const AMENDS: [&str; 2] = ["merge", "fail"];

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

    /// Identifies the lock that the number belongs to.
    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    pub(crate) fn number(&self) -> i64 {
        self.number
    }

    /// Makes a change. On a replica set all of it takes effect or nothing; on a standalone server the registry is written first,
    /// since it decides what is registered.
    pub(crate) async fn write(&self, change: &Change) -> Result<(), Refusal> {
        if !self.store.has_transactions() {
            return self.merge(change).await;
        }
        let client = self.store.database().client();
        // A refusal ends the transaction as its error, and is taken out of it here.
        let written = attempt::retried(client, async |session| Ok(self.write_within(session, change).await?)).await;
        written.map_err(|error| match error.downcast::<Refusal>() {
            Ok(refusal) => *refusal,
            Err(error) => match error.downcast::<Error>() {
                Ok(error) => Refusal::Server(*error),
                Err(error) => Refusal::Server(Error::custom(error.to_string())),
            },
        })
    }

    /// Makes a change in a transaction that is under way. The fence is written late, since other runs wait for it, and the registry
    /// is written last.
    pub(crate) async fn write_within(&self, session: &mut ClientSession, change: &Change) -> Result<(), Refusal> {
        let database = self.store.database();
        if !change.log.is_empty() {
            database.collection::<Document>(LOG).insert_many(&change.log).session(&mut *session).await?;
            crash::point("log inserted");
        }
        let own = self.own();
        let release = change.release.as_ref().map(|run| statements::release(run));
        let is_both = release.is_some();
        let matched = self.store.update_lock(session, [Some(own.clone()), release].into_iter().flatten()).await?;
        // If only one of two matched, it is not known which.
        if matched == 0 || is_both && matched == 1 && self.store.update_lock(session, [own]).await? == 0 {
            return Err(Refusal::Lost);
        }
        crash::point("fence written");
        let registry = database.collection::<Document>(self.store.registry_name());
        if let Some(entry) = &change.register {
            let id = doc! { "_id": entry.get("_id") };
            registry.replace_one(id, entry).upsert(true).session(&mut *session).await?;
            crash::point("registry written");
        }
        if let Some(fields) = &change.amend {
            let id = doc! { "_id": fields.get("_id") };
            let amended = registry.update_one(id, doc! { "$set": fields }).session(&mut *session).await?;
            if amended.matched_count != 1 {
                return Err(Refusal::Server(Error::custom(IS_GONE.to_owned())));
            }
            crash::point("registry written");
        }
        if !change.unregister.is_empty() {
            registry.delete_many(doc! { "$or": &change.unregister }).session(&mut *session).await?;
            crash::point("registry written");
        }
        if let Some(NewBackfill { ranges, backfill }) = &change.backfill {
            let id = doc! { "_id": backfill.get("_id") };
            let backfills = database.collection::<Document>(BACKFILLS);
            backfills.insert_many(ranges).session(&mut *session).await?;
            backfills.replace_one(id, backfill).upsert(true).session(&mut *session).await?;
        }
        if let Some(stem) = &change.clears {
            let backfills = database.collection::<Document>(BACKFILLS);
            backfills.delete_many(of_migration(self.store.registry_name(), stem)).session(&mut *session).await?;
        }
        Ok(())
    }

    /// The statement that writes the fence, if it still has this run's number.
    pub(super) fn own(&self) -> Document {
        doc! { "q": { "_id": FENCE_ID, "number": self.number }, "u": { "$inc": { "writes": 1_i64 } } }
    }

    async fn merge(&self, change: &Change) -> Result<(), Refusal> {
        if let Some(entry) = &change.register {
            self.merge_into(self.store.registry_name(), std::slice::from_ref(entry), REPLACES).await?;
            crash::point("registry merged");
        }
        if let Some(fields) = &change.amend {
            self.merge_into(self.store.registry_name(), std::slice::from_ref(fields), AMENDS).await?;
            crash::point("registry merged");
        }
        if !change.unregister.is_empty() {
            // No command deletes on a condition on another document, so the fence is read immediately before.
            let own = doc! { "_id": FENCE_ID, "number": self.number };
            if self.store.lock().find_one(own).await?.is_none() {
                return Err(Refusal::Lost);
            }
            let entries = doc! { "$or": &change.unregister };
            retry(async || self.store.registry().delete_many(entries.clone()).await).await?;
            crash::point("registry deleted");
        }
        if let Some(NewBackfill { ranges, backfill }) = &change.backfill {
            let backfills = self.store.collection(BACKFILLS);
            retry(async || match backfills.insert_many(ranges).ordered(false).await {
                Err(error) if !is_duplicate(&error) => Err(error),
                _ => Ok(()),
            })
            .await?;
            // The backfill itself comes last: with it, all its ranges are there.
            self.merge_into(BACKFILLS, std::slice::from_ref(backfill), REPLACES).await?;
        }
        if let Some(stem) = &change.clears {
            let of_migration = of_migration(self.store.registry_name(), stem);
            let backfills = self.store.collection(BACKFILLS);
            retry(async || backfills.delete_many(of_migration.clone()).await).await?;
        }
        if !change.log.is_empty() {
            self.merge_into(LOG, &change.log, REPLACES).await?;
            crash::point("log merged");
        }
        Ok(())
    }

    /// Writes documents with one command that reads the fence first, and writes only if it has this run's number.
    async fn merge_into(&self, collection: &str, documents: &[Document], mode: [&str; 2]) -> Result<(), Refusal> {
        let target = self.store.collection(collection);
        let ids: Vec<&Bson> = documents.iter().filter_map(|document| document.get("_id")).collect();
        let pipeline = [
            doc! { "$match": { "_id": FENCE_ID, "number": self.number } },
            doc! { "$project": { "document": { "$literal": documents } } },
            doc! { "$unwind": "$document" },
            doc! { "$replaceWith": "$document" },
            // The `_id`s are new, or those of the entries to replace: repeating the command changes nothing.
            doc! { "$merge": { "into": collection, "on": "_id", "whenMatched": mode[0], "whenNotMatched": mode[1] } },
        ];
        retry(async || self.store.lock().aggregate(pipeline.clone()).await.map(|_| ())).await?;
        crash::point("merge sent");
        // The command does not report whether it wrote.
        let last = documents.last().and_then(|document| document.get("run")).cloned();
        let written = doc! { "_id": { "$in": &ids }, "run": last };
        let count = target.count_documents(written).await?;
        if count == documents.len() as u64 { Ok(()) } else { Err(Refusal::Lost) }
    }
}

/// An integer from a number of any BSON type: people edit documents by hand.
pub(super) fn as_integer(value: &Bson) -> Option<i64> {
    match *value {
        Bson::Int64(number) => Some(number),
        Bson::Int32(number) => Some(number.into()),
        #[expect(clippy::cast_possible_truncation, reason = "an integer that was stored as a double")]
        Bson::Double(number) if number.is_finite() => Some(number as i64),
        _ => None,
    }
}

impl Store {
    /// Raises the fence to the term of a lease that was taken. Returns `false` if the fence is higher already.
    pub(crate) async fn raise_fence(&self, term: i64, session: &mut ClientSession) -> mongodb::error::Result<bool> {
        loop {
            let lower = doc! { "_id": FENCE_ID, "number": { "$lt": term } };
            let raise = doc! { "$set": { "number": term } };
            let raised =
                retry(async || self.lock().update_one(lower.clone(), raise.clone()).session(&mut *session).await).await?;
            if raised.matched_count == 1 {
                return Ok(true);
            }
            let fence = self.lock().find_one(doc! { "_id": FENCE_ID }).session(&mut *session).await?;
            match fence.map(|fence| fence.get("number").and_then(as_integer)) {
                // It may have been this process that raised it, if the answer was lost.
                Some(Some(number)) => return Ok(number <= term),
                // It was edited by hand.
                Some(None) => self.check_lock().await?,
                // It was deleted by hand.
                None => {
                    match self.lock().insert_one(doc! { "_id": FENCE_ID, "number": term }).session(&mut *session).await {
                        Ok(_) => return Ok(true),
                        Err(error) if is_duplicate(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }
}
