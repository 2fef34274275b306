//! The database as migrations get it: the driver's, and what this library adds.

mod collection;
mod transaction;

use std::ops::Deref;

use mongodb::Database;
use mongodb::options::DatabaseOptions;

use crate::durable;
use crate::durable::attempt;
pub use collection::TxCollection;
pub use transaction::Transaction;

use crate::error::{Error, Result};
use crate::report::{Progress, Reporter};

/// The driver's [`Database`], to which it dereferences, with what this library adds.
///
/// What a migration writes through it, or through a plain `&Database`, is written with majority and journal, whatever the
/// connection string says: a migration that is registered has taken effect for good. A collection made with options of its own
/// (`collection_with_options`) wins.
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
    /// Majority and journaled, unless a collection's own options say otherwise: what is registered has taken effect for good.
    database: Database,
    /// As the connection string has it; a transaction has concerns of its own.
    plain: Database,
    reporter: Reporter,
    has_transactions: bool,
}

impl Db {
    pub(crate) fn new(database: Database, reporter: Reporter, has_transactions: bool) -> Self {
        let options = DatabaseOptions::builder().write_concern(durable::write_concern()).build();
        let durable = database.client().database_with_options(database.name(), options);
        Self { database: durable, plain: database, reporter, has_transactions }
    }

    /// Runs part of a migration in a transaction: what it does takes effect together when it returns `Ok`, or not at all.
    ///
    /// As in the driver's own API it runs again when the server asks for that, for up to two minutes, so it must do nothing
    /// outside of the database.
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
    /// What the closure returns, or the server's; nothing took effect then. Where the server's answer to the commit did not
    /// come in two minutes, it is not known whether it did.
    pub async fn transaction<T>(&self, run: impl AsyncFnMut(&mut Transaction) -> Result<T>) -> Result<T> {
        if !self.has_transactions {
            let message = "the server is standalone, which has no transactions; make it a replica set of one \
                           (`mongod --replSet …`, then `rs.initiate()`)";
            return Err(Error::usage(message).into());
        }
        let mut transaction = Transaction::new(&self.plain, &self.reporter).await?;
        attempt::run(&mut transaction, std::future::pending, run).await
    }

    /// The database without the write concern of migrations.
    pub(crate) fn plain(&self) -> &Database {
        &self.plain
    }

    /// Shows progress of the migration's own, below that of the run: `total` steps of any unit. It ends when dropped.
    pub fn progress(&self, total: u64) -> Progress {
        self.reporter.progress(total)
    }
}

impl Deref for Db {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}
