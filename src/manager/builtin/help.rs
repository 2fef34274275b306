//! `help`: the subtasks and environments.

use crate::context::Context;
use crate::environment::Environment;
use crate::error::Result;
use crate::line::program::{is_deployed, program};
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::manager::{MigrationsManager, Subtasks};
use crate::report::columns;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "help",
    help: "List the subtasks, or describe one",
    first: First::Subtask,
    options: &[],
    check: any_values,
    reach: |_| Reach::Nothing,
    asks: |_| Asks::Never,
    needs_files: false,
    flags: &[],
};

/// Lists the subtasks, built in and the manager's own, with their help texts; or describes one.
///
/// # Errors
/// There is no such subtask.
pub async fn help<M: MigrationsManager>(_: &M, cx: &Context, subtask: Option<&str>) -> Result<()> {
    let subtasks = Subtasks::<M>::of()?;
    let program = program();
    if let Some(environment) = subtask.and_then(|name| subtasks.environment_named(name)) {
        let text = format!("{program} {} TASK\n\n{}", environment.name, environment.help);
        cx.reporter().println(text);
        return Ok(());
    }
    if let Some(name) = subtask {
        let subtask = subtasks.find(name)?;
        cx.reporter().println(format!("{program} {}\n\n{}", subtask.usage(), subtask.help()));
        return Ok(());
    }
    let mut rows: Vec<Vec<String>> = subtasks
        .iter()
        .map(|subtask| {
            let default = if subtask.name() == subtasks.default_name() { " (default)" } else { "" };
            vec![format!("  {}", subtask.short_usage()), format!("{}{default}", first_paragraph(subtask.help()))]
        })
        .collect();
    // These two are the plugin's: they need the sources, and work while the manager does not compile.
    if !is_deployed() {
        rows.push(vec!["  init".into(), "Set up a manager and a migrations directory in this workspace".into()]);
        rows.push(vec!["  new:NAME".into(), "Write the next migration file".into()]);
    }
    let table = columns(&rows, None);
    let environments = environments(subtasks.environments());
    cx.reporter().println(format!(
        "Usage: {program} [FLAGS] [TASK...]\n\nTasks, run from left to right:\n{table}\n{environments}\
         A migration is named by file name, stem or number. `{program} --help` lists the flags."
    ));
    Ok(())
}

/// The environments, if there are any.
fn environments(environments: &[Environment]) -> String {
    if environments.is_empty() {
        return String::new();
    }
    let rows = environments.iter().map(|env| vec![format!("  {}", env.name), first_paragraph(&env.help)]);
    format!(
        "Environments, written before the tasks that run in them (`staging execute`):\n{}\n",
        columns(&rows.collect::<Vec<_>>(), None)
    )
}

/// A column has room for one line.
fn first_paragraph(help: &str) -> String {
    let first = help.trim().lines().take_while(|line| !line.trim().is_empty());
    first.map(str::trim).collect::<Vec<_>>().join(" ")
}
