//! The built-in subtasks: a file for each, which declares it and does it. To users this is `builtin`.
//!
//! A new one is its file, its word in the list below, and the method of [`MigrationsManager`] that it is the default of.

use super::MigrationsManager;
use super::declaration::Declaration;
use super::subtask::Subtask;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::line::program::program;
use crate::report::ago;
use crate::run;
use crate::run::plan::Plan;
use crate::run::request::Request;
use crate::store::View;

/// Makes each word a module whose function of that name is public, and the list of all subtasks.
macro_rules! built_ins {
    ($($name:ident)*) => {
        $(mod $name; pub use $name::$name;)*

        /// The built-in subtasks, in the order in which `help` lists them. Each calls the manager's method, which a team may
        /// have overridden.
        pub(super) fn all<M: MigrationsManager>() -> Vec<Subtask<M>> {
            vec![$(Subtask::built_in(
                &$name::DECLARATION,
                async |manager: &M, cx: &Context, option: Option<&str>| manager.$name(cx, option).await,
            )),*]
        }
    };
}

built_ins! {
    show_status execute rollback to redo plan ignore baseline accept forget adopt check history backfill doctor unlock dbdump
    restore dumps mongod completions help
}

/// The subtask that runs when the line has none, unless the manager names another.
pub(super) const DEFAULT: &str = show_status::DECLARATION.name;

/// The migration that a subtask was given. The line is checked before; this is for a team's code that calls the subtask.
fn needed<'o>(subtask: &Declaration, migration: Option<&'o str>) -> Result<&'o str, Error> {
    let name = subtask.name;
    migration.ok_or_else(|| {
        Error::usage(format!("{name} needs a migration")).with_hint(format!("write it as `{} {name}:0002_x`", program()))
    })
}

/// The run that has the lock now.
fn at_work(view: &View) -> Option<String> {
    let holder = view.lease.as_ref()?.live()?;
    let since = ago(holder.held_for);
    Some(format!("{}@{} (pid {}) is at work: {}, for {since}", holder.user, holder.host, holder.pid, holder.command))
}

/// Carries out what a task asks for. `takes_dump`: the database is dumped first if the configuration says so.
async fn run_migrations<M: MigrationsManager>(
    manager: &M,
    cx: &Context,
    subtask: &'static Declaration,
    takes_dump: bool,
    migration: Option<&str>,
) -> Result<()> {
    let options = cx.options_of(subtask.name, migration);
    let Some(goal) = subtask.goal else { return Ok(()) };
    let request = Request { subtask: subtask.name, goal: goal(&options, cx.migrations())?, is_strict: cx.args().strict };
    let scope = cx.scope().await?;
    cx.tell_shared_numbers();
    let asks = (subtask.asks)(&options);
    let confirm = async |plan: &Plan<'_>| cx.confirm_plan(asks.always_for(plan), scope.database(), plan).await;
    let before = (takes_dump && cx.config().do_mongo_dump).then_some(async || {
        cx.forget_dump();
        manager.dbdump(cx, None).await?;
        Ok(cx.last_dump())
    });
    run::run(&scope, &request, confirm, before).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::right::{On, Right};

    struct Plain;

    impl MigrationsManager for Plain {}

    /// `find, insert, update (standalone)`
    fn cell(rights: &[Right], on: On) -> String {
        let rights = rights.iter().filter(|right| right.on == on);
        let actions = rights.flat_map(|right| {
            let addition = if right.is_for_standalone { " (standalone)" } else { "" };
            right.actions.iter().map(move |action| format!("{action}{addition}"))
        });
        actions.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_documentation_has_the_rights_of_each_subtask() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rights.md");
        let documentation = std::fs::read_to_string(path).unwrap();
        let written: Vec<&str> = documentation.lines().filter(|line| line.starts_with("| `")).collect();
        let declared: Vec<String> = all::<Plain>()
            .iter()
            .filter_map(Subtask::declaration)
            .map(|Declaration { name, rights, .. }| {
                let cells = [On::Registry, On::Log, On::Lock, On::Backfills, On::Database].map(|on| cell(rights, on));
                format!("| `{name}` | {} |", cells.join(" | "))
            })
            .collect();
        assert_eq!(written, declared, "the table in {path} has to be\n{}", declared.join("\n"));
    }
}
