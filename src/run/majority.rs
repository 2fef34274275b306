//! Says that a run waits because a majority of the replica set does not confirm what is written, and gives up before anything ran.
//!
//! Our writes, and those of migrations, wait until a majority has them, however long that takes: with a time-out of the server's
//! own, a write could be there and be taken for one that failed. So no write is bounded. Instead the primary is asked, on a client
//! of its own, whether what was written some seconds ago is confirmed by now. That holds for every write there is.

use std::time::{Duration, Instant};

use mongodb::bson::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Scope;
use crate::connect::Progress;
use crate::error::{Error, ErrorKind};
use crate::report::{Reporter, ago};
use crate::store::Store;

/// How often the primary is asked. A shorter run does not ask at all.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a write may be unconfirmed before that is reported.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is reported.
const REPORT_EVERY: Duration = Duration::from_secs(30);

/// How long a run without `--wait` waits for the lock to be confirmed.
const LONGEST: Duration = Duration::from_secs(120);

/// Watches until it is dropped.
#[must_use = "it watches until this is dropped"]
pub(crate) struct Watch {
    is_stalled: watch::Receiver<bool>,
    watching: JoinHandle<()>,
}

impl Watch {
    pub(crate) fn start(store: &Store, reporter: &Reporter) -> Self {
        let (sender, is_stalled) = watch::channel(false);
        let watching = tokio::spawn(keep_looking(store.clone(), reporter.clone(), sender));
        Self { is_stalled, watching }
    }

    /// Returns the error of a run that could not take the lock, once it has waited for as long as the scope says, and a majority
    /// still confirms nothing.
    pub(super) async fn gave_up(&self, scope: &Scope<'_>) -> Error {
        let since = Instant::now();
        tokio::time::sleep(scope.wait.unwrap_or(LONGEST)).await;
        let mut is_stalled = self.is_stalled.clone();
        if is_stalled.wait_for(|is_stalled| *is_stalled).await.is_err() {
            // It ends only if there is no majority to ask.
            std::future::pending::<()>().await;
        }
        let message = format!(
            "the lock could not be taken, because a majority of the replica set does not confirm writes{} (waited {}). Nothing has run",
            silent(&scope.store).await,
            ago(since.elapsed())
        );
        let hint = "get these members to answer, or take them out of the replica set, then run the same command again";
        Error::new(ErrorKind::Locked, message).with_hint(format!("{hint} (`{}` waits for as long)", scope.how_to_wait))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

async fn keep_looking(store: Store, reporter: Reporter, is_stalled: watch::Sender<bool>) {
    if !store.has_transactions() {
        return;
    }
    tokio::time::sleep(LOOK_EVERY).await;
    // A migration may use every connection of the run's own client.
    let Ok(store) = store.with_own_client() else { return };
    let mut unconfirmed = None;
    let mut reported: Option<Instant> = None;
    loop {
        if let Some(progress) = store.connection().progress().await {
            unconfirmed = still_unconfirmed(unconfirmed, progress, Instant::now());
        }
        let is_long = unconfirmed.is_some_and(|(_, since): (_, Instant)| since.elapsed() >= PATIENCE);
        if is_long && reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            reporter.warning_with_hint(
                format!("a majority of the replica set does not confirm writes{}, so this run waits", silent(&store).await),
                "it goes on by itself once they are confirmed; Ctrl-C stops it",
            );
            reported = Some(Instant::now());
        } else if !is_long && reported.take().is_some() {
            reporter.status("Confirmed", "a majority of the replica set confirms writes again");
        }
        is_stalled.send_replace(is_long);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What was written and is not confirmed, and since when that is known.
fn still_unconfirmed(
    before: Option<(Timestamp, Instant)>,
    progress: Progress,
    now: Instant,
) -> Option<(Timestamp, Instant)> {
    let Progress { written, confirmed } = progress;
    before.filter(|(time, _)| confirmed < *time).or_else(|| (confirmed < written).then_some((written, now)))
}

/// `: 10.0.0.5:27017 (not reachable)`
async fn silent(store: &Store) -> String {
    let members = store.connection().silent_members().await;
    if members.is_empty() { String::new() } else { format!(": {}", members.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_that_goes_on_is_none_as_long_as_each_write_is_confirmed_in_time() {
        let time = |time| Timestamp { time, increment: 0 };
        let progress = |written, confirmed| Progress { written: time(written), confirmed: time(confirmed) };
        let start = Instant::now();
        let later = start + Duration::from_secs(1);
        let first = still_unconfirmed(None, progress(9, 7), start);
        assert_eq!(first, Some((time(9), start)));
        assert_eq!(still_unconfirmed(first, progress(12, 8), later), first, "what was written first still counts");
        assert_eq!(still_unconfirmed(first, progress(12, 9), later), Some((time(12), later)));
        assert_eq!(still_unconfirmed(first, progress(12, 12), later), None);
    }
}
