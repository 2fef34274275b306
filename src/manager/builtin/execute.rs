//! `execute`: runs migrations, and registers them.

use crate::context::{Context, Options};
use crate::error::{Error, Result};
use crate::line::flags::TaskFlag;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Named, Reach, ValueKind, When, any_values};
use crate::manager::texts::{MIGRATIONS, STOPPED};
use crate::migration::Migration;
use crate::model::{Direction, right};
use crate::run::request::{Goal, Place};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "execute",
    group: Group::Run,
    summary: "Run the unregistered migrations, or one",
    about: "Without a value, every unregistered migration is run, in order of number. Each
one is registered when it has run, and the first that fails ends the run.

One that was interrupted, and may have had an effect, is run again only if it is
named, or if its file says that this is safe (`RERUN`). If another run has the
lock, `--wait` waits for it. `plan` shows what would run.",
    first: First::Migration,
    options: &[Named {
        name: "to",
        value: "MIGRATION",
        help: "run what is unregistered up to and including this one",
        kind: ValueKind::Place,
    }],
    check: any_values,
    reach: |_| Reach::Database,
    goal: Some(goal),
    asks: |_| Asks::WithPlan(When::IfEnvironmentDoes),
    needs_files: true,
    flags: &[TaskFlag::Strict],
    common_flags: &["--wait", "--yes", "--format"],
    writes: MIGRATIONS,
    rights: right::REGISTERS,
    exits: &[
        (0, "done, or there was nothing to do"),
        (1, "a migration, the dump or the server failed"),
        (2, "the command line, the configuration or the files are wrong, or the migration is already registered: nothing was run"),
        (3, "refused: another run has the lock, something was interrupted or renamed and needs a decision, or `--strict` or a person said no"),
        (130, STOPPED),
    ],
    examples: &["execute", "execute:0002_x --wait 60s", "execute:to=0012"],
};

fn goal<'m>(options: &Options, migrations: &'m [Migration]) -> Result<Goal<'m>, Error> {
    if let Some(word) = options.first() {
        return Ok(Goal::One(Direction::Up, options.find_migration(word, migrations)?));
    }
    let to = options.get("to").map(|word| Place::read(word, migrations)).transpose()?;
    Ok(Goal::Execute(to))
}

/// Runs one migration, or every unregistered one in order, and registers each. If there is something to run and the configuration
/// says so, the database is dumped first. `to=F` runs the unregistered ones up to and including that migration.
///
/// # Errors
/// A migration, the dump or the server failed, the migration is already registered, another run has the lock, or a migration was
/// interrupted or its registered file was renamed, and a person has not decided yet how to go on.
pub async fn execute<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    super::run_migrations(manager, cx, &DECLARATION, true, migration).await
}
