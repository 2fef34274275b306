use crate::error::Result;
use crate::manager::{Context, MigrationsManager, Subtasks};
use crate::report::columns;

/// Lists the subtasks, built in and the manager's own, with their help texts; or tells about one.
///
/// # Errors
/// There is no such subtask.
pub async fn help<M: MigrationsManager>(_: &M, cx: &Context, subtask: Option<&str>) -> Result<()> {
    let subtasks = Subtasks::<M>::of()?;
    if let Some(name) = subtask {
        let subtask = subtasks.find(name)?;
        cx.reporter().println(format!("cargo migrations {}\n\n{}", subtask.usage(), subtask.help));
        return Ok(());
    }
    let mut rows: Vec<Vec<String>> = subtasks
        .iter()
        .map(|subtask| {
            let default = if subtask.name == subtasks.default_name() { " (default)" } else { "" };
            // The first paragraph: columns are for one line each.
            let first = subtask.help.trim().lines().take_while(|line| !line.trim().is_empty());
            let text = first.map(str::trim).collect::<Vec<_>>().join(" ");
            vec![format!("  {}", subtask.short_usage()), format!("{text}{default}")]
        })
        .collect();
    // The plugin's: they work while the manager does not compile.
    rows.push(vec!["  init".into(), "Set up a manager and a migrations directory in this workspace".into()]);
    rows.push(vec!["  new:NAME".into(), "Write the next migration file".into()]);
    let table = columns(&rows, None);
    cx.reporter().println(format!(
        "Usage: cargo migrations [FLAGS] [TASK...]\n\nTasks, run from left to right:\n{table}\n\
         A migration is named by file name, stem or number. `cargo migrations --help` lists the flags."
    ));
    Ok(())
}
