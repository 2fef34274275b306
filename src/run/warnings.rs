//! What a person should know about the files and the registry, though nothing is refused for it.

use std::collections::BTreeMap;

use super::advice;
use super::request::{Back, Goal};
use super::standing::{Known, Standing};
use super::status::{highest_registered, is_below};
use crate::error::Remark;
use crate::line::program::program;
use crate::line::words::{listed, shortened};
use crate::migration::Migration;
use crate::model::{State, file_name};
use crate::store::Entry;

/// A warning if any migration would run after one with a higher number was registered.
pub(super) fn out_of_order(chosen: &[&Standing<'_, '_>], files: &[Standing<'_, '_>], missing: &[&Entry]) -> Option<Remark> {
    let highest = highest_registered(files, missing)?;
    let late: Vec<&str> = chosen
        .iter()
        .filter(|standing| standing.entry().is_none() && is_below(standing.migration.number(), highest))
        .map(|standing| standing.migration.stem())
        .collect();
    (!late.is_empty()).then(|| {
        Remark::new(format!(
            "out of order: {} {} a lower number than `{}`, which is registered",
            listed(late.iter().copied()),
            if late.len() == 1 { "has" } else { "have" },
            file_name::stem(&highest.name)
        ))
    })
}

/// A warning if migrations would be rolled back while others with a higher number stay registered.
pub(super) fn later_ones_stay(
    downs: &[&Standing<'_, '_>],
    files: &[Standing<'_, '_>],
    missing: &[&Entry],
) -> Option<Remark> {
    let mut downs: Vec<_> = downs.iter().map(|standing| standing.migration).collect();
    downs.sort_by(|a, b| file_name::compare(a.number(), b.number()).then_with(|| a.name().cmp(b.name())));
    let stays = |migration: &Migration| !downs.iter().any(|down| down.name() == migration.name());
    let with_file = files.iter().filter(|standing| standing.entry().is_some()).map(|standing| standing.migration);
    let with_file = with_file.filter(|migration| stays(migration)).map(|migration| (migration.number(), migration.stem()));
    let without_file = missing.iter().map(|entry| (entry.number(), file_name::stem(&entry.name)));
    let registered = with_file.chain(without_file);
    let lowest = downs.first()?.number();
    let mut later: Vec<(&str, &str)> = registered.filter(|(number, _)| file_name::compare(lowest, number).is_lt()).collect();
    later.sort_by(|a, b| file_name::compare(a.0, b.0).then_with(|| a.1.cmp(b.1)));
    let names: Vec<&str> = later.into_iter().map(|(_, stem)| stem).collect();
    let stems: Vec<&str> = downs.iter().map(|migration| migration.stem()).collect();
    (!names.is_empty()).then(|| {
        let (have, stay) = if names.len() == 1 { ("has", "stays") } else { ("have", "stay") };
        let are = if stems.len() == 1 { "is" } else { "are" };
        Remark::new(format!(
            "out of order: {} {are} rolled back, but {} {have} a higher number and {stay} registered",
            shortened(&stems),
            shortened(&names)
        ))
        .with_hint("roll the later ones back first if they build on it")
    })
}

/// A warning if migrations would be rolled back that were registered without running.
pub(super) fn never_ran(downs: &[&Standing<'_, '_>]) -> Option<Remark> {
    // They are rolled back from the newest on.
    let ignored = downs.iter().rev().filter(|standing| standing.entry().is_some_and(|entry| entry.ignored));
    let names: Vec<&str> = ignored.map(|standing| standing.migration.stem()).collect();
    let were = match names[..] {
        [] => return None,
        [_] => "was registered without running, and its `down` runs",
        _ => "were registered without running, and their `down` runs",
    };
    Some(
        Remark::new(format!("{} {were} all the same", shortened(&names)))
            .with_hint("check that the data has what it undoes"),
    )
}

