//! A run that begins in the transaction that takes the lock, with the plan that was made before.

use std::rc::Rc;
use std::time::Instant;

use mongodb::bson::DateTime;

use super::lock::{Clocks, LockGuard, RELEASE_WAITS, server_time};
use super::plan::Plan;
use super::step::Step;
use super::steps::{first_events, not_written, withdrawn_events};
use super::{BEGIN_WAITS, Begun, Done, Failed, Scope, indexes, majority, not_begun, run_steps, settles};
use crate::crash;
use crate::error::Error;
use crate::process::exit::UnderWay;
use crate::process::stop;
use crate::store::{Fence, Opened, Record, Run, Seen, View};

/// Carries out the plan if it can begin in the transaction that takes the lock. Returns `None` if it cannot, or if anything has
/// changed since the plan was made: then nothing was done.
pub(super) async fn at_once(scope: &Scope<'_>, run: &Run, view: &View, plan: &Plan<'_>) -> Result<Option<Done>, Failed> {
    // A router reads from several shards, which may show the parts of one transaction at different moments.
    let may_begin = scope.store.has_transactions() && !scope.store.connection().is_router && !indexes::lacks(view, plan);
    let Some(seen) = view.seen.as_ref().filter(|_| may_begin) else { return Ok(None) };
    if scope.stop.is_asked() {
        return Err(stop::as_asked().into());
    }
    let _listening = scope.stop.listen();
    let watch = majority::Watch::start(&scope.store, &scope.reporter);
    let mut record = Record::new(&scope.store, run, &seen.fence(&scope.store));
    let opened = tokio::select! {
        biased;
        opened = open(scope, run, seen, &plan.steps, &mut record) => opened,
        () = scope.stop.asked_for(BEGIN_WAITS) => Err(not_begun()),
        error = watch.gave_up(scope) => Err(error),
    };
    let lock = match opened {
        Ok(Some(lock)) => lock,
        Ok(None) => return Ok(None),
        Err(error) => {
            let now = server_time(seen.at());
            withdraw(scope, run, &seen.fence(&scope.store), &mut record, &plan.steps, now).await;
            return Err(error.into());
        }
    };
    let _under_way = UnderWay::begin();
    let begun = Begun { record: Some(record), dump: None, has_unique_names: view.has_unique_names };
    let done = run_steps(scope, &lock, plan, settles(view, plan), begun).await;
    scope.locks.give_back(&lock).await;
    done.map(Some)
}

/// Takes the lock as it was seen, and writes the start of the run. Returns `None` if nothing was written, and an error if that is not
/// known.
async fn open(
    scope: &Scope<'_>,
    run: &Run,
    seen: &Seen,
    steps: &[Step<'_>],
    record: &mut Record,
) -> Result<Option<Rc<LockGuard>>, Error> {
    let store = &scope.store;
    crash::point("planned");
    let log = first_events(record, steps, None, server_time(seen.at()));
    let asked = Clocks::now();
    match store.open(run, seen, &log).await {
        Opened::Begun => {
            let taken_at = (server_time(seen.at()), Instant::now());
            let lock = Rc::new(LockGuard::new(store, run, seen.fence(store), taken_at, asked));
            // However this ends from now on, the lock is given back.
            scope.locks.note(&lock);
            crash::point("run begun");
            Ok(Some(lock))
        }
        Opened::No => Ok(None),
        Opened::Unknown(error) => Err(not_written(error)),
    }
}

/// Records that a run ended before its first migration began. Its start may have been written, and not be confirmed.
///
/// The primary records it at once. If a majority does not confirm it, nothing is gained by waiting.
pub(super) async fn withdraw(
    scope: &Scope<'_>,
    run: &Run,
    fence: &Fence,
    record: &mut Record,
    steps: &[Step<'_>],
    now: DateTime,
) {
    let Some(first) = steps.first() else { return };
    let log = withdrawn_events(record, first, now);
    let _ = tokio::time::timeout(RELEASE_WAITS, scope.store.withdraw(run, fence, &log)).await;
}
