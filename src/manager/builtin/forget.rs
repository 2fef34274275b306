//! `forget`: takes a migration whose file is gone out of the registry.

use crate::context::{Context, Options};
use crate::error::{Error, Result};
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, When, any_values};
use crate::manager::texts::{REGISTRY, STOPPED};
use crate::migration::Migration;
use crate::model::right;
use crate::run::request::Goal;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "forget",
    group: Group::Registry,
    summary: "Take a migration without a file out of the registry",
    about: "Its file has to be gone: `show_status` shows it as missing. Nothing is run, so what
the migration did to the data stays. A file that is added under this name later runs.
One that was interrupted, and whose file is gone, can be forgotten too. The log keeps
everything. It always asks.",
    first: First::NeedsMigrationWithoutFile,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    goal: Some(goal),
    asks: |_| Asks::WithPlan(When::Always),
    needs_files: true,
    flags: &[],
    common_flags: &["--wait", "--yes", "--format"],
    writes: REGISTRY,
    rights: right::UNREGISTERS,
    exits: &[
        (0, "done"),
        (1, "the server failed"),
        (2, "the command line, the configuration or the files are wrong, or the migration has a file or is not registered: nothing was changed"),
        (3, "refused: another run has the lock, or a person said no"),
        (130, STOPPED),
    ],
    examples: &["forget:0002_x"],
};

fn goal<'m>(options: &Options, _: &'m [Migration]) -> Result<Goal<'m>, Error> {
    Ok(Goal::Forget(super::needed(&DECLARATION, options.first())?.to_owned()))
}

/// Takes a registered migration whose file is gone out of the registry. It asks first, and runs nothing: what the migration did
/// stays. One that was interrupted is forgotten too.
///
/// # Errors
/// No migration is given, it is not registered, or it has a file; another run has the lock, the person who was asked said no, or the
/// server failed.
pub async fn forget<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    super::run_migrations(manager, cx, &DECLARATION, false, migration).await
}
