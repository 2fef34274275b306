//! `to`: brings the database to a migration, whichever way that is.

use crate::context::{Context, Options};
use crate::error::{Error, Result};
use crate::line::flags::TaskFlag;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, When, any_values};
use crate::manager::texts::{MIGRATIONS, STOPPED};
use crate::migration::Migration;
use crate::model::right;
use crate::run::request::{Goal, Place};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "to",
    group: Group::Run,
    summary: "Bring the database to a migration, up or down",
    about: "What is registered above the migration is rolled back, the newest first. Then what is
unregistered up to and including it is run, in order. So the same line does for a
deploy of a newer version and of an older one. `to:0` rolls back everything.

If one of the steps cannot be done, none is, and it is named. It asks whenever
something would be rolled back. `plan:to,0012` shows both lists.",
    first: First::NeedsPlace { or_start: true },
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    goal: Some(goal),
    asks: |_| Asks::WithPlan(When::IfUndone),
    needs_files: true,
    flags: &[TaskFlag::Strict],
    common_flags: &["--wait", "--yes", "--format"],
    writes: MIGRATIONS,
    rights: right::MOVES,
    exits: &[
        (0, "done, or there was nothing to do"),
        (1, "a migration, the dump or the server failed"),
        (2, "the command line, the configuration or the files are wrong, or a migration has no `down` or no file: nothing was run"),
        (3, "refused: another run has the lock, something was interrupted or renamed and needs a decision, or `--strict` or a person said no"),
        (130, STOPPED),
    ],
    examples: &["to:0012", "to:0012 --yes"],
};

fn goal<'m>(options: &Options, migrations: &'m [Migration]) -> Result<Goal<'m>, Error> {
    let word = super::needed(&DECLARATION, options.first())?;
    Ok(Goal::To(Place::read_or_start(word, migrations)?))
}

/// Rolls back what is registered above a migration, then runs what is unregistered up to it: one run, under one lock. It asks if it
/// rolls anything back. If the configuration says so, the database is dumped first.
///
/// # Errors
/// No migration is given; a step cannot be done, then none is; another run has the lock; the person who was asked said no; or a
/// migration, the dump or the server failed.
pub async fn to<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    super::run_migrations(manager, cx, &DECLARATION, true, migration).await
}
