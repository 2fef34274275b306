//! `execute`: runs migrations, and registers them.

use crate::context::Context;
use crate::error::Result;
use crate::line::flags::TaskFlag;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::model::Direction;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "execute",
    help: "Run the unregistered migrations, or one

MIGRATION is a file name, a stem or a number: `0002_x.rs`, `0002_x`, `2`.
Without it, every unregistered migration is run, in order of number.

Each one is registered when it has run, and the first that fails ends the run.
One that was interrupted, and may have had an effect, is run again only if it is
named. If another run has the lock, `--wait` waits for it. `show_status` shows
what would run.

$ execute
$ execute:0002_x --wait 60s

Exit codes:
0    done, or there was nothing to do
1    a migration, the dump or the server failed
2    the command line, the configuration or the files are wrong, or MIGRATION is
     already registered: nothing was run
3    refused: another run has the lock, something was interrupted or renamed and
     needs a decision, or `--strict` or a person said no
130  stopped by Ctrl-C or another signal",
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
