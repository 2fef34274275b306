//! The one loop that carries out a plan, always under the lock: runs each migration, registers it, and tells what happened.

pub(crate) mod advice;
pub(crate) mod lock;
pub(crate) mod plan;
pub(crate) mod standing;
mod step;

use std::rc::Rc;
use std::time::Instant;

use mongodb::ClientSession;

use crate::context::{Context, more_than_confirmed};
use crate::crash;
use crate::db::Db;
use crate::error::chain::error_text;
use crate::error::describe::describe;
use crate::error::{Error, Result};
use crate::model::file_name::stem;
use crate::model::verb::Verb;
use crate::process::stop;
use crate::report::{Event, Outcome};
use crate::store::{Attempt, NoIndex, Record, Run, Store, View};
use plan::{Plan, Request};

/// Plans and carries out what is asked for. `before` runs once the lock is held, and only where there is something to do.
pub(crate) async fn run(cx: &Context, request: &Request<'_>, before: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    let store = cx.store().await?;
    let database = store.database().name();
    // Without the lock: what is wrong with the line, or needs nothing done, waits for nobody.
    let view = read(cx, &store).await?;
    let plan = plan::make(request, cx.migrations(), &view)?;
    if plan.steps.is_empty() {
        nothing_to_do(cx, request.verb, database, &plan);
        return Ok(());
    }
    // A person may take their time: nobody else waits for it.
    cx.confirm_plan(request.verb, database, &plan).await?;
    cx.forget_dump();
    let run = Run::new(request.command());
    locked(cx, &store, &run, async |held, session| under_lock(cx, request, &store, held, session, &plan, before).await).await
}

/// Does something under the lock, and gives it back whatever comes of it.
pub(crate) async fn locked<T>(
    cx: &Context,
    store: &Store,
    run: &Run,
    work: impl AsyncFnOnce(&lock::Held, ClientSession) -> Result<T>,
) -> Result<T> {
    // Whatever ends this early gives the lock back as well.
    let hold = |held: &Rc<lock::Held>| cx.hold(held);
    let (held, session) = lock::take(store, run, (cx.args().wait(), cx.stop()), cx.reporter(), hold).await?;
    let result = work(&held, session).await;
    cx.release(&held).await;
    result
}

/// The plan of what is asked for, for people to see.
pub(crate) async fn preview<'m>(cx: &'m Context, request: &Request<'m>) -> Result<Plan<'m>> {
    let store = cx.store().await?;
    let view = read(cx, &store).await?;
    Ok(plan::make(request, cx.migrations(), &view)?)
}

/// What the registry and the log know, and what people should know about the files before anything is done.
pub(crate) async fn read(cx: &Context, store: &Store) -> Result<View> {
    for warning in plan::shared_numbers(cx.migrations()) {
        cx.reporter().warning(warning);
    }
    let view = async { store.view(&mut store.database().client().start_session().await?).await };
    view.await.map_err(|error| unreadable(store, error).into())
}

fn unreadable(store: &Store, error: mongodb::error::Error) -> Error {
    let message = if crate::error::describe::is_authentication(&error) {
        "could not log in to the server".to_owned()
    } else {
        format!("the registry `{}` could not be read", store.registry_name())
    };
    Error::failed(message).caused_by(error)
}

fn nothing_to_do(cx: &Context, verb: Verb, database: &str, plan: &Plan<'_>) {
    for warning in &plan.warnings {
        cx.reporter().warning(warning);
    }
    cx.reporter().event(&Event::NothingToDo { verb, database });
}

