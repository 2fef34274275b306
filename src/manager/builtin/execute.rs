//! `execute`: runs migrations, and registers them.

use crate::context::Context;
use crate::error::Result;
use crate::line::flags::TaskFlag;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::model::Direction;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "execute",
    help: "Run the unregistered migrations, or one",
    first: First::Migration,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    asks: |_| Asks::WithPlan(Direction::Up),
    needs_files: true,
    flags: &[TaskFlag::Strict],
};

/// Runs one migration, or every unregistered one in order, and registers each. If there is something to run and the configuration
/// says so, the database is dumped first.
///
/// # Errors
/// A migration, the dump or the server failed, the migration is already registered, another run has the lock, or a migration was
/// interrupted or its registered file was renamed, and a person has not decided yet how to go on.
pub async fn execute<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    super::run_migrations(manager, cx, &DECLARATION, (Direction::Up, true), migration).await
}
