//! A restore under the lock, and what the log says of it.

use std::time::{Duration, Instant};

use mongodb::ClientSession;

use super::lock::LockGuard;
use super::{Scope, advice, locked, unreadable};
use crate::dump::{self, Restore, Verified, Wanted};
use crate::error::chain::error_text;
use crate::error::{Error, ErrorKind, Result};
use crate::process::stop::Stop;
use crate::store::{BACKFILLS, Ended, Partial, Record, Run};

/// What a restore has put back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restored {
    pub(crate) documents: u64,
    /// The size of the documents.
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

/// Whether a restore can still end without having changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Preparing,
    Replacing,
}

/// Restores a dump, whose `name` the log records.
pub(crate) async fn restore(scope: &Scope<'_>, run: &Run, dump: &Verified, name: &str, wanted: &Wanted) -> Result<Restored> {
    locked(scope, run, async |lock, session| under_lock(scope, lock, session, dump, name, wanted).await).await
}

async fn under_lock(
    scope: &Scope<'_>,
    lock: &LockGuard,
    mut session: ClientSession,
    dump: &Verified,
    name: &str,
    wanted: &Wanted,
) -> Result<Restored> {
    let Scope { store, reporter, stop, .. } = scope;
    let since = Instant::now();
    let view = store.view(&mut session).await.map_err(|error| unreadable(store, error))?;
    let cut_off = view.cut_off_restore();
    let restore = Restore::new(store.database(), dump, wanted, lock.fence().number()).await?;
    let only = restore.choice().names();
    if let Some(partial) = cut_off.filter(|partial| !partial.is_repaired_by(only)) {
        return Err(advice::not_repaired(partial).into());
    }
    let (documents, bytes) = restore.size();
    // A complete dump has the marks of backfills, too, as they were when it was taken.
    let has_marks = restore.choice().includes(BACKFILLS);
    let _relaying = stop.relay();
    let mut record = Record::new(store, lock.run(), lock.fence());
    lock.write_log(vec![record.restore_started(name, cut_off, lock.now())]).await?;

    let (progress, cancel) = (reporter.transfer(bytes), Stop::default());
    let mut partial = cut_off.cloned();
    let work = async {
        supervised(scope, lock, &cancel, Phase::Preparing, restore.prepare(&progress, &cancel)).await?;
        check(lock).await?;
        let own = Partial::new(name, wanted.task(name), only);
        lock.write_log(vec![record.restore_replaces(&own, lock.now())]).await?;
        partial = Some(own);
        if !has_marks {
            store.forget_backfills_of(|name| restore.choice().includes(name)).await?;
        }
        let replace = restore.replace(&progress, &cancel, async || check(lock).await);
        supervised(scope, lock, &cancel, Phase::Replacing, replace).await?;
        // Marks of another point in time than the documents.
        if has_marks && !dump.is_consistent {
            store.forget_backfills_of(|_| true).await?;
        }
        Result::<()>::Ok(())
    };
    if let Err(error) = work.await {
        restore.discard().await;
        let is_stopped = error.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::Interrupted);
        let outcome = if is_stopped { Ended::Aborted } else { Ended::Failed };
        let text = error_text(&*error);
        let end = record.restore_failed(since.elapsed(), outcome, &text, partial.as_ref(), lock.now());
        // Without it the start is the last that the log knows, and says the same of the database.
        let _ = lock.write_log(vec![end]).await;
        return Err(error);
    }
    let mut end = Vec::new();
    // The result of every earlier attempt is now as the dump has it, if the registry is.
    if restore.choice().includes(store.registry_name()) {
        end.extend(view.attempts.iter().map(|attempt| record.migration_restored(attempt, lock.now())));
    }
    end.push(record.run_ended(0, since.elapsed(), Ended::Done, lock.now()));
    lock.write_log(end).await?;
    if stop.is_asked() {
        return Err(Error::new(ErrorKind::Interrupted, "the restore was completed before it stopped as asked").into());
    }
    Ok(Restored { documents, bytes, took: since.elapsed() })
}

/// An error if another run has the lock.
async fn check(lock: &LockGuard) -> Result<()> {
    if lock.is_ours().await? { Ok(()) } else { Err(lock.lost_error().await.into()) }
}

/// Waits for the work, and cancels it when the lock is lost. When the process is asked to stop, the work is cancelled too if nothing
/// has been changed yet.
async fn supervised(
    scope: &Scope<'_>,
    lock: &LockGuard,
    cancel: &Stop,
    phase: Phase,
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    let mut work = std::pin::pin!(work);
    let mut is_asked = false;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = lock.lost() => {
                cancel.ask();
                let _ = work.await;
                return Err(lock.lost_error().await.into());
            }
            () = scope.stop.asked(), if !is_asked => match phase {
                Phase::Preparing => {
                    cancel.ask();
                    let _ = work.await;
                    return Err(Error::new(ErrorKind::Interrupted, "the restore stopped as asked. The database was not changed")
                        .with_hint("run the restore again")
                        .into());
                }
                Phase::Replacing => {
                    is_asked = true;
                    scope.reporter.warning_with_hint(
                        "the restore is replacing collections, and stops when it has replaced all of them",
                        "press Ctrl-C again to stop now, which leaves the database with a part of the dump",
                    );
                }
            },
        }
    }
}

/// What a person lets go that restores have left.
#[derive(Clone, Debug)]
pub(crate) enum Accepted {
    /// No restore was cut off.
    Nothing,
    /// A restore that was cut off while it replaced collections.
    Partial,
    /// Only collections that were loaded and never put into place.
    Loaded(usize),
}

/// Records that the database is right as a restore that was cut off has left it, and drops what it has loaded. `confirm` gets that
/// restore, and asks.
pub(crate) async fn accept(scope: &Scope<'_>, confirm: impl AsyncFn(&Partial) -> Result<()>) -> Result<Accepted> {
    let database = scope.store.database();
    // A person may take their time, so the lock is not held meanwhile.
    let view = super::read(&scope.store).await?;
    let partial = view.cut_off_restore();
    match partial {
        Some(partial) => confirm(partial).await?,
        None if dump::leftovers(database).await?.is_empty() => return Ok(Accepted::Nothing),
        // They belong to no database that anybody uses.
        None => {}
    }
    // The log has the end of a restore.
    let run = Run::new("restore", "unlock:restore".to_owned());
    locked(scope, &run, async |lock, mut session| -> Result<Accepted> {
        let view = scope.store.view(&mut session).await.map_err(|error| unreadable(&scope.store, error))?;
        if view.cut_off_restore() != partial {
            return Err(Error::new(ErrorKind::Refused, "another restore was at work in the meantime. Nothing was changed")
                .with_hint("run the same command again")
                .into());
        }
        let Some(partial) = partial else {
            return Ok(Accepted::Loaded(dump::drop_leftovers(database).await?));
        };
        let mut record = Record::new(&scope.store, lock.run(), lock.fence());
        let start = record.restore_started(&partial.dump, Some(partial), lock.now());
        let end = record.run_ended(0, Duration::ZERO, Ended::Accepted, lock.now());
        lock.write_log(vec![start, end]).await?;
        dump::drop_leftovers(database).await?;
        Ok(Accepted::Partial)
    })
    .await
}
