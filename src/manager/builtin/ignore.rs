//! `ignore`: registers migrations without running them.

use crate::context::{Context, Options};
use crate::error::{Error, Result};
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, When, any_values};
use crate::manager::texts::{REGISTRY, STOPPED};
use crate::migration::Migration;
use crate::model::{Direction, right};
use crate::run::request::Goal;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "ignore",
    group: Group::Registry,
    summary: "Register the unregistered migrations, or one, without running",
    about: "Use it for migrations whose changes the database already has. Without a value,
every unregistered migration is registered; `baseline` stops at a number. If another
run has the lock, `--wait` waits for it.",
    first: First::Migration,
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
        (2, "the command line, the configuration or the files are wrong, or the migration is already registered: nothing was registered"),
        (3, "refused: another run has the lock, something was interrupted and needs a decision, or a person said no"),
        (130, STOPPED),
    ],
    examples: &["ignore", "ignore:0002_x"],
};

fn goal<'m>(options: &Options, migrations: &'m [Migration]) -> Result<Goal<'m>, Error> {
    match options.first() {
        Some(word) => Ok(Goal::One(Direction::Ignore, options.find_migration(word, migrations)?)),
        None => Ok(Goal::Ignore),
    }
}

/// Registers one migration, or every unregistered one, without running it.
///
/// # Errors
/// The server failed, the migration is already registered, another run has the lock, or a migration was interrupted and a person
/// has not decided yet how to go on.
pub async fn ignore<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    super::run_migrations(manager, cx, &DECLARATION, false, migration).await
}
