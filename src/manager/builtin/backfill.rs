//! `backfill`: shows the backfills that are under way, and steers them.

use std::time::{Duration, Instant};

use mongodb::bson::DateTime;

use crate::context::{Context, Options};
use crate::error::{Error, Result, describe};
use crate::line::program::program;
use crate::line::words::listed;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Named, Reach, ValueKind};
use crate::manager::texts::STOPPED;
use crate::migration::names;
use crate::model::file_name::leading_number;
use crate::model::{Joined, right};
use crate::report::{Answer, Backfills, JoinEnded, Steered, UndoDropped};
use crate::run;
use crate::store::{Steer, Store, StoredBackfill, UndoLog};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "backfill",
    group: Group::Look,
    summary: "Show the backfills that are under way, and steer them",
    about: "Without a value it shows them: how far each has come, how fast it is, and why not faster.

`pause` lets the processes that work on one finish what they have in flight, and wait.
`resume` lets them go on. `throttle=N` lets all of them together read N documents a
second at most, and `throttle=off` ends that. Each works from any machine, on all backfills
that are not done, or on those of one migration with `only=MIGRATION`, and waits for their
answers.

A paused backfill stays paused if its process ends: the next run of the migration then
waits until `backfill:resume`.

`join` helps with a backfill that another process runs, here or on another machine, until it
is done. The migration's file has to be the same, and say `RERUN: Rerun = Rerun::Safe`.

`drop_undo=MIGRATION` drops what a migration has kept so that it can be undone. Its `down`
can then no longer put it back. It is removed by itself after some days.",
    first: First::OneOf(&["pause", "resume", "join"]),
    options: &[
        Named { name: "throttle", value: "N", help: "read at most N documents a second, or `off`", kind: ValueKind::Text },
        // The file of the migration may be gone, so the backfills themselves say which there are.
        Named { name: "only", value: "MIGRATION", help: "only the backfills of that migration", kind: ValueKind::Text },
        Named { name: DROP_UNDO, value: "MIGRATION", help: "drop the undo log of that migration", kind: ValueKind::Text },
    ],
    check: |options| steer(options).map(|_| ()),
    reach: |_| Reach::Database,
    goal: None,
    // A pause does no harm.
    asks: |options| if options.get(DROP_UNDO).is_some() { Asks::IfEnvironmentDoes } else { Asks::Never },
    needs_files: false,
    flags: &[],
    common_flags: &["--yes", "--format"],
    writes: "nothing, unless it steers: then the field `control` in `migrations_backfill`. `join` writes what the backfill writes, and `drop_undo` drops a collection",
    rights: right::STEERS,
    exits: &[
        (0, "done"),
        (1, "the server failed, a backfill has not answered within 10 seconds, or the run that was joined is gone"),
        (2, "the command line or the configuration is wrong, or there is no such backfill or undo log"),
        (3, "a person said no"),
        (130, STOPPED),
    ],
    examples: &["backfill", "backfill:pause", "backfill:throttle=1000,only=0002_slugs", "backfill:join", "backfill --format json"],
};

/// The value that names a migration whose undo log is to be dropped.
const DROP_UNDO: &str = "drop_undo";

/// For how long steering waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it looks for one.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Shows the backfills whose migrations are not registered yet, or steers those that are not done: `pause`, `resume`, or `throttle=N`
/// with documents a second. Steering needs no lock, and waits until the processes that work on them have answered. `join` works on a
/// backfill that another process runs.
///
/// # Errors
/// The server failed, there is no backfill to steer or to join, one has not answered within 10 seconds, or the run that was joined is
/// gone.
pub async fn backfill<M: MigrationsManager>(_: &M, cx: &Context, what: Option<&str>) -> Result<()> {
    let options = cx.options_of(DECLARATION.name, what);
    let store = cx.store().await?;
    let database = store.database().name();
    let mut found = stored(&store).await?;
    if let Some(word) = options.get(DROP_UNDO) {
        return drop_undo(cx, &store, &found, word).await;
    }
    if let Some(word) = options.get("only") {
        choose(&mut found, word, database)?;
    }
    if options.first() == Some("join") {
        return join(cx, store, &found).await;
    }
    let Some(steer) = steer(&options)? else {
        cx.reporter().report(&Backfills { database, rows: &found });
        return Ok(());
    };
    found.retain(|backfill| !backfill.is_done);
    if found.is_empty() {
        return Err(Error::usage(format!("no backfill on {database} is under way"))
            .with_hint(format!("`{} backfill` shows those that are stored", program()))
            .into());
    }
    let ids: Vec<&str> = found.iter().map(|backfill| backfill.id.as_str()).collect();
    let failed = |error: mongodb::error::Error| Error::failed("the backfills could not be steered").caused_by(error);
    store.steer_backfills(&ids, steer).await.map_err(failed)?;
    let missing = answers(cx, &store, &found, steer).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let hint = format!("`{} backfill` shows whether they have by now, and who works on them", program());
    let message = format!("within {} seconds there was no answer from {}", PATIENCE.as_secs(), listed(missing));
    Err(Error::failed(message).with_hint(hint).into())
}

