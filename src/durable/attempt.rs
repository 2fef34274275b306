//! Runs a transaction until it is committed. Like the driver's own convenient API, it repeats the transaction when the server
//! asks for that.

use std::time::{Duration, Instant};

use mongodb::error::{TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::{Client, ClientSession};

use super::limits;
use super::transaction_options;
use crate::crash;
use crate::error::Result;
use crate::error::chain::has_label;

/// For how long a transaction is repeated in total, as in the driver.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pause between two attempts. It doubles from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// A session, or a value that owns one.
pub(crate) trait HasSession {
    fn session(&mut self) -> &mut ClientSession;
}

impl HasSession for ClientSession {
    fn session(&mut self) -> &mut ClientSession {
        self
    }
}

/// Runs `body` in a transaction on a new session, and commits it.
pub(crate) async fn retried<T>(client: &Client, body: impl AsyncFnMut(&mut ClientSession) -> Result<T>) -> Result<T> {
    let mut session = client.start_session().await?;
    run(&mut session, std::future::pending, body).await
}

/// Runs `body` in a transaction and commits it.
///
/// When `stopped` returns an error while the body runs, the transaction is aborted and that error is returned. A commit is never
/// interrupted: its result would be unknown.
pub(crate) async fn run<S: HasSession, T>(
    owner: &mut S,
    stopped: impl AsyncFn() -> Box<dyn std::error::Error + Send + Sync>,
    mut body: impl AsyncFnMut(&mut S) -> Result<T>,
) -> Result<T> {
    let since = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        owner.session().start_transaction().with_options(transaction_options()).await?;
        let began = Instant::now();
        let result = tokio::select! {
            biased;
            reason = stopped() => Err(reason),
            result = body(owner) => result,
        };
        let failure = match result {
            Ok(value) => match commit(owner.session(), since).await {
                Ok(()) => return Ok(value),
                Err(error) => error.into(),
            },
            Err(error) => {
                // This fails where the server has already aborted the transaction, which does no harm.
                let _ = owner.session().abort_transaction().await;
                error
            }
        };
        let client = owner.session().client();
        let out_of_time = limits::is_out_of_time(&client, &*failure, began.elapsed()).await.then(|| began.elapsed());
        let gave_up = since.elapsed() + pause >= PATIENCE;
        if out_of_time.is_some() || gave_up || !has_label(&*failure, TRANSIENT_TRANSACTION_ERROR) {
            return Err(limits::explain(failure, out_of_time, gave_up));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn commit(session: &mut ClientSession, since: Instant) -> mongodb::error::Result<()> {
    loop {
        crash::point("before commit");
        match session.commit_transaction().await {
            Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && since.elapsed() < PATIENCE => {
                tokio::time::sleep(FIRST_PAUSE).await;
            }
            result => {
                crash::point("committed");
                return result;
            }
        }
    }
}
