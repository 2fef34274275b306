//! Where the database stands: the lock, and the migrations that need a person.

use std::time::Duration;

use super::answer::{NoAnswer, within};
use crate::dump;
use crate::error::{Error, ErrorKind};
use crate::line::program::program;
use crate::line::words::shortened;
use crate::migration::Migration;
use crate::model::{State, file_name};
use crate::report::{Finding, Verdict, human_bytes, migrations as counted};
use crate::run::{self, advice, lock, standing, warnings};
use crate::store::{Store, View};

/// How long the registry and the log may take to be read.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn examine(store: &Store, migrations: &[Migration]) -> Vec<Finding> {
    let mut findings = vec![of_lock(store).await.unwrap_or_else(|no_answer| no_answer.finding("lock"))];
    findings.push(leftovers(store).await.unwrap_or_else(|no_answer| no_answer.finding("leftovers")));
    findings.extend(undo_logs(store).await.unwrap_or_else(|no_answer| Some(no_answer.finding("undo logs"))));
    findings.extend(match tokio::time::timeout(PATIENCE, run::read(store)).await {
        Ok(Ok(view)) => of_migrations(migrations, &view),
        Ok(Err(error)) => vec![unreadable(error)],
        Err(_) => vec![Finding::unknown("migrations", format!("the server did not answer within {} s", PATIENCE.as_secs()))],
    });
    findings
}

/// A registry of another tool's is wrong. One that the user may not read is unknown.
fn unreadable(error: Error) -> Finding {
    match error.kind() {
        ErrorKind::Usage => Finding::of_remark("registry", Verdict::Wrong, error.into()),
        _ => {
            let text = crate::error::chain::error_text(&error);
            match text.split_once(" (Unauthorized): ") {
                Some((why, remedy)) => Finding::unknown("migrations", why).with_remedy(remedy),
                None => Finding::unknown("migrations", text),
            }
        }
    }
}

async fn of_lock(store: &Store) -> Result<Finding, NoAnswer> {
    let about = "lock";
    if let Some(damage) = within(store.lock_damage()).await?.into_iter().next() {
        return Ok(Finding::wrong(about, damage).with_remedy(format!("`{} unlock` repairs it", program())));
    }
    let Some(holder) = within(store.read_lease()).await?.and_then(|lease| lease.holder) else {
        return Ok(Finding::good(about, "free"));
    };
    let held = lock::describe(store, &holder).await;
    Ok(if holder.is_live {
        Finding::note(about, held).with_remedy(format!("if that process should be gone, see `{} unlock`", program()))
    } else {
        Finding::note(about, format!("{held}, and has expired")).with_remedy("the next run takes it over by itself")
    })
}

/// What restores have loaded and not put into place.
async fn leftovers(store: &Store) -> Result<Finding, NoAnswer> {
    let about = "leftovers";
    let names = within(dump::leftovers(store.database())).await?;
    if names.is_empty() {
        return Ok(Finding::good(about, "no collections that a restore has loaded and not put into place"));
    }
    let text = format!("collections that a restore has loaded and not put into place: {}", shortened(&names));
    Ok(Finding::note(about, text)
        .with_remedy(format!("if no restore is at work, drop them with `{} unlock:restore`", program())))
}

/// What backfills have kept so that they can be undone. They expire by themselves.
async fn undo_logs(store: &Store) -> Result<Option<Finding>, NoAnswer> {
    let mut logs = within(store.undo_logs()).await?;
    logs.retain(|log| log.documents > 0);
    let Some(first) = logs.first() else { return Ok(None) };
    let listed: Vec<String> =
        logs.iter().map(|log| format!("{} ({} documents, {})", log.of(), log.documents, human_bytes(log.bytes))).collect();
    let text = format!("undo logs of backfills are kept: {}", listed.join(", "));
    let remedy = format!("they expire by themselves; `{} backfill:drop_undo={}` drops one now", program(), first.of());
    Ok(Some(Finding::note("undo logs", text).with_remedy(remedy)))
}

fn of_migrations(migrations: &[Migration], view: &View) -> Vec<Finding> {
    let known = standing::all(migrations, view);
    let wrong = |remark| Finding::of_remark("migrations", Verdict::Wrong, remark);
    let mut findings: Vec<Finding> = view.cut_off_restore().map(advice::cut_off).into_iter().map(wrong).collect();
    findings.extend(advice::all_undecided(&known).into_iter().chain(advice::renumbered(&known, |_| true)).map(wrong));
    for standing in known.files.iter().filter(|standing| standing.state == State::Failed) {
        let (name, program) = (standing.migration.stem(), program());
        let why = standing.attempt.and_then(|attempt| attempt.error.as_deref()).unwrap_or("the log does not say why");
        let text = format!("{name} failed: {}", why.lines().next().unwrap_or_default());
        findings.push(Finding::wrong("migrations", text).with_remedy(format!("fix it and run `{program} execute` again")));
    }
    let again = known.files.iter().filter_map(advice::to_be_run_again);
    let notes = again.chain(warnings::changed(&known.files)).chain(advice::without_file(&known));
    findings.extend(notes.map(|remark| Finding::of_remark("migrations", Verdict::Note, remark)));
    let open: Vec<&str> = known
        .files
        .iter()
        .filter(|standing| standing.state == State::Unregistered)
        .map(|standing| file_name::stem(standing.migration.name()))
        .collect();
    let registered = counted(view.entries.len());
    findings.push(if open.is_empty() {
        Finding::good("migrations", format!("{registered} registered, and none unregistered"))
    } else {
        Finding::good("migrations", format!("{registered} registered, {} unregistered: {}", open.len(), shortened(&open)))
    });
    findings
}
