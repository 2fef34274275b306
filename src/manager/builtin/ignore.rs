//! `ignore`: registers migrations without running them.

use crate::context::Context;
use crate::error::Result;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::model::Direction;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "ignore",
    help: "Register the unregistered migrations, or one, without running

MIGRATION is a file name, a stem or a number: `0002_x.rs`, `0002_x`, `2`.
Without it, every unregistered migration is registered.

Use it for migrations whose changes the database already has. If another run has
the lock, `--wait` waits for it.

$ ignore
$ ignore:0002_x

Exit codes:
0    done, or there was nothing to do
1    the server failed
2    the command line, the configuration or the files are wrong, or MIGRATION is
     already registered: nothing was registered
3    refused: another run has the lock, something was interrupted and needs a
     decision, or a person said no
130  stopped by Ctrl-C or another signal",
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
