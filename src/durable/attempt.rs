//! Runs a transaction to its commit: again when the server asks for that, as the driver's own convenient API does.

use std::time::{Duration, Instant};

use mongodb::error::{TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT};
use mongodb::{Client, ClientSession};

use super::limits;
use super::transaction_options;
use crate::crash;
use crate::error::Result;

/// How long a transaction is tried in all; the driver's own limit.
const PATIENCE: Duration = Duration::from_secs(120);

/// The pause between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Whatever has a session.
pub(crate) trait Holds {
    fn session(&mut self) -> &mut ClientSession;
}

impl Holds for ClientSession {
    fn session(&mut self) -> &mut ClientSession {
        self
    }
}

/// Runs `body` in a transaction of a session of its own, and commits it.
pub(crate) async fn retried<T>(client: &Client, body: impl AsyncFnMut(&mut ClientSession) -> Result<T>) -> Result<T> {
    let mut session = client.start_session().await?;
    run(&mut session, std::future::pending, body).await
}

/// Runs `body` in a transaction and commits it. When `stopped` gives an error while the body runs, it is aborted with that;
/// a commit is always seen to its end.
pub(crate) async fn run<H: Holds, T>(
    holder: &mut H,
    stopped: impl AsyncFn() -> Box<dyn std::error::Error + Send + Sync>,
    mut body: impl AsyncFnMut(&mut H) -> Result<T>,
) -> Result<T> {
    let since = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        holder.session().start_transaction().with_options(transaction_options()).await?;
        let began = Instant::now();
        let ran = tokio::select! {
            biased;
            why = stopped() => Err(why),
            ran = body(holder) => ran,
        };
        let failure = match ran {
            Ok(value) => match commit(holder.session(), since).await {
                Ok(()) => return Ok(value),
                Err(error) => error.into(),
            },
            Err(error) => {
                // Where the server has aborted it already, this fails, and nothing is lost.
                let _ = holder.session().abort_transaction().await;
                error
            }
        };
        let client = holder.session().client();
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

/// The driver's error in an error's chain.
pub(super) fn driver_error<'e>(
    error: &'e (dyn std::error::Error + 'static),
    is: impl Fn(&mongodb::error::Error) -> bool,
) -> Option<&'e mongodb::error::Error> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| {
        let driver = error
            .downcast_ref::<mongodb::error::Error>()
            .or_else(|| error.downcast_ref::<Box<mongodb::error::Error>>().map(|boxed| &**boxed))?;
        is(driver).then_some(driver)
    })
}

/// Whether a driver's error in the chain has the label.
pub(crate) fn has_label(error: &(dyn std::error::Error + 'static), label: &str) -> bool {
    driver_error(error, |driver| driver.contains_label(label)).is_some()
}
