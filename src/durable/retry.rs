//! Repeats operations that are safe to repeat while no primary can be reached.

use std::time::Duration;

use mongodb::error::{Error, ErrorKind, RETRYABLE_WRITE_ERROR, Result, WriteFailure};

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
