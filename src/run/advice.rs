//! What to say about migrations and restores that were interrupted or failed, about registered migrations that have no file, and
//! what to do about them. Pure.

use std::collections::BTreeMap;

use mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT;

use super::standing::{Known, Standing};
use super::step::Step;
use crate::error::chain::has_label;
use crate::error::{Error, ErrorKind, Remark, kind_of};
use crate::line::program::program;
use crate::line::words::shortened;
use crate::migration::{Migration, names};
use crate::model::{Direction, State, file_name};
use crate::report::human_time;
use crate::store::{Attempt, Entry, Partial};

/// What to say about each migration that needs a decision.
pub(crate) fn all_undecided(known: &Known<'_, '_>) -> Vec<Remark> {
    undecided(known, |_| true)
}

/// What to say about each migration that needs a decision before a task can do anything. One whose file says that it may run again
/// needs none if the task runs it.
pub(super) fn undecided(known: &Known<'_, '_>, is_run: impl Fn(&Standing<'_, '_>) -> bool) -> Vec<Remark> {
    let is_undecided =
        |standing: &&Standing<'_, '_>| standing.needs_decision() || standing.runs_again() && !is_run(standing);
    let with_file = known.files.iter().filter(is_undecided).filter_map(decision_needed);
    with_file.chain(known.interrupted_without_file.iter().map(|attempt| file_gone(attempt))).collect()
}

/// What to say about an interrupted migration.
pub(crate) fn decision_needed(standing: &Standing<'_, '_>) -> Option<Remark> {
    let name = standing.migration.stem();
    let (was_interrupted, program) = (was_interrupted(standing)?, program());
    let again = if standing.runs_again() {
        format!("`{program} execute` to run it again, which its file says is safe")
    } else {
        format!("`{program} execute:{name}` to run it again")
    };
    let undo = if standing.migration.has_down() {
        format!("`rollback:{name}` to undo it, or `ignore:{name}` to mark it as done")
    } else {
        format!("or `ignore:{name}` to mark it as done (it has no `down`)")
    };
    Some(
        Remark::new(format!("{was_interrupted}, and it is not known how far it got"))
            .with_hint(format!("check the data, then use {again}, {undo}")),
    )
}

/// What to say about an interrupted migration that `execute` runs again by itself.
pub(crate) fn to_be_run_again(standing: &Standing<'_, '_>) -> Option<Remark> {
    let message = was_interrupted(standing).filter(|_| standing.runs_again())?;
    Some(Remark::new(format!("{message}, and its file says that running it again is safe")).with_hint(format!(
        "run `{} execute`, which runs {} again by itself",
        program(),
        standing.migration.stem()
    )))
}

/// What to say when such a migration is run again.
pub(super) fn runs_again(standing: &Standing<'_, '_>) -> Option<String> {
    let message = was_interrupted(standing).filter(|_| standing.runs_again())?;
    Some(format!("{message}, and runs again from its beginning: its file says that this is safe"))
}

/// `0002_b was interrupted (up, by deploy@web-2, 2026-02-03 04:05:06Z)`
fn was_interrupted(standing: &Standing<'_, '_>) -> Option<String> {
    let name = standing.migration.stem();
    let attempt = standing.attempt?;
    // A later attempt may have left it as it was; the log then knows more than that attempt says.
    let is_it = attempt.ended.is_none() && attempt.direction.runs_code() && !attempt.is_transactional;
    let when = if is_it { interrupted(attempt) } else { format!("`{} history:{name}` shows when", program()) };
    Some(format!("{name} was interrupted ({when})"))
}

/// What to say about an interrupted migration whose file is gone.
pub(super) fn file_gone(attempt: &Attempt) -> Remark {
    let name = file_name::stem(&attempt.name);
    Remark::new(format!("{name} was interrupted ({}), and its file is gone", interrupted(attempt))).with_hint(format!(
        "bring the file back, then use `execute:{name}` to run it again, `rollback:{name}` to undo it, or `ignore:{name}` to mark \
         it as done. If the file was removed for good, check the data, and use `forget:{name}`"
    ))
}

/// What to say about registered migrations that have no file. Those of another program are a remark of their own for each program.
pub(crate) fn without_file(known: &Known<'_, '_>) -> Vec<Remark> {
    let remark = |(program, names): (Option<&str>, Vec<&str>)| {
        let (are, have) = if names.len() == 1 { ("is", "has") } else { ("are", "have") };
        let list = shortened(&names);
        match program {
            None => Remark::new(format!("{list} {are} registered, but {have} no file")).with_hint(way_out(&names)),
            Some(other) => {
                Remark::new(format!("{list} {are} registered by another program (`{other}`), and {have} no file here"))
                    .with_hint(OWN_REGISTRY)
            }
        }
    };
    by_program(&known.missing, known).into_iter().map(remark).collect()
}

