//! `restore`: puts a dump back.

use std::time::{Duration, Instant};

use crate::connect::check_database_name;
use crate::context::Context;
use crate::dump;
use crate::error::{Error, Result};
use crate::line::program::program;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Answer, Asks, Declaration, First, Reach, any_values};
use crate::report::{human_bytes, human_duration};
use crate::run::{self, Scope, lock::LockGuard};
use crate::store::{Change, Ended, Record, Refusal, Run};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "restore",
    help: "Put a dump back, in place of what the database holds

to=NAME          into another database of the server

DUMP is a name that `dumps` lists, `latest`, or a folder that mongodump wrote.",
    first: First::NeedsDump,
    options: &["to"],
    check: any_values,
    reach: |_| Reach::Database,
    asks: |_| Asks::Always(Answer::Name),
    needs_files: false,
    flags: &[],
};

/// Puts a dump back in place of what the database holds: its documents, indexes and options, and the registry. The dump is
/// checked first, and a person is asked. `to=NAME` restores into another database of the server.
///
/// The log stays, since it says what was really run.
///
/// # Errors
/// The dump is damaged, or the person who was asked said no: then nothing is touched. Or the server failed: then the database holds
/// a part of the dump, and the restore has to be run again.
pub async fn restore<M: MigrationsManager>(_: &M, cx: &Context, dump: Option<&str>) -> Result<()> {
    let word = dump.ok_or_else(|| {
        Error::usage("restore needs a dump").with_hint(format!("write it as `{} restore:latest`", program()))
    })?;
    let (verified, name) = super::dbdump::verify(cx, word).await?;
    let here = cx.store().await?;
    if cx.is_one_of_many() {
        only_its_own(cx, &verified, here.database().name())?;
    }
    let store = match cx.options().get("to") {
        None => here,
        Some(to) => {
            check_database_name(to)?;
            here.of_database(to)
        }
    };
    let database = store.database().name();
    let replaced = dump::replaced(store.database()).await?;
    for (collection, documents) in &replaced {
        // An unknown number is not shown as 0: the question that follows is about these documents.
        let documents = documents.map_or_else(|| "an unknown number of".to_owned(), |number| number.to_string());
        cx.reporter().status("Replacing", format!("{database}.{collection} ({documents} documents)"));
    }
    let what = format!("{} documents, {}", verified.documents, human_bytes(verified.bytes));
    let of = verified.database_of_another(database).map(|other| format!(" of {other}")).unwrap_or_default();
    let question = if replaced.is_empty() {
        format!("Restore {name}{of} ({what}) into {database}, which is empty?")
    } else {
        format!("Replace all that {database} holds with {name}{of} ({what})?")
    };
    cx.confirm_by_name(&question).await?;

    let watch = run::majority::Watch::start(&store, cx.reporter());
    // Before the lock is taken: its numbers then start above those of the log.
    dump::load_log(store.database(), &verified, cx.reporter()).await?;
    store.raise_term().await?;
    drop(watch);
    let run = Run::new(DECLARATION.name, format!("restore:{word}"));
    let scope = Scope { store: store.clone(), ..cx.scope().await? };
    let took = run::locked(&scope, &run, async |lock, _| under_lock(&scope, lock, &verified, &name).await).await?;
    cx.reporter().status("Restored", format!("{name} into {database}: {what}, in {}", human_duration(took)));
    Ok(())
}

/// If there are several databases, each gets back a dump of its own.
fn only_its_own(cx: &Context, verified: &dump::Verified, database: &str) -> Result<(), Error> {
    if cx.options().get("to").is_some() {
        return Err(
            Error::usage("`to=` names one database, but this environment has several").with_hint("restore them one by one")
        );
    }
    if !verified.is_of(database) {
        return Err(Error::usage(format!("the dump is not of {database}, or does not say so"))
            .with_hint("`restore:latest` takes each database's own dump, and an environment of one database takes any"));
    }
    Ok(())
}

async fn under_lock(scope: &Scope<'_>, lock: &LockGuard, verified: &dump::Verified, name: &str) -> Result<Duration> {
    let store = &scope.store;
    let since = Instant::now();
    let mut record = Record::new(store, lock.run(), lock.fence());
    let begin = vec![record.run_started(0, Some(name), lock.now())];
    write(lock, begin).await?;
    tokio::select! {
        biased;
        () = lock.lost() => return Err(lock.lost_error().await.into()),
        loaded = dump::load(store.database(), verified, dump::Keep::LockAndLog, &scope.reporter) => loaded?,
    }
    // The result of every earlier attempt is now as the dump has it.
    let mut session = store.database().client().start_session().await?;
    let view = store.view(&mut session).await?;
    let mut end: Vec<_> = view.attempts.iter().map(|attempt| record.migration_restored(attempt, lock.now())).collect();
    end.push(record.run_ended(0, since.elapsed(), Ended::Done, lock.now()));
    write(lock, end).await?;
    Ok(since.elapsed())
}

async fn write(lock: &LockGuard, log: Vec<mongodb::bson::Document>) -> Result<()> {
    match lock.fence().write(&Change { log, ..Change::default() }).await {
        Ok(()) => Ok(()),
        Err(Refusal::Lost) => Err(lock.lost_error().await.into()),
        Err(Refusal::Server(error)) => Err(Error::failed("the log could not be written").caused_by(error).into()),
    }
}
