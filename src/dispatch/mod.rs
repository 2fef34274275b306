//! The manager's `main`: reads the line, checks it, runs its tasks one after the other, and tells the exit code.

mod check;
mod databases;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::Config;
use crate::context::Site;
use crate::context::{Context, Line};
use crate::environment::{Place, remote};
use crate::error::describe::describe;
use crate::error::{Error, Result, exit_code_of};
use crate::line::Task;
use crate::line::flags::Args;
use crate::manager::{Flow, MigrationsManager, Subtasks};
use crate::migration::Embedded;
use crate::process::panics;
use crate::process::runtime::Runtime;
use crate::process::stop::{self, Stop};
use crate::report::Reporter;
use crate::terminal;
use crate::terminal::far_side;
use crate::terminal::stdin;
use check::{Checked, Leg};

/// Runs the manager on the process's command line: the whole body of a manager's `main`.
///
/// ```text
/// cargo_migrations::embedded!(mod migrations);
///
/// fn main() -> ExitCode {
///     cargo_migrations::run(Migrations, migrations::embedded())
/// }
/// ```
pub fn run<M: MigrationsManager>(manager: M, embedded: Embedded) -> ExitCode {
    panics::tell_all();
    let args = match Args::read(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => {
            // Clap's own: the usage on stderr, or help and version on stdout.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    terminal::choose_color(args.color);
    match panics::catch(|| run_line(&manager, embedded, args)) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            terminal::error(&*error, describe);
            ExitCode::from(exit_code_of(&*error))
        }
        Err(panic) => {
            terminal::error(&Error::failed(format!("the manager panicked: {panic}")), describe);
            ExitCode::FAILURE
        }
    }
}

/// The exit code; another machine may have said already what is wrong.
fn run_line<M: MigrationsManager>(manager: &M, embedded: Embedded, args: Args) -> Result<u8> {
    let subtasks = Subtasks::<M>::of()?;
    let legs = check::line(&args, &subtasks, &embedded)?;
    let reporter = Reporter::new(&args);
    let config = manager.config();
    let line = Rc::new(Line {
        embedded: Arc::new(embedded),
        args,
        stop: Stop::default(),
        held: RefCell::default(),
        sites: RefCell::default(),
    });
    Runtime::new()?.run(async {
        line.stop.watch(reporter.clone());
        if far_side::is_here() {
            stdin::watch_for_ctrl_c(&line.stop);
        }
        let result = tokio::select! {
            biased;
            () = line.stop.now() => Err(stop::ended().into()),
            result = run_legs(manager, &line, &legs, &config, &reporter) => result,
        };
        // Runs that were ended in their middle: nobody need wait until their locks run out.
        let held = line.held.take();
        let released = futures_util::future::join_all(held.iter().map(|held| held.release()));
        let _ = tokio::time::timeout(stop::GRACE / 2, released).await;
        result
    })
}

async fn run_legs<M: MigrationsManager>(
    manager: &M,
    line: &Rc<Line>,
    legs: &[Leg<'_, M>],
    config: &Config,
    reporter: &Reporter,
) -> Result<u8> {
    // What is wrong with an environment is found ahead of the first task.
    let mut sites = Vec::new();
    for leg in legs {
        let site = match leg.environment {
            None => Site::plain(config.clone(), reporter.clone()),
            Some(environment) => {
                let is_here = !matches!(environment.place(), Place::Host(_));
                let needs_server = is_here && leg.tasks.iter().any(Checked::may_use_server);
                Site::of(environment, config.clone(), reporter.clone(), needs_server).await?
            }
        };
        sites.push(Rc::new(site));
    }
    // They outlive this: a lock is given back through the tunnel that it was taken through.
    line.sites.borrow_mut().extend(sites.iter().cloned());
    for (leg, site) in legs.iter().zip(&sites) {
        if line.stop.is_asked() {
            return Err(stop::as_asked().into());
        }
        if let Some((environment, Place::Host(host))) = leg.environment.map(|environment| (environment, environment.place()))
        {
            reporter.status("Running", format!("{} on {}", environment.name, host.name));
            let tasks = std::iter::once(Task { name: environment.name.clone(), options: Vec::new() });
            let tasks: Vec<Task> = tasks.chain(leg.tasks.iter().map(|checked| checked.task.clone())).collect();
            let words = line.args.words_for(&tasks, terminal::is_colored());
            match remote::run(&host, &words, !line.args.yes, &line.stop).await? {
                0 => continue,
                code => return Ok(code),
            }
        }
        let flow = tokio::select! {
            biased;
            lost = site.tunnel_lost() => return Err(lost.into()),
            flow = run_tasks(manager, line, leg, site) => flow?,
        };
        if flow == Flow::Stop {
            break;
        }
    }
    Ok(0)
}

async fn run_tasks<M: MigrationsManager>(manager: &M, line: &Rc<Line>, leg: &Leg<'_, M>, site: &Rc<Site>) -> Result<Flow> {
    let many = leg.environment.filter(|environment| environment.is_many());
    if leg.tasks.iter().any(Checked::may_use_server) {
        match many {
            Some(environment) => site.tell(&databases::told(environment)),
            None => site.tell(&format!("database {}", site.database())),
        }
    }
    for checked in &leg.tasks {
        if line.stop.is_asked() {
            return Err(stop::as_asked().into());
        }
        let flow = match many.filter(|_| checked.is_of_a_database()) {
            Some(environment) => databases::run(manager, line, environment, site, checked).await?,
            None => {
                run_task(manager, &Context::new(Rc::clone(line), Rc::clone(site), checked.options.clone()), checked).await?
            }
        };
        if flow == Flow::Stop {
            return Ok(Flow::Stop);
        }
    }
    Ok(Flow::Continue)
}

/// One task on one database.
pub(crate) async fn run_task<M: MigrationsManager>(manager: &M, cx: &Context, checked: &Checked<'_, M>) -> Result<Flow> {
    let option = checked.options.first();
    let subtask = checked.subtask;
    let name = subtask.name.as_str();
    let one = async {
        if manager.task_hook(cx, name, option).await? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        if !subtask.is_built_in {
            cx.confirm_subtask(name).await?;
        }
        subtask.call(manager, cx, option).await?;
        Ok(Flow::Continue)
    };
    panics::catch_async(one)
        .await
        .unwrap_or_else(|panic| Err(Error::failed(format!("the subtask {name} panicked: {panic}")).into()))
}
