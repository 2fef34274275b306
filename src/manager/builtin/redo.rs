//! `redo`: rolls a migration back, and runs it again.

use crate::context::{Context, Options};
use crate::error::{Error, Result};
use crate::line::flags::TaskFlag;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, When, any_values};
use crate::manager::texts::{MIGRATIONS, STOPPED};
use crate::migration::Migration;
use crate::model::right;
use crate::run::request::Goal;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "redo",
    group: Group::Run,
    summary: "Undo a migration, and run it again",
    about: "Its `down` is run, and then its `up`, under one lock. Use it while you write a
migration. Later migrations stay registered. If it ends in between, the migration is
unregistered, and `execute` with its name goes on.",
    first: First::NeedsMigration,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    goal: Some(goal),
    asks: |_| Asks::WithPlan(When::IfEnvironmentDoes),
    needs_files: true,
    flags: &[TaskFlag::Strict],
    common_flags: &["--wait", "--yes", "--format"],
    writes: MIGRATIONS,
    rights: right::MOVES,
    exits: &[
        (0, "done"),
        (1, "the migration, the dump or the server failed"),
        (2, "the command line, the configuration or the files are wrong, or the migration is not registered or has no `down`: nothing was run"),
        (3, "refused: another run has the lock, or `--strict` or a person said no"),
        (130, STOPPED),
    ],
    examples: &["redo:0002_x"],
};

fn goal<'m>(options: &Options, migrations: &'m [Migration]) -> Result<Goal<'m>, Error> {
    let word = super::needed(&DECLARATION, options.first())?;
    Ok(Goal::Redo(options.find_migration(word, migrations)?))
}

/// Runs the `down` of a migration and then its `up`: one run, under one lock. If the configuration says so, the database is dumped
/// first.
///
/// # Errors
/// No migration is given, it is not registered or has no `down`; another run has the lock; the person who was asked said no; or the
/// migration, the dump or the server failed.
pub async fn redo<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    super::run_migrations(manager, cx, &DECLARATION, true, migration).await
}
