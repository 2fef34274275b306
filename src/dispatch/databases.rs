//! One task on several databases of a server: some at once, each by itself, and a summary at the end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};

use super::check::Checked;
use super::run_task;
use crate::context;
use crate::context::Site;
use crate::context::{Context, Line};
use crate::environment::{Databases, Environment, whole};
use crate::error::chain::error_text;
use crate::error::{Error, ErrorKind, Result, exit_code_of};
use crate::line::listed;
use crate::manager::{Flow, MigrationsManager};
use crate::migration::names;
use crate::model::verb::Verb;
use crate::process::stop;
use crate::report::{DatabaseEnd, End, Event};
use crate::run::plan::Request;
use crate::run::preview;

/// So many names are told.
const SHOWN: usize = 12;

/// Databases that the server keeps for itself.
const SERVERS_OWN: [&str; 3] = ["admin", "config", "local"];

/// What came of one database: how it ended, the error, and whether the line is to end.
type One = (DatabaseEnd, Option<Box<dyn std::error::Error + Send + Sync>>, Flow);

/// The databases, for people, as far as they are known ahead of a connection.
pub(crate) fn told(environment: &Environment) -> String {
    match &environment.databases {
        Databases::One => String::new(),
        Databases::List(names) => some(names),
        Databases::Matching(pattern) => format!("databases that match `{pattern}`"),
    }
}

/// Runs a task on each database of the environment.
pub(crate) async fn run<M: MigrationsManager>(
    manager: &M,
    line: &Rc<Line>,
    environment: &Environment,
    site: &Rc<Site>,
    checked: &Checked<'_, M>,
) -> Result<Flow> {
    let names = names(line, environment, site).await?;
    let mut contexts = Vec::new();
    for name in &names {
        let one = site.on_database(line, name).await?;
        contexts.push((name, Context::new(Rc::clone(line), Rc::new(one), checked.options.clone())));
    }
    confirm_all(environment, site, checked, &contexts).await?;
    let ends = run_each(manager, line, environment, checked, &contexts).await;
    let flow = if ends.iter().any(|(_, _, flow)| *flow == Flow::Stop) { Flow::Stop } else { Flow::Continue };
    let (ends, errors): (Vec<_>, Vec<_>) = ends.into_iter().map(|(end, error, _)| (end, error)).unzip();
    site.reporter.event(&Event::Databases(&ends));
    let codes: Vec<u8> = errors.iter().flatten().map(|error| exit_code_of(&**error)).collect();
    if line.stop.is_asked() {
        return Err(stop::as_asked().into());
    }
    if codes.is_empty() {
        return Ok(flow);
    }
    let failed: Vec<String> =
        ends.iter().filter(|end| matches!(end.end, End::Failed(_))).map(|end| end.database.clone()).collect();
    let is_check = codes.iter().all(|code| *code == Error::new(ErrorKind::Check, "").exit_code());
    let kind = if is_check { ErrorKind::Check } else { ErrorKind::Failed };
    let message = format!(
        "{} failed on {} of {} databases: {}; what went wrong is told above; the same line goes on with what is left",
        checked.task.name,
        failed.len(),
        names.len(),
        shortened(&failed)
    );
    Err(Error::new(kind, message).into())
}

async fn run_each<M: MigrationsManager>(
    manager: &M,
    line: &Line,
    environment: &Environment,
    checked: &Checked<'_, M>,
    contexts: &[(&String, Context)],
) -> Vec<One> {
    let fails_fast = environment.fails_fast || line.args.fail_fast;
    let has_failed = Cell::new(false);
    let each = contexts.iter().map(|(name, cx)| {
        let has_failed = &has_failed;
        async move {
            let ended = |end, took| DatabaseEnd { database: (*name).clone(), took, end };
            if line.stop.is_asked() || fails_fast && has_failed.get() {
                return (ended(End::NotBegun, Duration::ZERO), None, Flow::Continue);
            }
            let since = Instant::now();
            match run_task(manager, cx, checked).await {
                Ok(flow) => (ended(End::Done, since.elapsed()), None, flow),
                Err(error) => {
                    has_failed.set(true);
                    cx.reporter().event(&Event::Failure(&*error));
                    let text = error_text(&*error);
                    (ended(End::Failed(text), since.elapsed()), Some(error), Flow::Continue)
                }
            }
        }
    });
    let mut ends: Vec<One> = stream::iter(each).buffer_unordered(environment.at_once).collect().await;
    ends.sort_by_key(|(end, _, _)| contexts.iter().position(|(name, _)| **name == end.database));
    ends
}