async fn under_lock(
    cx: &Context,
    request: &Request<'_>,
    store: &Store,
    held: &lock::Held,
    mut session: ClientSession,
    announced: &Plan<'_>,
    before: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    // Others may have been at work until the lock was ours.
    let view = store.view(&mut session).await.map_err(|error| unreadable(store, error))?;
    let plan = plan::make(request, cx.migrations(), &view)?;
    let database = store.database().name();
    if plan.steps.is_empty() {
        nothing_to_do(cx, request.verb, database, &plan);
        return Ok(());
    }
    if cx.asks() && !plan.is_part_of(announced) {
        return Err(more_than_confirmed().into());
    }
    for warning in &plan.warnings {
        cx.reporter().warning(warning);
    }
    if cx.stop().is_asked() {
        return Err(stop::as_asked().into());
    }
    before().await?;
    if request.verb != Verb::Rollback {
        keep_names_unique(cx, store, &view).await;
    }
    if !view.was_settled {
        // Only speed depends on it.
        let _ = store.index_log().await;
        crash::point("indexes created");
    }
    let _listening = cx.stop().listen();
    let is_planned = |attempt: &Attempt| plan.steps.iter().any(|step| step.migration.stem() == stem(&attempt.name));
    let settles = view.restore.is_none() && standing::open(&view).into_iter().all(is_planned);
    carry_out(cx, request.verb, store, held, plan, settles).await
}

/// The loop. Stops at the first migration that fails. `settles`: nothing is open when all are done.
async fn carry_out(cx: &Context, verb: Verb, store: &Store, held: &lock::Held, plan: Plan<'_>, settles: bool) -> Result<()> {
    let database = store.database();
    let db = Db::new(database.clone(), cx.reporter().clone(), store.has_transactions());
    let total = plan.steps.len();
    let started = Instant::now();
    let mut runner = step::Runner {
        db: &db,
        held,
        stop: cx.stop(),
        reporter: cx.reporter(),
        record: Record::new(store, held.run(), held.fence(), verb.as_str()),
        settles,
        started,
        has_begun_next: false,
    };
    cx.reporter().event(&Event::RunStarted { verb, database: database.name(), total });
    let mut done = 0;
    let mut result = runner.begin(&plan.steps, cx.last_dump().as_deref()).await;
    if result.is_ok() {
        for (index, step) in plan.steps.iter().enumerate() {
            let migration = step.migration.subject();
            cx.reporter().event(&Event::MigrationStarted { verb, migration, index, total });
            let since = Instant::now();
            match runner.step(step, plan.steps.get(index + 1), done).await {
                Ok(step::Next::Stop) => break,
                Ok(next) => {
                    done += 1;
                    cx.reporter().event(&Event::MigrationDone { verb, migration, took: since.elapsed() });
                    if next == step::Next::End {
                        break;
                    }
                }
                Err(error) => {
                    let error: Box<dyn std::error::Error + Send + Sync> = error.into();
                    let text = error_text(&*error);
                    cx.reporter().event(&Event::MigrationFailed { verb, migration, took: since.elapsed(), error: &text });
                    result = Err(error);
                    break;
                }
            }
        }
    }
    let outcome = if result.is_err() {
        Outcome::Failed
    } else if cx.stop().is_asked() {
        // Also when it was the last one: a script must not go on after Ctrl-C.
        result = Err(stop::as_asked().into());
        Outcome::Interrupted
    } else {
        Outcome::Done
    };
    cx.reporter().event(&Event::RunEnded { verb, database: database.name(), done, took: started.elapsed(), outcome });
    if let (true, Some(dump)) = (outcome == Outcome::Failed, cx.last_dump()) {
        cx.reporter().note(format!("`cargo migrations restore:{dump}` puts the database back as it was before this run"));
    }
    result
}

async fn keep_names_unique(cx: &Context, store: &Store, view: &View) {
    let duplicates = plan::duplicate_names(&view.entries);
    if !duplicates.is_empty() {
        return cx.reporter().warning(duplicates_warning(store, &duplicates));
    }
    match store.keep_names_unique().await {
        Ok(()) => {}
        Err(NoIndex::Duplicates) => cx.reporter().warning(duplicates_warning(store, &[])),
        Err(NoIndex::Other(error)) => cx.reporter().warning(format!(
            "the server does not keep the names in `{}` unique ({}); all works without",
            store.registry_name(),
            describe(&error)
        )),
    }
}

/// How to clean up what migopy left.
pub(crate) fn duplicates_warning(store: &Store, names: &[&str]) -> String {
    let which = if names.is_empty() { "names".into() } else { crate::line::listed(names.iter().copied()) };
    format!(
        "{which} stand in `{}` more than once, so the server cannot keep them unique; delete all documents but one of each",
        store.registry_name()
    )
}
