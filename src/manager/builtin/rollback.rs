//! `rollback`: undoes a migration, and unregisters it.

use crate::context::Context;
use crate::error::Result;
use crate::line::flags::TaskFlag;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::model::Direction;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "rollback",
    help: "Undo a registered migration, and unregister it

MIGRATION is a file name, a stem or a number: `0002_x.rs`, `0002_x`, `2`. It has
to be named, and its file needs a `down`.

One that failed or was interrupted can be rolled back too. Later migrations stay
registered. If another run has the lock, `--wait` waits for it.

$ rollback:0002_x

Exit codes:
0    done
1    the migration, the dump or the server failed
2    the command line, the configuration or the files are wrong, or MIGRATION is
     not registered or has no `down`: nothing was run
3    refused: another run has the lock, something was interrupted and needs a
     decision, or `--strict` or a person said no
130  stopped by Ctrl-C or another signal",
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
    let word = super::needed(&DECLARATION, migration)?;
    super::run_migrations(manager, cx, &DECLARATION, (Direction::Down, true), Some(word)).await
}
