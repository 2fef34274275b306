//! What a transaction cannot hold: which limit of the server's it was, and what to do instead.

use std::error::Error as StdError;
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Bson, doc};
use mongodb::error::ErrorKind;

use super::attempt::driver_error;
use crate::error::Error;

type BoxError = Box<dyn StdError + Send + Sync>;

/// The server's default for `transactionLifetimeLimitSeconds`.
const LIFETIME: Duration = Duration::from_secs(60);

const NO_SUCH_TRANSACTION: i32 = 251;
const NOT_SUPPORTED: i32 = 263;
const WRITE_CONFLICT: i32 = 112;
const TOO_LARGE: [i32; 3] = [257, 388, 10334];

/// Whether the server gave the transaction up because it ran for too long: it would again.
pub(super) async fn is_out_of_time(client: &Client, error: &(dyn StdError + 'static), ran: Duration) -> bool {
    // The server looks every second at most often.
    if code(error, NO_SUCH_TRANSACTION).is_none() || ran < Duration::from_secs(1) {
        return false;
    }
    ran >= lifetime(client).await
}

/// Not everybody may ask for it.
async fn lifetime(client: &Client) -> Duration {
    let command = doc! { "getParameter": 1, "transactionLifetimeLimitSeconds": 1 };
    let reply = client.database("admin").run_command(command).await.ok();
    match reply.as_ref().and_then(|reply| reply.get("transactionLifetimeLimitSeconds")) {
        Some(Bson::Int32(seconds)) => Duration::from_secs(u64::try_from(*seconds).unwrap_or(60)),
        Some(Bson::Int64(seconds)) => Duration::from_secs(u64::try_from(*seconds).unwrap_or(60)),
        _ => LIFETIME,
    }
}

/// The same error, with the limit that it stands for told above it.
pub(super) fn explain(error: BoxError, out_of_time: Option<Duration>, gave_up: bool) -> BoxError {
    let message = if let Some(ran) = out_of_time {
        format!(
            "the transaction ran for {} s, longer than the server lets one run (transactionLifetimeLimitSeconds, 60 s unless \
             changed); nothing of it took effect; take `&Db` in place of `&mut Transaction` and do the work in steps, each in a \
             `db.transaction(…)` of its own where it must be whole",
            ran.as_secs()
        )
    } else if let Some(said) = code(&*error, NOT_SUPPORTED) {
        format!(
            "the server does not do this within a transaction ({said}); nothing of it took effect; do it in a migration that \
             takes `&Database` or `&Db`: an index on a collection that exists, `collMod`, renaming and dropping are such"
        )
    } else if TOO_LARGE.iter().any(|&limit| code(&*error, limit).is_some()) {
        "the transaction is larger than the server takes (16 MiB for one write, and its cache for all of them); nothing of it \
         took effect; take `&Db` in place of `&mut Transaction` and do the work in steps, each in a `db.transaction(…)` of its \
         own where it must be whole"
            .into()
    } else if gave_up && code(&*error, WRITE_CONFLICT).is_some() {
        "the transaction was in conflict again and again for two minutes; nothing of it took effect; either others keep \
         writing the same documents, or it holds more than the server's cache: do the work in smaller steps"
            .into()
    } else {
        return error;
    };
    Error::failed(message).caused_by(error).into()
}

/// What the server said with that code.
fn code(error: &(dyn StdError + 'static), code: i32) -> Option<String> {
    let driver = driver_error(error, |driver| code_of(driver) == Some(code))?;
    Some(match &*driver.kind {
        ErrorKind::Command(command) => command.message.trim_end_matches('.').to_owned(),
        _ => crate::error::describe::driver(driver),
    })
}

fn code_of(error: &mongodb::error::Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(mongodb::error::WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::InsertMany(insert) => insert.write_errors.iter().flatten().next().map(|write| write.code),
        _ => None,
    }
}
