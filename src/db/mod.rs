//! The database as migrations get it: the driver's, with additions.

mod collection;
mod migrating;
mod transaction;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use mongodb::Database;
use mongodb::bson::Document;
use mongodb::options::DatabaseOptions;

use crate::connect::{Connection, Recorder};
use crate::durable;
use crate::durable::attempt;
pub use collection::TxCollection;
pub(crate) use migrating::{Joins, Migrating, Part};
pub use transaction::Transaction;

use crate::error::{Error, Result};
use crate::model::Effects;
use crate::process::stop::Stop;
use crate::report::{Progress, Reporter};

/// The driver's [`Database`], to which it dereferences, with transactions, progress and notes.
///
/// A migration gets one, and a subtask gets one from [`Context::db`](crate::Context::db).
///
/// A migration's writes through it, or through a plain `&Database`, use the write concern `majority` with journaling, whatever the
/// connection string says: what a registered migration has written cannot be rolled back. The options of a collection
/// (`collection_with_options`) take precedence.
///
/// ```
/// use cargo_migrations::prelude::*;
///
/// pub async fn up(db: &Db) -> Result<()> {
///     let notes = db.collection::<Document>("notes");
///     let progress = db.progress(notes.estimated_document_count().await?).with_message("adding slugs");
///     let mut cursor = notes.find(doc! {}).await?;
///     while cursor.advance().await? {
///         // …
///         progress.inc(1);
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Db {
    /// Writes with majority and journaling, unless a collection's own options say otherwise.
    database: Database,
    /// With the write concern of the connection string. Transactions set their own.
    plain: Database,
    reporter: Reporter,
    recorder: Arc<Recorder>,
    /// Whether all commands of the client are this database's.
    has_client: bool,
    has_transactions: bool,
    stop: Stop,
    /// `None` in a subtask.
    migrating: Option<Arc<Migrating>>,
    /// Whether its client's commands are not recorded by themselves.
    is_quiet: bool,
}

impl Db {
    pub(crate) fn new(connection: &Connection, reporter: Reporter, stop: Stop) -> Self {
        let plain = connection.database.clone();
        let durable = plain.client().database_with_options(plain.name(), durable_options());
        let (has_transactions, recorder) = (connection.has_transactions, Arc::clone(&connection.recorder));
        Self {
            database: durable,
            plain,
            reporter,
            recorder,
            has_client: !connection.is_shared,
            has_transactions,
            stop,
            migrating: None,
            is_quiet: false,
        }
    }

    /// Works with another client, whose commands are not recorded by themselves: to record one, the driver reads it and its answer once
    /// more, which takes as long as all else where they are large.
    pub(crate) fn quiet(&self, connection: &Connection) -> Self {
        let plain = connection.database.clone();
        let database = plain.client().database_with_options(plain.name(), durable_options());
        Self { database, plain, is_quiet: true, ..self.clone() }
    }

    /// Records a command of a quiet client, with its answer and the fields that its filters ask for.
    pub(crate) fn record(&self, command: (&str, &str), filter: &[&str], answer: &Document, took: Duration) {
        if self.is_quiet {
            self.recorder.add(self.plain.name(), command, filter, answer, took);
        }
    }

    /// The database as it is given to a migration.
    pub(crate) fn for_migration(&self, migrating: &Arc<Migrating>) -> Self {
        Self { migrating: Some(Arc::clone(migrating)), ..self.clone() }
    }

    /// The migration that it was given to.
    pub(crate) fn migrating(&self) -> Option<&Migrating> {
        self.migrating.as_deref()
    }

    pub(crate) fn has_transactions(&self) -> bool {
        self.has_transactions
    }

    /// Begins to record what a migration does.
    pub(crate) fn start_recording(&self) {
        self.recorder.start(self.plain.name(), self.has_client);
    }

    /// Returns what the migration has done since.
    pub(crate) fn end_recording(&self) -> Effects {
        self.recorder.end(self.plain.name())
    }

