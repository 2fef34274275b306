//! `rollback`: undoes a migration, and unregisters it.

use crate::context::{Context, Options};
use crate::error::{Error, Result};
use crate::line::flags::TaskFlag;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Named, Reach, ValueKind, When};
use crate::manager::texts::{MIGRATIONS, STOPPED};
use crate::migration::Migration;
use crate::model::{Direction, right};
use crate::run::request::{Back, Goal, Place};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "rollback",
    group: Group::Run,
    summary: "Undo registered migrations, and unregister them",
    about: "The `down` of each is run, the newest first, and it is unregistered. If one of
several cannot be rolled back (it has no `down`, or its file is gone), none is, and
it is named.

A migration that is named may also have failed or been interrupted, and later ones
stay registered. If another run has the lock, `--wait` waits for it. `plan:rollback,…`
shows what would be undone.",
    first: First::MigrationOrNamed,
    options: &[
        Named {
            name: "to",
            value: "MIGRATION",
            help: "roll back what is registered above this one; `to=0` rolls back everything",
            kind: ValueKind::PlaceOrStart,
        },
        Named {
            name: "steps",
            value: "N",
            help: "roll back the N registered migrations with the highest numbers",
            kind: ValueKind::Text,
        },
        Named {
            name: "run",
            value: "last",
            help: "roll back what the last run that registered anything has registered",
            kind: ValueKind::Text,
        },
    ],
    check,
    reach: |_| Reach::Database,
    goal: Some(goal),
    asks: |_| Asks::WithPlan(When::IfEnvironmentDoes),
    needs_files: true,
    flags: &[TaskFlag::Strict],
    common_flags: &["--wait", "--yes", "--format"],
    writes: MIGRATIONS,
    rights: right::UNREGISTERS,
    exits: &[
        (0, "done, or there was nothing to do"),
        (1, "a migration, the dump or the server failed"),
        (2, "the command line, the configuration or the files are wrong, or a migration is not registered, has no `down`, or has no file: nothing was run"),
        (3, "refused: another run has the lock, something was interrupted and needs a decision, or `--strict` or a person said no"),
        (130, STOPPED),
    ],
    examples: &["rollback:0012_x", "rollback:to=0010", "rollback:steps=2", "rollback:run=last"],
};

fn check(options: &Options) -> Result<(), Error> {
    steps(options)?;
    match options.get("run") {
        None | Some("last") => Ok(()),
        Some(other) => Err(Error::usage(format!("`{other}` is not a valid value for `run=`"))
            .with_hint("write `run=last` for what the last run registered")),
    }
}

fn steps(options: &Options) -> Result<Option<usize>, Error> {
    let Some(number) = options.get("steps") else { return Ok(None) };
    match number.parse() {
        Ok(steps @ 1..) => Ok(Some(steps)),
        _ => Err(Error::usage(format!("`{number}` is not a valid value for `steps=`"))
            .with_hint("write the number of migrations to roll back, at least 1")),
    }
}

fn goal<'m>(options: &Options, migrations: &'m [Migration]) -> Result<Goal<'m>, Error> {
    check(options)?;
    if let Some(word) = options.get("to") {
        return Ok(Goal::RollBack(Back::To(Place::read_or_start(word, migrations)?)));
    }
    if let Some(steps) = steps(options)? {
        return Ok(Goal::RollBack(Back::Steps(steps)));
    }
    if options.get("run").is_some() {
        return Ok(Goal::RollBack(Back::LastRun));
    }
    let word = super::needed(&DECLARATION, options.first())?;
    Ok(Goal::One(Direction::Down, options.find_migration(word, migrations)?))
}

/// Runs the `down` of a registered migration, or of one that failed or was interrupted, and unregisters it. If the configuration
/// says so, the database is dumped first. `to=F`, `steps=N` and `run=last` roll back several, the newest first: if one of them
/// cannot be rolled back, none is.
///
/// # Errors
/// No migration is given, it is not registered, has no `down`, or failed; later ones are registered, and the line has `--strict`;
/// another run has the lock; or the dump or the server failed.
pub async fn rollback<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    super::run_migrations(manager, cx, &DECLARATION, true, migration).await
}
