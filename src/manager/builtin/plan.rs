//! `plan`: what a task would do.

use crate::context::Context;
use crate::error::{Error, ErrorKind, Remark, Result};
use crate::line::Task;
use crate::line::flags::TaskFlag;
use crate::line::program::program;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, any_values};
use crate::manager::texts::NOTHING;
use crate::manager::{MigrationsManager, Subtasks};
use crate::migration::Migration;
use crate::model::right;
use crate::report::{Planned, PlannedStep};
use crate::run::plan::{self as plans, Draft, Step};
use crate::run::request::Request;
use crate::run;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "plan",
    group: Group::Look,
    summary: "Show what a task would do: `plan:rollback,to=0004`",
    about: "TASK is a subtask that runs or registers migrations, with its options after a comma.
Without one, it is `execute`. The steps are listed in order, with what is to be known
about each: its state, whether its file was edited, whether it is out of order, and
whether it is transactional. If the task would be refused, a warning says why.

It neither takes the lock nor waits for it. A warning says who has it.",
    first: First::Task,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    goal: None,
    asks: |_| Asks::Never,
    needs_files: true,
    flags: &[TaskFlag::Check, TaskFlag::Strict],
    common_flags: &["--format"],
    writes: NOTHING,
    rights: right::LOOKS,
    exits: &[
        (0, "done, whatever there is to do, and whether or not it would be refused"),
        (1, "the server failed"),
        (2, "the command line, the configuration or the files are wrong"),
        (4, "`--check` found that there is something to do, or that the task would be refused"),
    ],
    examples: &["plan", "plan:execute,to=12 --check", "plan:rollback,to=0004", "plan:to,0002 --format json"],
};

/// The task that it is about if the line names none.
const DEFAULT_TASK: &str = super::execute::DECLARATION.name;

/// Shows what a task would do, step by step, and why it would be refused. `plan:to,0002` is about `to:0002`; without a task it is
/// about `execute`. It writes nothing to the database, and needs only the right to read.
///
/// # Errors
/// The server failed, the task is not about migrations, or `--check` found something to do.
pub async fn plan<M: MigrationsManager>(_: &M, cx: &Context, task: Option<&str>) -> Result<()> {
    let subtasks = Subtasks::<M>::of()?;
    let own = cx.options_of(DECLARATION.name, task);
    let about = match (own.about(), task) {
        (Some(about), _) => about.clone(),
        (None, None) => subtasks.planned(&Task { name: DEFAULT_TASK.to_owned(), options: Vec::new() })?,
        (None, Some(word)) => subtasks.planned(&Task::read(word)?)?,
    };
    let (subtask, goal) = subtasks.goal_of(&about)?;
    let request = Request { subtask, goal: goal(&about, cx.migrations())?, is_strict: cx.args().strict };
    let store = cx.store().await?;
    cx.tell_shared_numbers();
    let view = run::read_for(&store, &request).await?;
    let Draft { plan, refused } = plans::draft(&request, cx.migrations(), &view, store.has_transactions());
    let (command, count) = (request.command(), plan.steps.len());
    let is_refused = refused.is_some();
    let refused = refused.map(|error| {
        let Remark { message, hint } = error.into();
        Remark { message: format!("`{command}` would be refused: {message}"), hint }
    });
    let busy = super::at_work(&view).map(Remark::new);
    let database = store.database().name();
    let summary = if count == 0 { request.nothing_to_do(database) } else { format!("{} on {database}", plan.tally().request()) };
    cx.reporter().report(&Planned {
        database,
        steps: plan.steps.iter().map(row).collect(),
        warnings: plan.warnings.iter().cloned().chain(busy).chain(refused).collect(),
        summary: (!is_refused).then_some(summary),
    });
    if !cx.args().check || count == 0 && !is_refused {
        return Ok(());
    }
    let error = if is_refused {
        Error::new(ErrorKind::Check, format!("`{command}` would be refused")).with_hint("see the warnings above")
    } else {
        let steps = if count == 1 { "1 step".to_owned() } else { format!("{count} steps") };
        Error::new(ErrorKind::Check, format!("{steps} to do")).with_hint(format!("run `{} {command}`", program()))
    };
    Err(error.into())
}

fn row<'s>(step: &'s Step<'_>) -> PlannedStep<'s> {
    PlannedStep {
        name: step.migration.name(),
        direction: step.direction,
        description: step.migration.file().and_then(Migration::description),
        is_transactional: step.is_transactional(),
        state: step.look.state,
        is_changed: step.look.is_changed,
        is_out_of_order: step.look.is_out_of_order,
    }
}
