//! `baseline`: registers migrations up to a number without running them.

use crate::context::{Context, Options};
use crate::error::{Error, Result};
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, When, any_values};
use crate::manager::texts::{REGISTRY, STOPPED};
use crate::migration::Migration;
use crate::model::right;
use crate::run::request::{Goal, Place};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "baseline",
    group: Group::Registry,
    summary: "Register migrations up to a number without running",
    about: "Use it for a database that was there before its migrations: everything that is
unregistered up to and including the migration is registered, and shown. What comes
after it is left for `execute`. If another run has the lock, `--wait` waits for it.",
    first: First::NeedsPlace { or_start: false },
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    goal: Some(goal),
    asks: |_| Asks::WithPlan(When::IfEnvironmentDoes),
    needs_files: true,
    flags: &[],
    common_flags: &["--wait", "--yes", "--format"],
    writes: REGISTRY,
    rights: right::REGISTERS,
    exits: &[
        (0, "done, or there was nothing to do"),
        (1, "the server failed"),
        (2, "the command line, the configuration or the files are wrong: nothing was registered"),
        (3, "refused: another run has the lock, something was interrupted and needs a decision, or a person said no"),
        (130, STOPPED),
    ],
    examples: &["baseline:0040"],
};

fn goal<'m>(options: &Options, migrations: &'m [Migration]) -> Result<Goal<'m>, Error> {
    let word = super::needed(&DECLARATION, options.first())?;
    Ok(Goal::Baseline(Place::read(word, migrations)?))
}

/// Registers every unregistered migration up to and including one without running them: for a database that was there first.
///
/// # Errors
/// No migration is given, another run has the lock, the person who was asked said no, a migration was interrupted and a person has
/// not decided yet how to go on, or the server failed.
pub async fn baseline<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    super::run_migrations(manager, cx, &DECLARATION, false, migration).await
}