async fn stored(store: &Store) -> Result<Vec<StoredBackfill>, Error> {
    store.backfills_now().await.map_err(|error| describe::unreadable("the backfills in `migrations_backfill`", error))
}

/// Drops the undo log of the migration that `word` names.
async fn drop_undo(cx: &Context, store: &Store, under_way: &[StoredBackfill], word: &str) -> Result<()> {
    let database = store.database().name();
    let unreadable = |error| describe::unreadable("the undo logs", error);
    let logs = store.undo_logs().await.map_err(unreadable)?;
    // The file of the migration may be gone, so the logs themselves say which there are.
    let Some(log) = logs.iter().find(|log| names::is_named(log.of(), leading_number(log.of()), word)) else {
        let error = Error::usage(format!("there is no undo log of a migration `{word}` on {database}"));
        return Err(match logs.as_slice() {
            [] => error.with_hint("check that this is the right database: there is no other undo log"),
            logs => error.with_hint(format!("there are those of {}", listed(logs.iter().map(UndoLog::of)))),
        }
        .into());
    };
    if under_way.iter().any(|backfill| backfill.migration == log.of()) {
        let message = format!("the undo log of {} cannot be dropped: the migration is under way, and may still write to it", log.of());
        let hint = format!("wait until it is registered, which `{}` shows", program());
        return Err(Error::usage(message).with_hint(hint).into());
    }
    let failed = |error: mongodb::error::Error| Error::failed("the undo log could not be dropped").caused_by(error);
    store.drop_undo_log(log).await.map_err(failed)?;
    cx.reporter().report(&UndoDropped { database, log });
    Ok(())
}

/// Helps with a backfill that another process runs.
async fn join(cx: &Context, store: Store, found: &[StoredBackfill]) -> Result<()> {
    let scope = cx.scope_with(store);
    let (database, hint) = (scope.database(), "its next run goes on from there: `backfill:join` can help with that, too");
    let (backfill, migration) = run::joinable(found, scope.migrations, database)?;
    let what = format!("{} of {}", backfill.called(), backfill.migration);
    cx.reporter().status("Joining", &what);
    let joined = run::join(&scope, backfill, migration).await?;
    cx.reporter().report(&JoinEnded { database, backfill, joined });
    let error = match joined {
        Joined::Done { .. } => return Ok(()),
        Joined::Stopped { .. } => crate::process::stop::as_asked(),
        Joined::OwnerGone { .. } => Error::failed(format!("the run of {what} is gone, so this process has stopped")).with_hint(hint),
        Joined::Differs => Error::usage(format!("{what} is not the one that this program describes"))
            .with_hint("join with the program that runs the migration"),
    };
    Err(error.into())
}

/// Waits for the answer of each, and reports it. Returns the migrations whose backfills have not answered in time.
async fn answers<'f>(cx: &Context, store: &Store, found: &'f [StoredBackfill], steer: Steer) -> Result<Vec<&'f str>> {
    let database = store.database().name();
    let since = Instant::now();
    let first = stored(store).await?;
    let mut open: Vec<&StoredBackfill> = found.iter().collect();
    let mut now = first.clone();
    loop {
        let of = |list: &[StoredBackfill], id: &str| list.iter().find(|backfill| backfill.id == id).cloned();
        let is_late = since.elapsed() >= PATIENCE;
        let mut left = Vec::new();
        for backfill in open {
            let current = of(&now, &backfill.id);
            let answer = match answer(of(&first, &backfill.id).as_ref(), current.as_ref(), steer) {
                None if is_late => Answer::Missing,
                None => {
                    left.push(backfill);
                    continue;
                }
                Some(answer) => answer,
            };
            cx.reporter().report(&Steered { database, backfill, steer, answer });
            if answer == Answer::Missing {
                left.push(backfill);
            }
        }
        if left.is_empty() || is_late {
            let mut missing: Vec<&str> = left.into_iter().map(|backfill| backfill.migration.as_str()).collect();
            missing.dedup();
            return Ok(missing);
        }
        open = left;
        tokio::time::sleep(LOOK_EVERY).await;
        now = stored(store).await?;
    }
}