/// What to do if two programs share a registry by mistake.
pub(super) const OWN_REGISTRY: &str =
    "give each program a registry of its own (MIGRATIONS_COLLECTION), unless it is the same program under a new name";

/// What to do about registered migrations that have no file.
fn way_out(names: &[&str]) -> String {
    let program = program();
    match names {
        [name] => format!(
            "use a build that has the file, or bring it back. If it was removed for good, `{program} forget:{name}` takes the \
             migration out of the registry"
        ),
        _ => format!(
            "use a build that has the files, or bring them back. If they were removed for good, `{program} forget:NAME` takes each \
             out of the registry"
        ),
    }
}

/// What to say about registered migrations that would have to be rolled back, and have no file. Those of another program are a
/// remark of their own for each program.
pub(super) fn cannot_be_rolled_back(gone: &[&Entry], known: &Known<'_, '_>) -> Vec<Remark> {
    let remark = |(program, names): (Option<&str>, Vec<&str>)| {
        let (list, why) = match names[..] {
            [name] => (name.to_owned(), "it is registered, but its file is gone"),
            _ => (shortened(&names), "they are registered, but their files are gone"),
        };
        let message = format!("{list} cannot be rolled back: {why}");
        match program {
            None => Remark::new(message).with_hint(way_out(&names)),
            Some(other) => {
                Remark::new(format!("{message} (registered by another program, `{other}`)")).with_hint(OWN_REGISTRY)
            }
        }
    };
    by_program(gone, known).into_iter().map(remark).collect()
}

/// The stems of entries in order, by the other program that registered them.
fn by_program<'v>(entries: &[&'v Entry], known: &Known<'_, 'v>) -> BTreeMap<Option<&'v str>, Vec<&'v str>> {
    let mut sorted = entries.to_vec();
    sorted.sort_by(|a, b| file_name::compare(a.number(), b.number()).then_with(|| a.name.cmp(&b.name)));
    let mut by_program: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for entry in sorted {
        by_program.entry(known.other_program(entry)).or_default().push(file_name::stem(&entry.name));
    }
    by_program
}

/// What to say if `word` names a registered or interrupted migration whose file is gone.
pub(crate) fn gone(word: &str, database: &str, known: &Known<'_, '_>) -> Option<Remark> {
    let is_it = |name: &str| names::is_named(name, file_name::leading_number(name), word);
    if let Some(attempt) = known.interrupted_without_file.iter().find(|attempt| is_it(&attempt.name)) {
        return Some(file_gone(attempt));
    }
    let entry = known.missing.iter().find(|entry| is_it(&entry.name))?;
    let name = file_name::stem(&entry.name);
    let remark = |message| Some(Remark::new(message));
    match known.other_program(entry) {
        None => remark(format!("{name} is registered on {database}, but its file is gone"))
            .map(|remark| remark.with_hint(way_out(&[name]))),
        Some(other) => {
            remark(format!("{name} is registered on {database} by another program (`{other}`), and has no file here"))
                .map(|remark| remark.with_hint(OWN_REGISTRY))
        }
    }
}

/// What to say about unregistered migrations whose code is registered under a name that has no file: their files were renumbered
/// or renamed, and a plain `execute` would run the same code again.
pub(crate) fn renumbered(known: &Known<'_, '_>, is_about: impl Fn(&Standing<'_, '_>) -> bool) -> Vec<Remark> {
    // What a run is working on was named by a person.
    let is_new = |standing: &&Standing<'_, '_>| standing.entry().is_none() && !standing.is_under_way;
    let new = known.files.iter().filter(is_new).filter(|standing| is_about(standing));
    new.filter_map(|standing| {
        let migration = standing.migration;
        let before = known.missing.iter().find(|entry| is_code_of(entry, migration))?;
        let (new, old, program) = (migration.stem(), file_name::stem(&before.name), program());
        let message = format!("`{new}` has the same code as `{old}`, which is registered and has no file");
        Some(Remark::new(format!("{message}: it was probably renamed")).with_hint(format!(
            "use `{program} accept:{new}` to register it under its new name, or `{program} execute:{new}` to run it all the same"
        )))
    })
    .collect()
}

/// Whether an entry registers this migration's code. Nothing is known about entries of migopy's, nor about code without a checksum.
pub(super) fn is_code_of(entry: &Entry, migration: &Migration) -> bool {
    !migration.checksum().is_empty() && entry.checksum.as_deref().is_some_and(|checksum| migration.has_checksum(checksum))
}

/// What to say about a restore that was cut off.
pub(crate) fn cut_off(restore: &Partial) -> Remark {
    let Partial { dump, task, who, place, .. } = restore;
    let program = program();
    Remark::new(format!(
        "a restore of {dump} by {who}@{place} was cut off while it replaced collections, so the database may hold only a part of it"
    ))
    .with_hint(format!(
        "run `{program} {task}` again, or restore another dump. If the database is right as it is, use `{program} unlock:restore`"
    ))
}

