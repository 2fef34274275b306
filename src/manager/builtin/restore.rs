use std::time::Instant;

use crate::context::Context;
use crate::dump;
use crate::error::{Error, Result};
use crate::manager::MigrationsManager;
use crate::report::human_bytes;
use crate::run;
use crate::run::lock;
use crate::store::{Change, Ended, Record, Refusal, Run, Store};

/// Puts a dump back in place of what the database holds: its documents, indexes and options, and the registry. The dump is
/// checked first, and a person is asked. `to=NAME` restores into another database of the server.
///
/// The log stays: it tells what was run in truth.
///
/// # Errors
/// The dump is not what it was, or whoever was asked said no (nothing is touched then); or the server failed, and the database
/// holds a part: the restore has to be run again.
pub async fn restore<M: MigrationsManager>(_: &M, cx: &Context, dump: Option<&str>) -> Result<()> {
    let word = dump.ok_or_else(|| Error::usage("restore needs a dump: `cargo migrations restore:latest`"))?;
    let (verified, name) = super::dbdump::verify(cx, word).await?;
    let here = cx.store().await?;
    if cx.is_one_of_many() {
        only_its_own(cx, &verified, here.database().name())?;
    }
    let store = match cx.options().get("to") {
        None => here,
        Some(to) => {
            if let Some(problem) = crate::connect::bad_database_name(to) {
                return Err(Error::usage(format!("`{to}` cannot be a database's name: {problem}")).into());
            }
            Store::new(&here.database().client().database(to), here.registry_name(), here.has_transactions())
        }
    };
    let database = store.database().name();
    let replaced = dump::replaced(store.database()).await?;
    for (collection, documents) in &replaced {
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

    // Ahead of the lock, whose numbers then begin above those of the log.
    dump::load_log(store.database(), &verified, cx.reporter()).await?;
    store.raise_term().await?;
    let run = Run::new(format!("restore:{word}"));
    let restored = run::locked(cx, &store, &run, async |held, _| under_lock(cx, &store, held, &verified, &name).await).await;
    let took = restored?;
    cx.reporter().status("Restored", format!("{name} into {database}: {what}, in {}", crate::report::human_duration(took)));
    Ok(())
}

/// On several databases at once, each gets back what is its own.
fn only_its_own(cx: &Context, verified: &dump::Verified, database: &str) -> Result<(), Error> {
    if cx.options().get("to").is_some() {
        return Err(Error::usage("`to=` names one database, and this environment is several; restore one by one"));
    }
    if !verified.is_of(database) {
        return Err(Error::usage(format!(
            "the dump is not known to be one of {database}; `restore:latest` takes each database's own, and an environment of \
             one database takes any"
        )));
    }
    Ok(())
}

async fn under_lock(
    cx: &Context,
    store: &Store,
    held: &lock::Held,
    verified: &dump::Verified,
    name: &str,
) -> Result<std::time::Duration> {
    let since = Instant::now();
    let mut record = Record::new(store, held.run(), held.fence(), "restore");
    let begin = vec![record.run_started(0, Some(name), held.now())];
    write(held, begin).await?;
    tokio::select! {
        biased;
        () = held.lost() => return Err(held.lost_error().await.into()),
        loaded = dump::load(store.database(), verified, dump::Keep::LockAndLog, cx.reporter()) => loaded?,
    }
    // What was begun before is as the dump has it.
    let mut session = store.database().client().start_session().await?;
    let view = store.view(&mut session).await?;
    let mut end: Vec<_> = view.attempts.iter().map(|attempt| record.migration_restored(attempt, held.now())).collect();
    end.push(record.run_ended(0, since.elapsed(), Ended::Done, held.now()));
    write(held, end).await?;
    Ok(since.elapsed())
}

async fn write(held: &lock::Held, log: Vec<mongodb::bson::Document>) -> Result<()> {
    match held.fence().write(&Change { log, ..Change::default() }).await {
        Ok(()) => Ok(()),
        Err(Refusal::Lost) => Err(held.lost_error().await.into()),
        Err(Refusal::Server(error)) => Err(Error::failed("the log could not be written").caused_by(error).into()),
    }
}
