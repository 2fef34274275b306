//! One task on several databases of a server: a few at the same time, each independent of the others, and a summary at the end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

use super::check::Checked;
use super::task;
use crate::connect::bad_database_name;
use crate::context::{self, Context, Line, Site};
use crate::environment::{Databases, Environment, full_match};
use crate::error::chain::error_text;
use crate::error::{Error, ErrorKind, Result, exit_code_of};
use crate::line::words::shortened;
use crate::manager::declaration::{Answer, Asks, When};
use crate::manager::{Flow, MigrationsManager};
use crate::model::Direction;
use crate::process::stop;
use crate::report::{DatabaseEnd, Databases as Summary, End};
use crate::run::preview;
use crate::run::request::Request;

/// The result on one database: how it ended, the error, and whether the line is to end.
type OnDatabase = (DatabaseEnd, Option<Box<dyn std::error::Error + Send + Sync>>, Flow);

/// The databases as people read them, as far as they are known before connecting.
pub(super) fn named(environment: &Environment) -> String {
    match &environment.databases {
        Databases::One => String::new(),
        Databases::List(names) => counted(names),
        Databases::Matching(pattern) => format!("databases that match `{pattern}`"),
    }
}

/// Runs a task on each database of the environment.
pub(super) async fn run<M: MigrationsManager>(
    manager: &M,
    line: &Rc<Line>,
    environment: &Environment,
    site: &Rc<Site>,
    checked: &Checked<'_, M>,
) -> Result<Flow> {
    let names = names(environment, site).await?;
    let mut contexts = Vec::new();
    for name in &names {
        let site = Rc::new(site.on_database(name));
        contexts.push((name, Context::new(line, &site, &checked.options)));
    }
    confirm_all(environment, site, checked, &contexts).await?;
    let ends = run_each(manager, line, environment, checked, &contexts).await;
    let flow = if ends.iter().any(|(_, _, flow)| *flow == Flow::Stop) { Flow::Stop } else { Flow::Continue };
    let (ends, errors): (Vec<_>, Vec<_>) = ends.into_iter().map(|(end, error, _)| (end, error)).unzip();
    let summary = Summary { ends };
    site.reporter.report(&summary);
    let codes: Vec<u8> = errors.iter().flatten().map(|error| exit_code_of(&**error)).collect();
    if line.stop.is_asked() {
        return Err(stop::as_asked().into());
    }
    if codes.is_empty() {
        return Ok(flow);
    }
    let failed: Vec<String> =
        summary.ends.iter().filter(|end| matches!(end.end, End::Failed(_))).map(|end| end.database.clone()).collect();
    let is_check = codes.iter().all(|code| *code == Error::new(ErrorKind::Check, "").exit_code());
    let (name, on) = (&checked.task.name, format!("{} of {} databases: {}", failed.len(), names.len(), shortened(&failed)));
    let error = if is_check {
        Error::new(ErrorKind::Check, format!("{name} found something to do on {on}"))
    } else {
        Error::failed(format!("{name} failed on {on}"))
            .with_hint("see the errors above, then run the same line again for what is left")
    };
    Err(error.into())
}

async fn run_each<M: MigrationsManager>(
    manager: &M,
    line: &Line,
    environment: &Environment,
    checked: &Checked<'_, M>,
    contexts: &[(&String, Context)],
) -> Vec<OnDatabase> {
    let fails_fast = environment.fails_fast || line.args.fail_fast;
    let has_failed = Cell::new(false);
    let each = contexts.iter().map(|(name, cx)| {
        let has_failed = &has_failed;
        async move {
            let ended = |end, took| DatabaseEnd { database: (*name).clone(), took, end };
            if line.stop.is_asked() || fails_fast && has_failed.get() {
                cx.reporter().end_of_database();
                return (ended(End::NotBegun, Duration::ZERO), None, Flow::Continue);
            }
            let since = Instant::now();
            let end = match task::run(manager, cx, checked).await {
                Ok(flow) => (ended(End::Done, since.elapsed()), None, flow),
                Err(error) => {
                    has_failed.set(true);
                    cx.reporter().failure(&*error);
                    let text = error_text(&*error);
                    (ended(End::Failed(text), since.elapsed()), Some(error), Flow::Continue)
                }
            };
            cx.reporter().end_of_database();
            end
        }
    });
    let mut ends: Vec<OnDatabase> = stream::iter(each).buffer_unordered(environment.at_once).collect().await;
    ends.sort_by_key(|(end, _, _)| contexts.iter().position(|(name, _)| **name == end.database));
    ends
}

