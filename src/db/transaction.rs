//! Transactions: what migrations get, and how one is run.

use std::fmt;

use mongodb::action::{CreateCollection, RunCommand};
use mongodb::bson::Document;
use mongodb::{ClientSession, Database};

use super::TxCollection;
use crate::durable::attempt;
use crate::report::{Progress, Reporter};

/// A transaction that is under way. What is done through it takes effect together when it is committed, or not at all.
///
/// A migration whose `up` takes one is transactional: its effects and its registration are one transaction. It may run more
/// than once, when the server asks for that (two writers in each other's way, a primary that steps down): only the run that is
/// committed takes effect, so it must do nothing outside of the database.
///
/// ```
/// use cargo_migrations::prelude::*;
///
/// pub async fn up(tx: &mut Transaction) -> Result<()> {
///     tx.collection::<Document>("accounts").update_many(doc! {}, doc! { "$set": { "open": true } }).await?;
///     tx.collection::<Document>("notes").insert_one(doc! { "text": "accounts are open" }).await?;
///     Ok(())
/// }
/// ```
///
/// An error that is returned must have the driver's own in its chain of [sources](std::error::Error::source), since that one
/// tells whether running again would help. `?` into this crate's [`Result`](crate::Result) sees to that; an error type that
/// hides it (anyhow's without a `.context(…)`, thiserror's `transparent`) fails the migration where another try would have done.
pub struct Transaction {
    session: ClientSession,
    database: Database,
    reporter: Reporter,
}

impl Transaction {
    pub(crate) async fn new(database: &Database, reporter: &Reporter) -> mongodb::error::Result<Self> {
        let session = database.client().start_session().await?;
        Ok(Self { session, database: database.clone(), reporter: reporter.clone() })
    }

    /// A collection whose operations belong to the transaction. It is borrowed for one statement.
    pub fn collection<T: Send + Sync>(&mut self, name: &str) -> TxCollection<'_, T> {
        TxCollection { collection: self.database.collection(name), session: &mut self.session }
    }

    /// Creates a collection. The server takes no other structural change within a transaction: no `collMod`, no index on a
    /// collection that holds documents.
    pub fn create_collection(&mut self, name: impl Into<String>) -> CreateCollection<'_> {
        self.database.create_collection(name).session(&mut self.session)
    }

    /// Runs a command on the database.
    pub fn run_command(&mut self, command: Document) -> RunCommand<'_> {
        self.database.run_command(command).session(&mut self.session)
    }

    /// The session, for what takes one itself: a cursor, or an operation of the driver's that is not offered here.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// pub async fn up(tx: &mut Transaction) -> Result<()> {
    ///     let mut cursor = tx.collection::<Document>("notes").find(doc! {}).await?;
    ///     while let Some(note) = cursor.next(tx.session()).await {
    ///         let note = note?;
    ///         // …
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn session(&mut self) -> &mut ClientSession {
        &mut self.session
    }

    /// The database's name.
    pub fn database_name(&self) -> &str {
        self.database.name()
    }

    /// Shows progress of the migration's own: `total` steps of any unit. It ends when dropped.
    pub fn progress(&self, total: u64) -> Progress {
        self.reporter.progress(total)
    }
}

impl attempt::HasSession for Transaction {
    fn session(&mut self) -> &mut ClientSession {
        &mut self.session
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("database", &self.database.name()).finish_non_exhaustive()
    }
}
