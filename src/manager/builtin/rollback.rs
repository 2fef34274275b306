//! `rollback`: undoes a migration, and unregisters it.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::line::flags::TaskFlag;
use crate::line::program::program;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::model::Direction;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "rollback",
    help: "Undo a registered migration, and unregister it",
    first: First::NeedsMigration,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    asks: |_| Asks::WithPlan(Direction::Down),
    needs_files: true,
    flags: &[TaskFlag::Strict],
};

/// Runs the `down` of a registered migration, or of one that failed or was interrupted, and unregisters it. If the configuration
/// says so, the database is dumped first.
///
/// # Errors
/// No migration is given, it is not registered, has no `down`, or failed; later ones are registered, and the line has `--strict`;
/// another run has the lock; or the dump or the server failed.
pub async fn rollback<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let word = migration.ok_or_else(|| {
        Error::usage("rollback needs a migration").with_hint(format!("write it as `{} rollback:0002_x`", program()))
    })?;
    super::run_migrations(manager, cx, &DECLARATION, (Direction::Down, true), Some(word)).await
}
