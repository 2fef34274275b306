//! `ignore`: registers migrations without running them.

use crate::context::Context;
use crate::error::Result;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::model::Direction;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "ignore",
    help: "Register the unregistered migrations, or one, without running",
    first: First::Migration,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    asks: |_| Asks::WithPlan(Direction::Ignore),
    needs_files: true,
    flags: &[],
};

/// Registers one migration, or every unregistered one, without running it.
///
/// # Errors
/// The server failed, the migration is already registered, another run has the lock, or a migration was interrupted and a person
/// has not decided yet how to go on.
pub async fn ignore<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    super::run_migrations(manager, cx, &DECLARATION, (Direction::Ignore, false), migration).await
}
