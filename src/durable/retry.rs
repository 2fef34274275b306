//! Repeats operations that are safe to repeat while no primary can be reached.

use std::time::{Duration, Instant};

use mongodb::bson::Document;
use mongodb::error::{Error, ErrorKind, RETRYABLE_WRITE_ERROR, Result, WriteConcernError, WriteFailure};

use crate::model::serde_bson;

use crate::error::codes;

/// How many attempts an operation gets.
const TRIES: u32 = 4;

/// The pause after the first failure. Each further pause is longer by as much.
const PAUSE: Duration = Duration::from_millis(150);

/// Runs an operation that is safe to repeat, and repeats it when the server did not answer or is no longer the primary.
///
/// The driver also retries, but only once, and not where the connection string has `retryWrites=false`.
pub(crate) async fn retry<T>(mut operation: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match operation().await {
            Err(error) if tries < TRIES && is_temporary(&error) => {
                tokio::time::sleep(PAUSE * tries).await;
                tries += 1;
            }
            result => return result,
        }
    }
}

/// For how long work that takes hours waits for a primary.
const PATIENCE: Duration = Duration::from_secs(180);

/// The longest pause between two attempts of such work.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Runs an operation that is safe to repeat, and repeats it for some minutes: an election does not end work of hours.
pub(crate) async fn patiently<T>(mut operation: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let since = Instant::now();
    let mut pause = PAUSE;
    loop {
        match operation().await {
            Err(error) if since.elapsed() < PATIENCE && is_temporary(&error) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}

/// The error of a command that was sent as it is, and whose answer has this part that says what a majority does not confirm.
pub(crate) fn unconfirmed(part: &Document) -> Error {
    match serde_bson::decode_document::<WriteConcernError>(part.clone()) {
        Ok(error) => ErrorKind::Write(WriteFailure::WriteConcernError(error)).into(),
        Err(_) => Error::custom(part.get_str("errmsg").unwrap_or("a majority does not confirm the write").to_owned()),
    }
}

fn is_temporary(error: &Error) -> bool {
    let by_kind = match &*error.kind {
        ErrorKind::Command(command) => codes::TEMPORARY.contains(&command.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => codes::TEMPORARY.contains(&concern.code),
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => true,
        _ => false,
    };
    by_kind || error.contains_label(RETRYABLE_WRITE_ERROR)
}

/// Whether the server refused the write only because a unique index already has the key. Of an insert of several documents, all
/// refused ones must have been refused for that.
pub(crate) fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code == codes::DUPLICATE_KEY,
        ErrorKind::InsertMany(insert) => {
            insert.write_concern_error.is_none()
                && insert.write_errors.iter().flatten().all(|write| write.code == codes::DUPLICATE_KEY)
        }
        ErrorKind::Command(command) => command.code == codes::DUPLICATE_KEY,
        _ => false,
    }
}