/// A warning if migrations above the place to which a goal rolls back have failed: what they left behind stays.
pub(super) fn failed_stay(goal: &Goal<'_>, known: &Known<'_, '_>) -> Option<Remark> {
    let (Goal::RollBack(Back::To(place)) | Goal::To(place)) = goal else { return None };
    let is_above = |migration: &Migration| !place.covers(migration.number(), migration.stem());
    let failed = known.files.iter().filter(|standing| standing.effective() == State::Failed);
    let names: Vec<&str> = failed.map(|standing| standing.migration).filter(|m| is_above(m)).map(Migration::stem).collect();
    let (is, name) = match names[..] {
        [] => return None,
        [name] => ("failed and is not registered, so it is not", name),
        _ => ("failed and are not registered, so they are not", "NAME"),
    };
    let hint = format!("`{} rollback:{name}` undoes what was left behind, if its `down` can", program());
    Some(Remark::new(format!("{} {is} rolled back", shortened(&names))).with_hint(hint))
}

/// A warning if files were edited after they were registered.
pub(crate) fn changed(files: &[Standing<'_, '_>]) -> Option<Remark> {
    let is_edited = |standing: &&Standing<'_, '_>| standing.is_changed() && standing.other_program().is_none();
    let changed: Vec<&str> = files.iter().filter(is_edited).map(|standing| standing.migration.stem()).collect();
    let (was, it, name) = match changed[..] {
        [] => return None,
        [name] => ("was", "it", name),
        _ => ("were", "they", "NAME"),
    };
    let message = format!("{} {was} edited after {it} ran", listed(changed.iter().copied()));
    Some(Remark::new(message).with_hint(format!("undo the edit, or accept the new code with `{} accept:{name}`", program())))
}

/// One warning for each other program that registered migrations with the names of ours, but with other code: here they count as
/// registered, and never run.
pub(crate) fn of_another_program(files: &[Standing<'_, '_>]) -> Vec<Remark> {
    let mut by_program: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for standing in files {
        if let Some(program) = standing.other_program() {
            by_program.entry(program).or_default().push(standing.migration.stem());
        }
    }
    let remark = |(other, names): (&str, Vec<&str>)| {
        let (was, it, does, name) =
            if let [name] = names[..] { ("was", "it counts", "does", name) } else { ("were", "they count", "do", "NAME") };
        Remark::new(format!(
            "{} {was} registered by another program (`{other}`) with other code: {it} as registered, and {does} not run",
            listed(names.iter().copied())
        ))
        .with_hint(format!(
            "{}. Then accept the new code with `{} accept:{name}`",
            advice::OWN_REGISTRY,
            program()
        ))
    };
    by_program.into_iter().map(remark).collect()
}

/// A warning if a migration that is to be forgotten is another program's.
pub(super) fn is_anothers(name: &str, known: &Known<'_, '_>) -> Option<Remark> {
    let entry = known.missing.iter().find(|entry| entry.name == name)?;
    known.other_program(entry).map(|other| {
        let name = file_name::stem(name);
        Remark::new(format!("`{name}` was registered by another program (`{other}`), which would run it again"))
    })
}

/// The names that the registry has more than once.
pub(crate) fn duplicate_names(entries: &[Entry]) -> Vec<&str> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        *count.entry(&entry.name).or_default() += 1;
    }
    count.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}

/// One warning for each number that several files share.
pub(crate) fn shared_numbers(migrations: &[Migration]) -> Vec<Remark> {
    migrations
        .chunk_by(|a, b| file_name::compare(a.number(), b.number()).is_eq())
        .filter(|group| group.len() > 1)
        .map(|group| {
            let names = listed(group.iter().map(Migration::stem));
            Remark::new(format!("{names} have the same number, {}, and run in order of name", group[0].number()))
                .with_hint(format!("renumber those of {names} that are not registered yet"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::tests::{entry, migration};

    #[test]
    fn duplicates_and_shared_numbers_are_told() {
        assert_eq!(duplicate_names(&[entry("1_a.py"), entry("2_b.py"), entry("1_a.py")]), ["1_a.py"]);
        let warnings = shared_numbers(&[migration("1_a"), migration("01_b"), migration("2_c")]);
        assert_eq!(warnings.len(), 1);
        assert_eq!(warnings[0].message, "`1_a`, `01_b` have the same number, 1, and run in order of name");
    }
}
