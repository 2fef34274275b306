//! The one loop that carries out a plan: runs each migration, registers it, and tells what happened.

use std::time::Instant;

use crate::db::Db;
use crate::describe::describe;
use crate::error::{Error, Result};
use crate::manager::Context;
use crate::migration::Migration;
use crate::panics;
use crate::registry::{Entry, NoIndex, Registration, Registry};
use crate::report::{Event, Outcome, Verb};
use crate::stop;

/// What is to be done: one verb for a list of migrations.
pub(crate) struct Plan<'m> {
    pub(crate) verb: Verb,
    pub(crate) migrations: Vec<&'m Migration>,
    /// What the registry held when the plan was made.
    pub(crate) entries: Vec<Entry>,
}

/// Carries out a plan that has something to do. Stops at the first migration that fails.
pub(crate) async fn carry_out(cx: &Context, registry: &Registry, plan: Plan<'_>) -> Result<()> {
    let database = cx.database().await?;
    let db = Db::new(database.clone(), cx.reporter().clone());
    if plan.verb != Verb::Rollback {
        keep_names_unique(cx, registry, &plan.entries).await;
    }
    let (verb, total) = (plan.verb, plan.migrations.len());
    let started = Instant::now();
    let _listening = cx.stop().listen();
    cx.reporter().event(&Event::RunStarted { verb, database: database.name(), total });
    let mut done = 0;
    let mut result = Ok(());
    for (index, migration) in plan.migrations.iter().enumerate() {
        if cx.stop().is_asked() {
            break;
        }
        let subject = migration.subject();
        cx.reporter().event(&Event::MigrationStarted { verb, migration: subject, index, total });
        let since = Instant::now();
        match one(verb, migration, &db, registry, &plan.entries).await {
            Ok(()) => {
                done += 1;
                cx.reporter().event(&Event::MigrationDone { verb, migration: subject, took: since.elapsed() });
            }
            Err(error) => {
                let text = error_text(&*error);
                cx.reporter().event(&Event::MigrationFailed {
                    verb,
                    migration: subject,
                    took: since.elapsed(),
                    error: &text,
                });
                result = Err(error);
                break;
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
    result
}

async fn one(verb: Verb, migration: &Migration, db: &Db, registry: &Registry, entries: &[Entry]) -> Result<()> {
    let name = migration.stem();
    match verb {
        Verb::Execute => {
            let since = Instant::now();
            guarded(migration.up().run(db)).await.map_err(|error| {
                Error::failed(format!(
                    "the migration {name} failed, and is not registered; mend it and run `cargo migrations execute` again"
                ))
                .caused_by(error)
            })?;
            registry.register(migration, Registration::Executed(since.elapsed())).await.map_err(|error| {
                Error::failed(format!(
                    "the migration {name} ran to its end, but could not be registered; \
                     `cargo migrations ignore:{name}` registers it without running it again"
                ))
                .caused_by(error)
            })?;
        }
        Verb::Ignore => {
            let registered = registry.register(migration, Registration::Ignored).await;
            registered
                .map_err(|error| Error::failed(format!("the migration {name} could not be registered")).caused_by(error))?;
        }
        Verb::Rollback => {
            let down = migration.down().ok_or_else(|| no_down(migration))?;
            guarded(down.run(db)).await.map_err(|error| {
                Error::failed(format!(
                    "the rollback of {name} failed, and it is still registered; mend its `down` and try again"
                ))
                .caused_by(error)
            })?;
            let names = crate::plan::registered_names(migration, entries)?;
            registry.unregister(&names).await.map_err(|error| {
                Error::failed(format!("{name} was rolled back, but could not be unregistered; try the rollback again, if its `down` may run twice"))
                    .caused_by(error)
            })?;
        }
    }
    Ok(())
}

/// What a rollback says of a migration without `down`.
pub(crate) fn no_down(migration: &Migration) -> Error {
    Error::usage(format!(
        "{name} cannot be undone: it has no `pub async fn down`; write one in {file}",
        name = migration.stem(),
        file = migration.name()
    ))
}

/// A panic becomes an error.
async fn guarded(action: impl Future<Output = Result<()>>) -> Result<()> {
    panics::catch_async(action).await.unwrap_or_else(|panic| Err(format!("it panicked: {panic}").into()))
}

async fn keep_names_unique(cx: &Context, registry: &Registry, entries: &[Entry]) {
    let duplicates = crate::plan::duplicate_names(entries);
    if !duplicates.is_empty() {
        return cx.reporter().warning(duplicates_warning(registry, &duplicates));
    }
    match registry.keep_names_unique().await {
        Ok(()) => {}
        Err(NoIndex::Duplicates) => cx.reporter().warning(duplicates_warning(registry, &[])),
        Err(NoIndex::Other(error)) => cx.reporter().warning(format!(
            "the server does not keep the names in `{}` unique ({}); all works without",
            registry.name(),
            describe(&error)
        )),
    }
}

/// How to clean up what migopy left.
pub(crate) fn duplicates_warning(registry: &Registry, names: &[&str]) -> String {
    let which = if names.is_empty() { "names".into() } else { crate::line::listed(names.iter().copied()) };
    format!(
        "{which} stand in `{}` more than once, so the server cannot keep them unique; delete all documents but one of each",
        registry.name()
    )
}

/// An error and its causes in one text.
fn error_text(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |&error| error.source()).map(describe).collect::<Vec<_>>().join(": ")
}
