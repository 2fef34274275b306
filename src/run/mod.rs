//! The one loop that carries out a plan, always under the lock: it runs each migration, registers it, and reports what happened.

mod adopt;
pub(crate) mod adoption;
pub(crate) mod advice;
mod corrections;
mod done;
mod foreign;
mod indexes;
mod join;
pub(crate) mod lock;
pub(crate) mod majority;
mod opening;
pub(crate) mod plan;
mod reading;
pub(crate) mod request;
pub(crate) mod restore;
mod scope;
mod select;
pub(crate) mod standing;
pub(crate) mod status;
mod step;
mod steps;
pub(crate) mod warnings;

use std::time::{Duration, Instant};

use mongodb::ClientSession;

use crate::db::Db;
use crate::error::chain::error_text;
use crate::error::{Error, ErrorKind, Remark, Result};
use crate::line::program::program;
use crate::model::file_name::stem;
use crate::model::{Direction, Effects};
use crate::process::exit::UnderWay;
use crate::process::stop;
use crate::report::{About, Event, Outcome};
use crate::store::{Attempt, Record, Run, View};
pub(crate) use adopt::adopt;
pub(crate) use done::{Done, Failed};
pub(crate) use indexes::duplicates_remark;
pub(crate) use join::{join, joinable};
use lock::LockGuard;
use plan::Plan;
use reading::{ours, unreadable, view_for};
pub(crate) use reading::{read, read_for};
use request::Request;
pub(crate) use scope::Scope;
use step::Step;
use steps::{Next, Steps};

/// How much longer the start of a run may take to be confirmed once the run was asked to stop.
const BEGIN_WAITS: Duration = Duration::from_secs(2);

/// Whether a person has confirmed the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// No question was asked: the plan may differ by the time that the lock is held.
    NotAsked,
    /// These steps and no others.
    Exactly,
}