/// Asks once for all databases, after showing what is about to be done on each.
async fn confirm_all<M>(
    environment: &Environment,
    site: &Site,
    checked: &Checked<'_, M>,
    contexts: &[(&String, Context)],
) -> Result<()> {
    let asks = checked.asks();
    let Some((_, first)) = contexts.first() else { return Ok(()) };
    let may_ask = match asks {
        Asks::Never => false,
        Asks::WithPlan(When::IfEnvironmentDoes) | Asks::IfEnvironmentDoes => environment.asks,
        Asks::WithPlan(When::IfUndone | When::Always) | Asks::Always(_) => true,
    };
    if !may_ask {
        return Ok(());
    }
    let mut plans = Vec::new();
    for (_, cx) in contexts {
        plans.push(match asks {
            Asks::WithPlan(_) => plan_of(cx, checked).await,
            _ => Preview { lines: vec![checked.task.to_string()], ..Preview::default() },
        });
    }
    let undoes = plans.iter().any(|plan| plan.steps.iter().any(|(direction, _)| *direction == Direction::Down));
    if asks == Asks::WithPlan(When::IfUndone) && !undoes && !environment.asks {
        return Ok(());
    }
    for ((database, _), plan) in contexts.iter().zip(&plans) {
        for text in &plan.lines {
            site.reporter.notice("Plan", format!("{database}: {text}"));
        }
    }
    let question = format!("Run {} on {} databases of {}?", checked.task, contexts.len(), environment.name);
    // The first context asks for all: they have the environment in common.
    if undoes || asks == Asks::Always(Answer::Name) {
        first.confirm_by_name(&question).await?;
    } else {
        first.confirm(&question).await?;
    }
    for ((_, cx), plan) in contexts.iter().zip(plans) {
        *cx.site().confirmed.borrow_mut() = Some(plan.steps);
    }
    Ok(())
}

/// What a task would do on one database.
#[derive(Debug, Default)]
struct Preview {
    /// As people read it.
    lines: Vec<String>,
    steps: Vec<(Direction, String)>,
}

/// What a task would do. A database whose plan cannot be shown now is not confirmed, and is refused if it can run by then.
async fn plan_of<M>(cx: &Context, checked: &Checked<'_, M>) -> Preview {
    let plan = async {
        let goal = checked.subtask.goal().ok_or_else(|| Error::usage("there is no plan for it"))?;
        let goal = goal(&checked.options, cx.migrations())?;
        // Only the command of the run depends on the subtask's name, and nothing runs here.
        let request = Request { subtask: "", goal, is_strict: cx.args().strict };
        cx.tell_shared_numbers();
        let plan = preview(&cx.scope().await?, &request).await?;
        let nothing = if plan.steps.is_empty() { Some("nothing to do".to_owned()) } else { None };
        let warnings = plan.warnings.iter().map(|warning| format!("warning: {}", warning.message));
        let lines = context::plan_lines(&plan).into_iter().chain(warnings).chain(nothing).collect();
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Preview { lines, steps: context::plan_steps(&plan) })
    };
    plan.await
        .unwrap_or_else(|error| Preview { lines: vec![format!("cannot run: {}", error_text(&*error))], steps: Vec::new() })
}

/// The databases' names, in order.
async fn names(environment: &Environment, site: &Site) -> Result<Vec<String>> {
    let pattern = match &environment.databases {
        Databases::One => return Ok(vec![site.database().to_owned()]),
        Databases::List(names) => return Ok(names.clone()),
        Databases::Matching(pattern) => pattern,
    };
    let matches = full_match(pattern).map_err(|error| Error::usage("the pattern cannot be used").caused_by(error))?;
    let client = site.connection().await?.database.client();
    let listed = client.list_database_names().await;
    let mut names = listed.map_err(|error| {
        Error::failed("the server's databases cannot be listed")
            .with_hint("grant the user the role readAnyDatabase, or name the databases with `databases([…])`")
            .caused_by(error)
    })?;
    names.retain(|name| matches.is_match(name) && bad_database_name(name).is_none());
    names.sort();
    if names.is_empty() {
        return Err(Error::usage(format!(
            "no database of the server matches `{pattern}`, the pattern of the environment `{}`",
            environment.name
        ))
        .into());
    }
    site.reporter.status("Databases", counted(&names));
    Ok(names)
}

/// `` 3 databases: `a`, `b`, `c` ``
fn counted(names: &[String]) -> String {
    let count = names.len();
    format!("{count} database{}: {}", if count == 1 { "" } else { "s" }, shortened(names))
}