/// Asks once for all: what each is about to do is shown first.
async fn confirm_all<M>(
    environment: &Environment,
    site: &Site,
    checked: &Checked<'_, M>,
    contexts: &[(&String, Context)],
) -> Result<()> {
    let name = checked.subtask.name.as_str();
    let is_final = matches!(name, "rollback" | "restore");
    let always_asks = matches!(name, "restore" | "unlock");
    let Some((_, first)) = contexts.first() else { return Ok(()) };
    if checked.only_reads() || !(environment.asks || always_asks) {
        return Ok(());
    }
    let mut plans = Vec::new();
    let verb = [Verb::Execute, Verb::Ignore, Verb::Rollback].into_iter().find(|verb| verb.as_str() == name);
    for (database, cx) in contexts {
        // What cannot be shown now is not confirmed, and is refused should it be possible by then.
        let (lines, shown) = match verb {
            None => (vec![checked.task.to_string()], Vec::new()),
            Some(verb) => match plan_of(cx, verb, checked.options.first()).await {
                Ok(plan) => plan,
                Err(error) => (vec![format!("cannot run: {}", error_text(&*error))], Vec::new()),
            },
        };
        for text in lines {
            site.reporter.notice("Plan", format!("{database}: {text}"));
        }
        plans.push(shown);
    }
    let question = format!("Run {} on {} databases of {}?", checked.task, contexts.len(), environment.name);
    // Asked in the name of the first; all have the environment in common.
    if is_final {
        first.confirm_by_name(&question).await?
    } else {
        first.confirm(&question).await?
    }
    for ((_, cx), plan) in contexts.iter().zip(plans) {
        *cx.site().confirmed.borrow_mut() = Some(plan);
    }
    Ok(())
}

/// The plan for people, and the migrations in it.
async fn plan_of(cx: &Context, verb: Verb, migration: Option<&str>) -> Result<(Vec<String>, Vec<String>)> {
    let migration = migration.map(|word| names::find(cx.migrations(), word)).transpose()?;
    let has_transactions = cx.store().await?.has_transactions();
    let plan = preview(cx, &Request { verb, migration, is_strict: cx.args().strict, has_transactions }).await?;
    let nothing = if plan.steps.is_empty() { Some("nothing to do".to_owned()) } else { None };
    let lines = context::plan_lines(&plan).into_iter().chain(nothing).collect();
    Ok((lines, plan.steps.iter().map(|step| step.migration.stem().to_owned()).collect()))
}

/// The databases' names, in order.
async fn names(line: &Line, environment: &Environment, site: &Site) -> Result<Vec<String>> {
    let pattern = match &environment.databases {
        Databases::One => return Ok(vec![site.database().to_owned()]),
        Databases::List(names) => return Ok(names.clone()),
        Databases::Matching(pattern) => pattern,
    };
    let matches = whole(pattern).map_err(|error| Error::usage("the pattern cannot be used").caused_by(error))?;
    let client = site.connection(line).await?.database.client();
    let listed = client.list_database_names().await;
    let mut names = listed.map_err(|error| {
        Error::failed(
            "the server's databases cannot be listed; the user may need the role readAnyDatabase, or name them with \
                       `databases([…])`",
        )
        .caused_by(error)
    })?;
    names.retain(|name| matches.is_match(name) && !SERVERS_OWN.contains(&name.as_str()));
    names.sort();
    if names.is_empty() {
        return Err(Error::usage(format!(
            "no database of the server matches `{pattern}`, the pattern of the environment `{}`",
            environment.name
        ))
        .into());
    }
    site.reporter.status("Databases", some(&names));
    Ok(names)
}

/// `` 3 databases: `a`, `b`, `c` ``
fn some(names: &[String]) -> String {
    let count = names.len();
    format!("{count} database{}: {}", if count == 1 { "" } else { "s" }, shortened(names))
}

/// `` `a`, `b`, `c` and 7 more ``
fn shortened(names: &[String]) -> String {
    let shown = listed(names.iter().take(SHOWN).map(String::as_str));
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{shown}{more}")
}
