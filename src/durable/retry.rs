//! Repeating what may be repeated, while a server is not there or no primary.

use std::time::Duration;

use mongodb::error::{Error, ErrorKind, RETRYABLE_WRITE_ERROR, Result};

/// How often a write that is safe to repeat is tried, and how long after a failure.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(150);

/// Repeats what may be repeated when the server did not answer, or is no primary any more. The driver repeats by itself, but
/// once only, and not where the connection string has `retryWrites=false`.
pub(crate) async fn again<T>(mut operation: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match operation().await {
            Err(error) if tries < TRIES && is_passing(&error) => {
                tokio::time::sleep(PAUSE * tries).await;
                tries += 1;
            }
            result => return result,
        }
    }
}

fn is_passing(error: &Error) -> bool {
    // A primary that steps down, or shuts down, or whose answer did not come.
    const CODES: [i32; 11] = [6, 7, 89, 91, 189, 9001, 10107, 11600, 11602, 13435, 13436];
    let by_code = match &*error.kind {
        ErrorKind::Command(command) => CODES.contains(&command.code),
        ErrorKind::Write(mongodb::error::WriteFailure::WriteConcernError(concern)) => CODES.contains(&concern.code),
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => true,
        _ => false,
    };
    by_code || error.contains_label(RETRYABLE_WRITE_ERROR)
}

pub(crate) fn is_duplicate(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(mongodb::error::WriteFailure::WriteError(write)) => write.code == 11000,
        ErrorKind::InsertMany(insert) => {
            insert.write_concern_error.is_none() && insert.write_errors.iter().flatten().all(|write| write.code == 11000)
        }
        ErrorKind::Command(command) => command.code == 11000,
        _ => false,
    }
}
