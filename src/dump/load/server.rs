//! The commands that create, rename and drop collections. Each is durable when it returns, and may be repeated.
//!
//! They are acknowledged by a majority, since what a failover takes back would be missing from the restored database without a
//! sign. The journal is not waited for: the run writes the log last, which waits for everything before it.

use std::cell::Cell;

use mongodb::Database;
use mongodb::bson::{Document, RawDocumentBuf, Timestamp, doc};
use mongodb::error::{Error, Result};
use mongodb::options::{Acknowledgment, WriteConcern};

use crate::durable::retry;
use crate::error::codes::{self, code_of};

/// What an insert replaces with the current time.
pub(super) const EMPTY: Timestamp = Timestamp { time: 0, increment: 0 };

/// How many stages the pipeline of one update has at most. The server's limit is 1000, or 200 where it was built for debugging.
pub(super) const STAGES: usize = 100;

/// How the documents are written.
pub(super) fn write_concern() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).build()
}

/// Sends a command. `done_before` is the code of a server that has carried it out already: it is not an error if the command was
/// repeated because the answer was lost.
async fn send(database: &Database, command: Document, done_before: i32) -> Result<()> {
    let mut command = command;
    command.insert("writeConcern", doc! { "w": "majority" });
    let is_repeated = Cell::new(false);
    retry(async || {
        let was_sent = is_repeated.replace(true);
        match database.run_command(command.clone()).await {
            Ok(reply) => confirmed(&reply),
            Err(error) if was_sent && code_of(&error) == Some(done_before) => Ok(()),
            Err(error) => Err(error),
        }
    })
    .await
}

fn confirmed(reply: &Document) -> Result<()> {
    match reply.get_document("writeConcernError") {
        Ok(error) => Err(refused(error, "the write was not confirmed")),
        Err(_) => Ok(()),
    }
}

fn refused(error: &Document, otherwise: &str) -> Error {
    Error::custom(error.get_str("errmsg").unwrap_or(otherwise).to_owned())
}

/// Sends an insert or an update of one document, as it is. It is not repeated.
pub(super) async fn write(database: &Database, command: RawDocumentBuf) -> Result<()> {
    let reply = database.run_raw_command(command).await?;
    match reply.get_array("writeErrors").ok().and_then(|errors| errors.first()?.as_document()) {
        Some(error) => Err(refused(error, "the server refused a document")),
        None => confirmed(&reply),
    }
}

/// Creates a collection or view.
pub(super) async fn create(database: &Database, name: &str, options: &Document) -> Result<()> {
    let mut command = doc! { "create": name };
    command.extend(options.clone());
    send(database, command, codes::NAMESPACE_EXISTS).await
}

pub(super) async fn create_indexes(database: &Database, collection: &str, indexes: &[Document]) -> Result<()> {
    // Older servers accepted unknown options and kept them.
    let command = doc! { "createIndexes": collection, "indexes": indexes, "ignoreUnknownIndexOptions": true };
    send(database, command, codes::INDEX_ALREADY_EXISTS).await
}

/// Drops all indexes except the one on `_id`.
pub(super) async fn drop_indexes(database: &Database, collection: &str) -> Result<()> {
    send(database, doc! { "dropIndexes": collection, "index": "*" }, codes::INDEX_NOT_FOUND).await
}

/// Drops a collection or view, if it is there.
pub(super) async fn drop(database: &Database, name: &str) -> Result<()> {
    match send(database, doc! { "drop": name }, codes::NAMESPACE_NOT_FOUND).await {
        Err(error) if code_of(&error) == Some(codes::NAMESPACE_NOT_FOUND) => Ok(()),
        dropped => dropped,
    }
}

/// Renames a collection, and drops the one that has the name.
pub(super) async fn replace(database: &Database, from: &str, to: &str) -> Result<()> {
    send_rename(database, from, to, true).await
}

/// Renames a collection. An error if there is one that has the name.
pub(super) async fn rename(database: &Database, from: &str, to: &str) -> Result<()> {
    send_rename(database, from, to, false).await
}

async fn send_rename(database: &Database, from: &str, to: &str, drops_target: bool) -> Result<()> {
    let full = |name: &str| format!("{}.{name}", database.name());
    let command = doc! { "renameCollection": full(from), "to": full(to), "dropTarget": drops_target };
    send(&database.client().database("admin"), command, codes::NAMESPACE_NOT_FOUND).await
}
