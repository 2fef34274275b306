//! What is stored in a database: the registry, the log, and the lock, each a collection.
//!
//! All of it is written with `w: majority, j: true`, and read with majority from the primary, whatever the connection string says.

mod backfill_control;
mod backfill_counts;
mod backfill_id;
mod backfill_restored;
mod backfill_workers;
mod backfills;
mod damage;
pub(crate) mod effects;
mod failures;
mod fence;
mod foreign;
mod last_run;
mod lease;
mod log;
mod opening;
pub(crate) mod origin;
mod partial;
mod records;
mod registry;
mod rights;
mod statements;
mod undo;
mod view;

use mongodb::bson::{Document, doc};
use mongodb::options::{CollectionOptions, IndexOptions, ReadConcern, ReadPreference, SelectionCriteria};
use mongodb::{Collection, Database, IndexModel};

use crate::connect::Connection;
use crate::durable;
use crate::error::codes;

pub(crate) use backfill_control::{BackfillState, Steer, StoredBackfill, Worker};
pub(crate) use backfill_counts::BackfillCounts;
pub(crate) use backfill_id::{BACKFILLS, BackfillId};
pub(crate) use backfill_workers::{Beat, Orders};
pub(crate) use backfills::{Begin, Claim, Marked, StoredRange};
pub(crate) use damage::Loss;
pub(crate) use failures::{FAILURES_KEPT, StoredFailure, failures_document, read_failures};
pub(crate) use fence::{Change, Fence, Refusal};
pub(crate) use foreign::{Author, Foreign, Tool};
pub(crate) use lease::{Holder, LeaseAttempt, lease_time};
pub(crate) use log::{About, Attempt, Ended, Record, Run, new_id};
pub(crate) use opening::{Opened, Seen};
pub(crate) use partial::Partial;
pub(crate) use records::{Outcome, Theirs};
pub(crate) use registry::{Adopted, Entry, Registration, acceptance, document as registration};
pub(crate) use undo::{UndoLog, UndoPart, undo_id};
pub(crate) use view::View;

/// The collection of the log: start and end of every run and of every migration in it.
pub(crate) const LOG: &str = "migrations_log";

/// The collection of the lock: the lease and the fence.
pub(crate) const LOCK: &str = "migrations_lock";

/// The `_id`s of the lock's two documents.
const LEASE_ID: &str = "lease";
const FENCE_ID: &str = "fence";

/// The three collections of one database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    connection: Connection,
    registry: String,
}

/// Why the server does not keep the names unique.
#[derive(Debug)]
pub(crate) enum NoIndex {
    /// Some names are in the registry more than once.
    Duplicates,
    Other(mongodb::error::Error),
}

impl Store {
    pub(crate) fn new(connection: &Connection, registry: &str) -> Self {
        Self { connection: connection.clone(), registry: registry.to_owned() }
    }

    /// Returns the collections of another database of the server.
    pub(crate) fn of_database(&self, name: &str) -> Self {
        Self { connection: self.connection.to(name), registry: self.registry.clone() }
    }

    /// Returns the same collections with a client of its own, which belongs to the runtime that this is called on.
    pub(crate) fn with_own_client(&self) -> mongodb::error::Result<Self> {
        Ok(Self { connection: self.connection.with_own_client()?, registry: self.registry.clone() })
    }

    /// Returns the same collections with a client whose commands are not recorded, for what reads or writes a lot.
    pub(crate) fn without_records(&self) -> mongodb::error::Result<Self> {
        Ok(Self { connection: self.connection.without_records()?, registry: self.registry.clone() })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn database(&self) -> &Database {
        &self.connection.database
    }

    /// The name of the registry's collection.
    pub(crate) fn registry_name(&self) -> &str {
        &self.registry
    }

    /// Whether the server has transactions: it is a replica set or a sharded cluster, not a standalone server.
    pub(crate) fn has_transactions(&self) -> bool {
        self.connection.has_transactions
    }

    pub(crate) fn registry(&self) -> Collection<Document> {
        self.collection(&self.registry)
    }

    pub(crate) fn log(&self) -> Collection<Document> {
        self.collection(LOG)
    }

    pub(crate) fn lock(&self) -> Collection<Document> {
        self.collection(LOCK)
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .write_concern(durable::write_concern())
            .build();
        self.connection.database.collection_with_options(name, options)
    }

    /// Lets the server keep the registry's names unique. Everything works without it too; the error says why it is missing.
    pub(crate) async fn keep_names_unique(&self) -> Result<(), NoIndex> {
        let options = IndexOptions::builder().unique(true).build();
        let index = IndexModel::builder().keys(doc! { "name": 1 }).options(options).build();
        match self.registry().create_index(index).await {
            Ok(_) => Ok(()),
            Err(error) if codes::code_of(&error) == Some(codes::DUPLICATE_KEY) => Err(NoIndex::Duplicates),
            Err(error) => Err(NoIndex::Other(error)),
        }
    }

    /// Creates the indexes that find the open attempts in the log: the last event that says that nothing is open, and all events
    /// since. Only speed depends on them.
    pub(crate) async fn index_log(&self) -> mongodb::error::Result<()> {
        let events = IndexModel::builder().keys(doc! { "registry": 1, "fence": 1, "seq": 1 }).build();
        let few = IndexOptions::builder().partial_filter_expression(doc! { "settled": { "$exists": true } }).build();
        let settled = IndexModel::builder().keys(doc! { "registry": 1, "settled": 1, "fence": 1 }).options(few).build();
        self.log().create_indexes([events, settled]).await.map(|_| ())
    }
}