    /// Begins a transaction's session.
    pub(crate) async fn begin(&self) -> mongodb::error::Result<Transaction> {
        Transaction::new(&self.plain, &self.reporter, &self.recorder).await
    }

    /// Runs part of a migration in a transaction: all its writes take effect when the closure returns `Ok`, or none of them does.
    ///
    /// As in the driver's own API, the closure is called again when the server asks for that, for up to two minutes. It must
    /// therefore have no effects outside of the database.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// pub async fn up(db: &Db) -> Result<()> {
    ///     db.transaction(async |tx| {
    ///         let half = doc! { "$inc": { "balance": -50 } };
    ///         tx.collection::<Document>("accounts").update_one(doc! { "_id": "ada" }, half).await?;
    ///         let half = doc! { "$inc": { "balance": 50 } };
    ///         tx.collection::<Document>("accounts").update_one(doc! { "_id": "charles" }, half).await?;
    ///         Ok(())
    ///     })
    ///     .await
    /// }
    /// ```
    ///
    /// # Errors
    /// The closure's error or the server's, and then nothing took effect. The exception is a commit that the server does not
    /// answer within two minutes: it is not known whether it took effect. On a standalone server, which has no transactions, it
    /// always fails.
    pub async fn transaction<T>(&self, run: impl AsyncFnMut(&mut Transaction) -> Result<T>) -> Result<T> {
        if !self.has_transactions {
            // The advice is part of the message: a migration's error is printed as a cause, which has no hint of its own.
            let message = "the server is standalone, which has no transactions (make it a replica set of one member: \
                           `mongod --replSet …`, then `rs.initiate()`)";
            return Err(Error::usage(message).into());
        }
        let mut transaction = self.begin().await?;
        attempt::run(&mut transaction, std::future::pending, run).await
    }

    /// Shows the progress of the migration below that of the run, over `total` steps of any unit, until it is dropped.
    pub fn progress(&self, total: u64) -> Progress {
        self.reporter.progress(total)
    }

    /// Writes a note for people, as `note: …` on stderr. Not shown with `--quiet`. A migration's notes are in the log, too
    /// (`history`), up to a hundred of them.
    ///
    /// Unlike a `println!`, it leaves progress bars intact, and is not mixed into the output of `--format json`.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// pub async fn up(db: &Db) -> Result<()> {
    ///     let removed = db.collection::<Document>("sessions").delete_many(doc! { "user": null }).await?;
    ///     db.note(format!("{} sessions without a user were removed", removed.deleted_count));
    ///     Ok(())
    /// }
    /// ```
    pub fn note(&self, message: impl AsRef<str>) {
        self.recorder.note(self.plain.name(), message.as_ref());
        self.reporter.note(message);
    }

    /// Writes a warning for people.
    pub(crate) fn warning(&self, message: impl AsRef<str>) {
        self.reporter.warning(message);
    }

    /// Whether the run was asked to stop, by Ctrl-C for example. The run then stops after this migration.
    ///
    /// A migration that takes long can end early. It should return an error, because `Ok` registers it as executed. It is then a
    /// failed migration, which the next `execute` runs again from its beginning.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// pub async fn up(db: &Db) -> Result<()> {
    ///     let users = db.collection::<Document>("users");
    ///     while let Some(user) = users.find_one(doc! { "active": null }).await? {
    ///         users.update_one(doc! { "_id": user.get_object_id("_id")? }, doc! { "$set": { "active": true } }).await?;
    ///         if db.is_stopping() {
    ///             return Err("stopped as asked, the next run does the rest".into());
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// A subtask calls [`Context::is_stopping`](crate::Context::is_stopping).
    pub fn is_stopping(&self) -> bool {
        self.stop.is_asked()
    }
}

fn durable_options() -> DatabaseOptions {
    DatabaseOptions::builder().write_concern(durable::write_concern()).build()
}

impl Deref for Db {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}