/// The error of a restore of some collections that would leave what another one has left in part.
pub(crate) fn not_repaired(restore: &Partial) -> Error {
    let Remark { message, hint } = cut_off(restore);
    let message = format!("{message}, and this restore does not replace all that it was to replace. Nothing was changed");
    let error = Error::new(ErrorKind::Undecided, message);
    error.with_hint(hint.unwrap_or_default())
}

/// `up, by deploy@web-2, 2026-02-03 04:05:06Z`
pub(crate) fn interrupted(attempt: &Attempt) -> String {
    let what = match attempt.direction {
        Direction::Up | Direction::Ignore | Direction::Accept | Direction::Adopt => "up",
        Direction::Down | Direction::Forget => "down",
    };
    let at = attempt.at.map(human_time).unwrap_or_default();
    format!("{what}, by {}@{}, {at}", attempt.who, attempt.place)
}

/// Why a step failed, and what to do next.
pub(crate) fn failed(step: &Step<'_>, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let (name, program) = (step.migration.stem(), program());
    if has_label(&*error, UNKNOWN_TRANSACTION_COMMIT_RESULT) {
        let message = format!("the server did not say whether the transaction of {name} was committed");
        let hint = format!("`{program}` shows whether {name} is registered: if it is, the transaction was committed");
        return Error::failed(message).with_hint(hint).caused_by(error);
    }
    let again = |otherwise: String| format!("{program} {}", step.again.clone().unwrap_or(otherwise));
    if kind_of(&*error) == ErrorKind::Interrupted {
        return stopped(step, again, error);
    }
    let no_effect = if step.is_transactional() { ", and had no effect since it is transactional" } else { "" };
    let (message, hint) = match step.direction {
        // It was interrupted before, and the effects of that are still there.
        Direction::Up if step.before == State::Interrupted && step.runs_again.is_none() => {
            (format!("the migration {name} failed{no_effect}"), format!("fix it and run `{program} execute:{name}` again"))
        }
        Direction::Up => (
            format!("the migration {name} failed and was not registered{no_effect}"),
            format!("fix it and run `{}` again", again("execute".to_owned())),
        ),
        _ if step.registered.is_empty() => (
            format!("the rollback of {name} failed{no_effect}"),
            format!("fix its `down` and run `{}` again", again(format!("rollback:{name}"))),
        ),
        _ => (
            format!("the rollback of {name} failed, and it is still registered{no_effect}"),
            format!("fix its `down` and run `{}` again", again(format!("rollback:{name}"))),
        ),
    };
    Error::failed(message).with_hint(hint).caused_by(error)
}

/// What ends a step that stopped as asked, and what to do next.
fn stopped(step: &Step<'_>, again: impl Fn(String) -> String, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let name = step.migration.stem();
    let (message, task) = match step.direction {
        Direction::Up if step.before == State::Interrupted && step.runs_again.is_none() => {
            (format!("the migration {name} was stopped"), format!("execute:{name}"))
        }
        Direction::Up => (format!("the migration {name} was stopped, and is not registered"), "execute".to_owned()),
        _ if step.registered.is_empty() => (format!("the rollback of {name} was stopped"), format!("rollback:{name}")),
        _ => (format!("the rollback of {name} was stopped, and it is still registered"), format!("rollback:{name}")),
    };
    let hint = format!("run `{}` again to do the rest", again(task));
    Error::new(ErrorKind::Interrupted, message).with_hint(hint).caused_by(error)
}

/// What is known about a step that ran to its end and could not be registered.
pub(crate) fn not_registered(step: &Step<'_>, error: mongodb::error::Error) -> Error {
    let (name, program) = (step.migration.stem(), program());
    let error = |message: String| Error::failed(message).caused_by(error);
    match (step.direction, step.before) {
        (Direction::Up, _) => error(format!(
            "the migration {name} ran to its end, but it is not known whether it was registered"
        ))
        .with_hint(format!(
            "if `{program}` shows it as interrupted, register it with `{program} ignore:{name}`, without running it again"
        )),
        (Direction::Down, State::Registered | State::Ignored) => {
            error(format!("{name} was rolled back, but it is not known whether it was unregistered")).with_hint(format!(
                "if `{program}` shows it as interrupted, roll it back again, provided that its `down` may run twice"
            ))
        }
        (Direction::Down, _) => error(format!("{name} was rolled back, but the log could not be written")),
        (Direction::Ignore | Direction::Adopt, _) => error(format!("the migration {name} could not be registered")),
        (Direction::Accept | Direction::Forget, _) => {
            error(format!("it is not known whether the registry was changed for {name}"))
                .with_hint(format!("`{program}` shows where it stands"))
        }
    }
}

/// What to know where the start of a run may have been written, and its first migration has not begun.
pub(super) fn not_begun() -> String {
    format!("even if `{}` shows the first one as interrupted, it has not begun", program())
}
