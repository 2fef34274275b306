//! One task on one database.

use super::check::Checked;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::manager::declaration::Asks;
use crate::manager::{Flow, MigrationsManager};
use crate::process::{panics, stop};

/// Runs the hook, asks if a question is needed, and runs the subtask. A panic becomes an error.
pub(super) async fn run<M: MigrationsManager>(manager: &M, cx: &Context, checked: &Checked<'_, M>) -> Result<Flow> {
    let option = checked.options.first();
    let subtask = checked.subtask;
    let name = subtask.name();
    let running = async {
        if manager.task_hook(cx, name, option).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        if checked.asks() == Asks::IfEnvironmentDoes {
            cx.confirm_task(&checked.task).await?;
        }
        subtask.call(manager, cx, option).await?;
        if cx.has_stopped_as_asked() { Err(stop::as_asked().into()) } else { Ok(Flow::Continue) }
    };
    let ran = tokio::select! {
        biased;
        ran = panics::catch_async(running) => ran,
        ran = cx.leave_time_to_stop(name) => ran,
    };
    ran.unwrap_or_else(|panic| Err(Error::failed(format!("the subtask {name} panicked: {panic}")).into()))
}
