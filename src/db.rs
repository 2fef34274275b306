//! The database as migrations get it: the driver's, and what this library adds.

use std::ops::Deref;

use mongodb::Database;

use crate::report::{Progress, Reporter};

/// The driver's [`Database`], to which it dereferences, with what this library adds.
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
    database: Database,
    reporter: Reporter,
}

impl Db {
    pub(crate) fn new(database: Database, reporter: Reporter) -> Self {
        Self { database, reporter }
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
