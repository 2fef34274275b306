//! `forget`: takes a migration whose file is gone out of the registry.

use crate::context::Context;
use crate::error::Result;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::model::Direction;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "forget",
    help: "Take a migration without a file out of the registry

MIGRATION is a file name, a stem or a number: `0002_x.rs`, `0002_x`, `2`. It has
to be named, and its file has to be gone: `show_status` shows it as missing.

Nothing is run, so what the migration did to the data stays. A file that is added
under this name later runs. One that was interrupted, and whose file is gone, can
be forgotten too. The log keeps everything. It asks, unless `--yes` is given.

$ forget:0002_x

Exit codes:
0    done
1    the server failed
2    the command line, the configuration or the files are wrong, or MIGRATION has
     a file or is not registered: nothing was changed
3    refused: another run has the lock, or a person said no
130  stopped by Ctrl-C or another signal",
    first: First::NeedsMigrationWithoutFile,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    asks: |_| Asks::AlwaysWithPlan(Direction::Forget),
    needs_files: true,
    flags: &[],
};

/// Takes a registered migration whose file is gone out of the registry. It asks first, and runs nothing: what the migration did
/// stays. One that was interrupted is forgotten too.
///
/// # Errors
/// No migration is given, it is not registered, or it has a file; another run has the lock, the person who was asked said no, or the
/// server failed.
pub async fn forget<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let word = super::needed(&DECLARATION, migration)?;
    super::run_migrations(manager, cx, &DECLARATION, (Direction::Forget, false), Some(word)).await
}
