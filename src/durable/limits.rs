//! The server's limits on transactions: which one was exceeded, and what to do instead.
//!
//! The advice is part of the message: these errors are printed as causes, which have no hint of their own.

use std::error::Error as StdError;
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Bson, doc};
use mongodb::error::ErrorKind;

use crate::error::Error;
use crate::error::chain::{driver_error, hidden_message};
use crate::error::codes::{self, code_of};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The server's default for `transactionLifetimeLimitSeconds`.
const LIFETIME: Duration = Duration::from_secs(60);

/// Whether the server aborted the transaction because it was open for too long. Then it is not repeated: it would take as long
/// again.
pub(super) async fn is_out_of_time(client: &Client, error: &(dyn StdError + 'static), ran: Duration) -> bool {
    // The server looks for expired transactions once a second at most.
    if message_with(error, codes::NO_SUCH_TRANSACTION).is_none() || ran < Duration::from_secs(1) {
        return false;
    }
    ran >= lifetime(client).await
}

/// The server's limit, or the default where the user may not read the parameter.
async fn lifetime(client: &Client) -> Duration {
    let command = doc! { "getParameter": 1, "transactionLifetimeLimitSeconds": 1 };
    let reply = client.database("admin").run_command(command).await.ok();
    match reply.as_ref().and_then(|reply| reply.get("transactionLifetimeLimitSeconds")) {
        Some(Bson::Int32(seconds)) => Duration::from_secs(u64::try_from(*seconds).unwrap_or(60)),
        Some(Bson::Int64(seconds)) => Duration::from_secs(u64::try_from(*seconds).unwrap_or(60)),
        _ => LIFETIME,
    }
}

/// Returns the error as the cause of one that explains the exceeded limit, or unchanged where it was not a limit.
pub(super) fn explain(error: BoxError, out_of_time: Option<Duration>, gave_up: bool) -> BoxError {
    let message = if let Some(ran) = out_of_time {
        format!(
            "the transaction ran for {} s, longer than the server allows (transactionLifetimeLimitSeconds, 60 s by default), so \
             nothing of it took effect: {IN_STEPS}",
            ran.as_secs()
        )
    } else if let Some(said) = message_with(&*error, codes::OPERATION_NOT_SUPPORTED_IN_TRANSACTION) {
        format!(
            "the server does not do this within a transaction ({said}), so nothing of it took effect: do it in a migration that \
             takes `&Database` or `&Db` (this holds for an index on an existing collection, `collMod`, renaming and dropping)"
        )
    } else if codes::TOO_LARGE_FOR_TRANSACTION.iter().any(|&code| message_with(&*error, code).is_some()) {
        format!(
            "the transaction is larger than the server accepts (16 MiB for one write, and the server's cache for all of them), \
             so nothing of it took effect: {IN_STEPS}"
        )
    } else if gave_up && message_with(&*error, codes::WRITE_CONFLICT).is_some() {
        "the transaction had write conflicts for two minutes, so nothing of it took effect: either other clients keep writing \
         the same documents, or it exceeds the server's cache and has to be split into smaller steps"
            .into()
    } else {
        return error;
    };
    Error::failed(message).caused_by(error).into()
}

const IN_STEPS: &str = "take `&Db` instead of `&mut Transaction` and work in steps, with a `db.transaction(…)` for each part that \
                        must be atomic";

/// The server's message, if an error with that code is in the chain.
fn message_with(error: &(dyn StdError + 'static), code: i32) -> Option<String> {
    let Some(driver) = driver_error(error, |driver| code_of(driver) == Some(code)) else {
        return hidden_message(error, code).map(|message| message.trim_end_matches('.').to_owned());
    };
    Some(match &*driver.kind {
        ErrorKind::Command(command) => command.message.trim_end_matches('.').to_owned(),
        _ => crate::error::describe::driver(driver),
    })
}
