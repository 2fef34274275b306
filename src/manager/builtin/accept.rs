//! `accept`: registers a migration with the name and the code that its file has now.

use crate::context::Context;
use crate::error::Result;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::model::Direction;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "accept",
    help: "Register a file's new code, or its new name

MIGRATION is a file name, a stem or a number: `0002_x.rs`, `0002_x`, `2`. It has
to be named.

If its code was edited after it ran, the new checksum is stored. If its file was
renumbered or renamed, the registered migration without a file that has the same
code gets the new name. Nothing is run, and the rest of what is registered stays.
(For a file that was renamed and edited: `ignore` the new name, then `forget` the
old one.) It asks, unless `--yes` is given.

$ accept:0002_x

Exit codes:
0    done, or there was nothing to accept
1    the server failed
2    the command line, the configuration or the files are wrong, or MIGRATION is
     not registered: nothing was changed
3    refused: another run has the lock, MIGRATION was interrupted and needs a
     decision, or a person said no
130  stopped by Ctrl-C or another signal",
    first: First::NeedsMigration,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    asks: |_| Asks::AlwaysWithPlan(Direction::Accept),
    needs_files: true,
    flags: &[],
};

/// Stores the checksum of a registered migration whose file was edited, or the name of one whose file was renumbered or renamed: it
/// has the same code as a registered migration that has no file. It asks first, and runs nothing.
///
/// # Errors
/// No migration is given, it is not registered, or it was interrupted; another run has the lock, the person who was asked said no,
/// or the server failed.
pub async fn accept<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let word = super::needed(&DECLARATION, migration)?;
    super::run_migrations(manager, cx, &DECLARATION, (Direction::Accept, false), Some(word)).await
}