/// Plans and carries out a request.
///
/// `confirm` gets the plan before the lock is taken, since a person may take their time. `before` runs under the lock, only if
/// there is something to do, and returns the name of the dump that it took, if it did. Without it the run begins as soon as it has
/// the lock.
pub(crate) async fn run(
    scope: &Scope<'_>,
    request: &Request<'_>,
    confirm: impl AsyncFnOnce(&Plan<'_>) -> Result<Confirmed>,
    before: Option<impl AsyncFnOnce() -> Result<Option<String>>>,
) -> Result<Done, Failed> {
    // Without the lock first: an error in the line, or nothing to do, need not wait for another run.
    let view = read_for(&scope.store, request).await?;
    let plan = plan::make(request, scope.migrations, &view, scope.store.has_transactions())?;
    // A person who is asked knows them before.
    warn(scope, &plan, &[]);
    if plan.steps.is_empty() {
        nothing_to_do(scope, request);
        return Ok(Done::default());
    }
    check_rights(scope, &plan).await?;
    let shown = (&plan, confirm(&plan).await?);
    let run = Run::new(request.subtask, request.command());
    if before.is_none()
        && let Some(done) = opening::at_once(scope, &run, &view, &plan).await?
    {
        return Ok(done);
    }
    locked(scope, &run, async |lock, session| under_lock(scope, request, lock, session, shown, before).await).await
}

/// Does something under the lock, and gives the lock back in every case.
pub(crate) async fn locked<T, E: From<Error>>(
    scope: &Scope<'_>,
    run: &Run,
    work: impl AsyncFnOnce(&LockGuard, ClientSession) -> Result<T, E>,
) -> Result<T, E> {
    let watch = majority::Watch::start(&scope.store, &scope.reporter);
    let (lock, session) = tokio::select! {
        biased;
        taken = lock::take(scope, run) => taken?,
        error = watch.gave_up(scope) => {
            scope.locks.abandon(&scope.store, run).await;
            return Err(error.into());
        }
    };
    let result = work(&lock, session).await;
    scope.locks.give_back(&lock).await;
    result
}

/// Fails if the user could carry out the plan, but not register it.
async fn check_rights(scope: &Scope<'_>, plan: &Plan<'_>) -> Result<(), Error> {
    let removes = plan.steps.iter().any(Step::is_removal);
    let writes = !plan.steps.iter().all(Step::is_removal);
    scope.store.check_rights(writes, removes).await.map_err(|error| {
        let registry = scope.store.registry_name();
        Error::failed(format!("the user may not change the registry `{registry}`, so nothing has run")).caused_by(error)
    })
}

/// The plan for a request, as things are now.
pub(crate) async fn preview<'m>(scope: &Scope<'m>, request: &Request<'m>) -> Result<Plan<'m>> {
    let view = read_for(&scope.store, request).await?;
    Ok(plan::make(request, scope.migrations, &view, scope.store.has_transactions())?)
}

/// Prints the plan's warnings, without those that were printed before.
fn warn(scope: &Scope<'_>, plan: &Plan<'_>, printed: &[Remark]) {
    plan.warnings.iter().filter(|warning| !printed.contains(warning)).for_each(|warning| scope.reporter.remark(warning));
}

fn nothing_to_do(scope: &Scope<'_>, request: &Request<'_>) {
    let (subtask, database) = (request.subtask, scope.database());
    scope.reporter.event(&Event::NothingToDo { subtask, database, why: &request.nothing_to_do(database) });
}

/// Plans again, and carries the plan out. `shown` is the plan that was made without the lock, and whether a person confirmed it.
async fn under_lock(
    scope: &Scope<'_>,
    request: &Request<'_>,
    lock: &LockGuard,
    mut session: ClientSession,
    (shown, confirmed): (&Plan<'_>, Confirmed),
    before: Option<impl AsyncFnOnce() -> Result<Option<String>>>,
) -> Result<Done, Failed> {
    // Another run may have worked on the database before this one got the lock.
    let view = ours(&scope.store, view_for(&scope.store, request, &mut session).await)?;
    let plan = plan::make(request, scope.migrations, &view, scope.store.has_transactions())?;
    warn(scope, &plan, &shown.warnings);
    if plan.steps.is_empty() {
        nothing_to_do(scope, request);
        return Ok(Done::default());
    }
    if confirmed == Confirmed::Exactly && !plan.is_part_of(shown) {
        return Err(plan::more_than_confirmed().into());
    }
    if scope.stop.is_asked() {
        return Err(stop::as_asked().into());
    }
    let dump = match before {
        Some(before) => before().await?,
        None => None,
    };
    carry_out(scope, lock, &view, &plan, dump).await
}

/// Carries out a plan that was made under the lock from that view.
async fn carry_out(
    scope: &Scope<'_>,
    lock: &LockGuard,
    view: &View,
    plan: &Plan<'_>,
    dump: Option<String>,
) -> Result<Done, Failed> {
    let has_unique_names = indexes::create(scope, view, plan).await;
    let _listening = scope.stop.listen();
    let _under_way = UnderWay::begin();
    let begun = Begun { record: None, dump, has_unique_names };
    run_steps(scope, lock, plan, settles(view, plan), begun).await
}

/// Whether no attempt is open once all steps of the plan are done.
fn settles(view: &View, plan: &Plan<'_>) -> bool {
    let is_planned = |attempt: &Attempt| plan.steps.iter().any(|step| step.migration.stem() == stem(&attempt.name));
    view.restore.is_none() && standing::open(view).into_iter().all(is_planned)
}

/// What was done before the first step.
struct Begun {
    /// The run's events so far, if its start is in the log already.
    record: Option<Record>,
    /// The dump that was taken.
    dump: Option<String>,
    /// Whether the server keeps the registry's names unique.
    has_unique_names: bool,
}

/// The loop. It stops at the first migration that fails. `settles`: no attempt is open once all steps are done.
async fn run_steps(
    scope: &Scope<'_>,
    lock: &LockGuard,
    plan: &Plan<'_>,
    settles: bool,
    begun: Begun,
) -> Result<Done, Failed> {
    let Scope { store, reporter, stop, .. } = scope;
    let subtask = lock.run().subtask;
    let db = Db::new(store.connection(), reporter.clone(), stop.clone());
    let (database, total) = (scope.database(), plan.steps.len());
    let started = Instant::now();
    let Begun { record, dump, has_unique_names } = begun;
    let has_begun = record.is_some();
    let record = record.unwrap_or_else(|| Record::new(store, lock.run(), lock.fence()));
    let (effects, has_begun_next) = (Effects::default(), false);
    let mut steps = Steps {
        store,
        db: &db,
        lock,
        stop,
        reporter,
        record,
        settles,
        has_unique_names,
        started,
        effects,
        backfills: Vec::new(),
        has_marks: false,
        has_begun_next,
    };
    reporter.event(&Event::RunStarted { subtask, database, total });
    let mut done = Done::default();
    let with_way_back = |error: Error| match &dump {
        Some(dump) => error.with_further_hint(format!(
            "`{} restore:{dump}` puts the database back to its state before this run",
            program()
        )),
        None => error,
    };
    let mut failure = None;
    if !has_begun {
        let begun = tokio::select! {
            biased;
            begun = steps.begin(&plan.steps, dump.as_deref()) => begun,
            () = stop.asked_for(BEGIN_WAITS) => Err(not_begun()),
        };
        if stop.is_asked() && begun.is_err() {
            opening::withdraw(scope, lock.run(), lock.fence(), &mut steps.record, &plan.steps, lock.now()).await;
        }
        failure = begun.err().map(with_way_back);
    }
    if failure.is_none() {
        for (index, step) in plan.steps.iter().enumerate() {
            let about = About { subtask, direction: step.direction, migration: step.migration.subject() };
            step.runs_again.iter().for_each(|sentence| reporter.note(sentence));
            reporter.event(&Event::MigrationStarted { about, index, total });
            let since = Instant::now();
            match steps.step(step, plan.steps.get(index + 1), done.steps.len()).await {
                Ok(Next::Stop) => break,
                Ok(next) => {
                    done.steps.push((step.direction, step.migration.stem().to_owned()));
                    reporter.event(&Event::MigrationDone { about, took: since.elapsed(), effects: &steps.effects });
                    if next == Next::End {
                        break;
                    }
                }
                Err(error) => {
                    let error = with_way_back(error);
                    let (text, took) = (error_text(&error), since.elapsed());
                    let (hint, effects) = (error.hint(), &steps.effects);
                    reporter.event(&Event::MigrationFailed { about, took, error: &text, hint, effects });
                    failure = Some(error);
                    break;
                }
            }
        }
    }
    let outcome = match &failure {
        Some(error) if error.kind() == ErrorKind::Interrupted => Outcome::Interrupted,
        Some(_) => Outcome::Failed,
        // Even after the last step: a script must not go on after Ctrl-C.
        None if stop.is_asked() => Outcome::Interrupted,
        None => Outcome::Done,
    };
    let direction = plan.steps.first().map_or(Direction::Up, |step| step.direction);
    let (took, tally) = (started.elapsed(), done.tally());
    reporter.event(&Event::RunEnded { subtask, direction, database, done: tally, took, outcome });
    let error = match failure {
        Some(error) => error,
        None if outcome == Outcome::Interrupted => stopped(plan, done.steps.len()),
        None => return Ok(done),
    };
    Err(Failed { done, error: error.into() })
}

/// The error of a run that was asked to stop, and did so after that many steps.
fn stopped(plan: &Plan<'_>, done: usize) -> Error {
    match plan.steps.get(done).and_then(|step| step.again.as_deref()) {
        Some(again) => stop::as_asked().with_hint(format!("run `{} {again}` to do the rest", program())),
        None => stop::as_asked(),
    }
}

/// The error of a run that was asked to stop while its start was not confirmed.
fn not_begun() -> Error {
    Error::new(ErrorKind::Interrupted, "stopped as asked, before the start of the run was confirmed. No migration has begun")
        .with_hint(advice::not_begun())
}