/// What a backfill has answered, from what was stored just after it was steered, and what is stored now. `None` if nothing yet.
///
/// A process has answered with a heartbeat that is younger than the first look: with it, it learned what is wanted. What it said
/// before may be the answer to an earlier pause.
fn answer(first: Option<&StoredBackfill>, now: Option<&StoredBackfill>, steer: Steer) -> Option<Answer> {
    let Some(now) = now.filter(|now| !now.is_done) else { return Some(Answer::Ended) };
    // Those who joined stop as well if the one who runs the migration is gone.
    if now.workers.is_empty() || !now.is_owned && steer != Steer::Pause {
        return Some(Answer::NotRunning);
    }
    let seen = |id: &str| -> Option<DateTime> { first?.workers.iter().find(|worker| worker.id == id)?.until };
    let has_answered = now.workers.iter().all(|worker| worker.until > seen(&worker.id));
    let does_it = steer != Steer::Pause || now.workers.iter().all(|worker| worker.is_paused);
    (has_answered && does_it).then_some(Answer::Done)
}

/// Keeps the backfills of the migration that `word` names.
fn choose(found: &mut Vec<StoredBackfill>, word: &str, database: &str) -> Result<(), Error> {
    let mut all: Vec<String> = found.iter().map(|backfill| backfill.migration.clone()).collect();
    found.retain(|backfill| names::is_named(&backfill.migration, leading_number(&backfill.migration), word));
    if !found.is_empty() {
        return Ok(());
    }
    all.sort();
    all.dedup();
    let error = Error::usage(format!("no backfill of a migration `{word}` is stored on {database}"));
    Err(if all.is_empty() {
        error.with_hint("check that this is the right database: no other backfill is stored there")
    } else {
        error.with_hint(format!("those that are stored belong to {}", listed(all.iter().map(String::as_str))))
    })
}

/// What is to be changed. `None` to look.
fn steer(options: &Options) -> Result<Option<Steer>, Error> {
    let throttle = options.get("throttle").map(limit).transpose()?;
    if options.get(DROP_UNDO).is_some() && (options.first().is_some() || throttle.is_some() || options.get("only").is_some()) {
        return Err(Error::usage(format!("`{DROP_UNDO}=` of backfill cannot be combined with other values"))
            .with_hint(format!("write `{} backfill:{DROP_UNDO}=MIGRATION`", program())));
    }
    match (options.first(), throttle) {
        (None, None) => Ok(None),
        (None, Some(limit)) => Ok(Some(Steer::Throttle(limit))),
        (Some("join"), None) => Ok(None),
        (Some("pause"), None) => Ok(Some(Steer::Pause)),
        (Some("resume"), None) => Ok(Some(Steer::Resume)),
        (Some(word), None) => Err(Error::usage(format!("`{word}` is not a valid value for backfill"))
            .with_hint(format!("write `{} backfill:pause` or `backfill:resume`", program()))),
        (Some(word), Some(_)) => Err(Error::usage(format!("`{word}` and `throttle=` of backfill cannot be combined"))
            .with_hint(format!("write two tasks: `{} backfill:throttle=1000 backfill:{word}`", program()))),
    }
}

/// Documents a second. `None` without a limit.
fn limit(value: &str) -> Result<Option<u32>, Error> {
    match value.parse() {
        _ if value == "off" => Ok(None),
        Ok(0) => Err(Error::usage("`throttle=0` of backfill would never end")
            .with_hint(format!("`{} backfill:pause` lets it wait", program()))),
        Ok(limit) => Ok(Some(limit)),
        Err(_) => Err(Error::usage(format!("`throttle={value}` of backfill is not a number of documents a second"))
            .with_hint(format!("write `{} backfill:throttle=1000`, or `throttle=off`", program()))),
    }
}
