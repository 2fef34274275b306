//! The transaction that a migration gets.

use std::fmt;
use std::sync::Arc;

use mongodb::action::{CreateCollection, RunCommand};
use mongodb::bson::Document;
use mongodb::{ClientSession, Database};

use super::TxCollection;
use crate::connect::Recorder;
use crate::durable::attempt;
use crate::report::{Progress, Reporter};

/// An open transaction. All writes through it take effect when it is committed, or none of them does.
///
/// A migration whose `up` takes one is transactional: its writes and its registration are one transaction. It may run more than
/// once, when the server asks for that (because of a write conflict, or because the primary stepped down). Only the run that is
/// committed takes effect in the database, so the migration must have no effects outside of it.
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
/// The driver's error says whether the transaction can be repeated. So a returned error must have it in its chain of
/// [sources](std::error::Error::source), or have its text in its own. `?` does that with this crate's [`Result`](crate::Result),
/// anyhow, eyre and thiserror.
pub struct Transaction {
    session: ClientSession,
    database: Database,
    reporter: Reporter,
    recorder: Arc<Recorder>,
}

impl Transaction {
    pub(super) async fn new(
        database: &Database,
        reporter: &Reporter,
        recorder: &Arc<Recorder>,
    ) -> mongodb::error::Result<Self> {
        let session = database.client().start_session().await?;
        let (reporter, recorder) = (reporter.clone(), Arc::clone(recorder));
        Ok(Self { session, database: database.clone(), reporter, recorder })
    }

    /// Returns a collection whose operations belong to the transaction. It borrows the transaction, so use it for one statement.
    pub fn collection<T: Send + Sync>(&mut self, name: &str) -> TxCollection<'_, T> {
        TxCollection { collection: self.database.collection(name), session: &mut self.session }
    }

    /// Creates a collection. In a transaction the server allows no `collMod`, and no index on a collection that has documents.
    pub fn create_collection(&mut self, name: impl Into<String>) -> CreateCollection<'_> {
        self.database.create_collection(name).session(&mut self.session)
    }

    /// Runs a command on the database.
    pub fn run_command(&mut self, command: Document) -> RunCommand<'_> {
        self.database.run_command(command).session(&mut self.session)
    }

    /// Returns the session, for cursors and for operations of the driver that are not offered here.
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

    /// Returns the database's name.
    pub fn database_name(&self) -> &str {
        self.database.name()
    }

    /// Shows the progress of the migration, over `total` steps of any unit, until it is dropped.
    pub fn progress(&self, total: u64) -> Progress {
        self.reporter.progress(total)
    }

    /// Writes a note for people, as [`Db::note`](crate::Db::note) does. It is written each time that the transaction runs; the log has
    /// those of the last time.
    pub fn note(&self, message: impl AsRef<str>) {
        self.recorder.note(self.database.name(), message.as_ref());
        self.reporter.note(message);
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
