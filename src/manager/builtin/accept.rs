//! `accept`: registers a migration with the name and the code that its file has now.

use crate::context::{Context, Options};
use crate::error::{Error, Result};
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, When, any_values};
use crate::manager::texts::{REGISTRY, STOPPED};
use crate::migration::Migration;
use crate::model::{Direction, right};
use crate::run::request::Goal;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "accept",
    group: Group::Registry,
    summary: "Register a file's new code, or its new name",
    about: "If its code was edited after it ran, the new checksum is stored. If its file was
renumbered or renamed, the registered migration without a file that has the same code
gets the new name. Nothing is run, and the rest of what is registered stays. It always
asks.

For a file that was renamed and edited: `ignore` the new name, then `forget` the old
one.",
    first: First::NeedsMigration,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    goal: Some(goal),
    asks: |_| Asks::WithPlan(When::Always),
    needs_files: true,
    flags: &[],
    common_flags: &["--wait", "--yes", "--format"],
    writes: REGISTRY,
    rights: right::REGISTERS,
    exits: &[
        (0, "done, or there was nothing to accept"),
        (1, "the server failed"),
        (2, "the command line, the configuration or the files are wrong, or the migration is not registered: nothing was changed"),
        (3, "refused: another run has the lock, the migration was interrupted and needs a decision, or a person said no"),
        (130, STOPPED),
    ],
    examples: &["accept:0002_x"],
};

fn goal<'m>(options: &Options, migrations: &'m [Migration]) -> Result<Goal<'m>, Error> {
    let word = super::needed(&DECLARATION, options.first())?;
    Ok(Goal::One(Direction::Accept, options.find_migration(word, migrations)?))
}

/// Stores the checksum of a registered migration whose file was edited, or the name of one whose file was renumbered or renamed: it
/// has the same code as a registered migration that has no file. It asks first, and runs nothing.
///
/// # Errors
/// No migration is given, it is not registered, or it was interrupted; another run has the lock, the person who was asked said no,
/// or the server failed.
pub async fn accept<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    super::run_migrations(manager, cx, &DECLARATION, false, migration).await
}
