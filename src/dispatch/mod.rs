//! The manager's `main`: it reads the line, checks all of it, runs its tasks one after the other, and returns the exit code.

mod check;
mod completion;
mod databases;
mod gone;
mod task;

use std::process::ExitCode;
use std::rc::Rc;

use crate::config::Config;
use crate::context::{Context, Line, LineSettings, Site};
use crate::environment::{Route, remote};
use crate::error::describe::describe;
use crate::error::{Error, Result, exit_code_of};
use crate::line::flags::Args;
use crate::line::{Task, program};
use crate::manager::declaration::Reach;
use crate::manager::{Flow, MigrationsManager, Subtasks};
use crate::migration::Embedded;
use crate::model::variables;
use crate::process::runtime::Runtime;
use crate::process::{panics, stop};
use crate::report::Reporter;
use crate::terminal::{self, hop, stdin, stdout};
use check::Segment;

/// Runs the manager on the process's command line. It is the complete body of a manager's `main`.
///
/// ```text
/// cargo_migrations::embedded!(mod migrations);
///
/// fn main() -> ExitCode {
///     cargo_migrations::run(Migrations, migrations::embedded())
/// }
/// ```
pub fn run<M: MigrationsManager>(manager: M, embedded: Embedded) -> ExitCode {
    panics::report_all();
    // Cargo and the plugin set this variable. A line that came from another machine was typed there, where cargo is.
    if std::env::var_os(variables::CARGO).is_none()
        && !hop::is_here()
        && let Some(path) = std::env::args_os().next().filter(|path| !path.is_empty())
    {
        program::set_deployed(&path);
    }
    if let Some(text) = completion::asked(std::env::args_os()) {
        // A panic here would be the team's. The script shows nothing of it, and a command shows it.
        stdout::write(&panics::catch(|| completion::answer(&text, &manager, &embedded)).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let words: Vec<_> = std::env::args_os().collect();
    let args = match Args::read(words.clone()) {
        Ok(args) => args,
        Err(error) => return terminal::usage::print(&error, &words),
    };
    terminal::choose_color(args.color);
    terminal::event::choose_format(args.format);
    terminal::event::keep_stdout_for_events();
    match panics::catch(|| run_line(&manager, embedded, args)) {
        Ok(Ok(0)) => stdout::succeeded(),
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

/// Returns the exit code. If it is another machine's, that machine has already printed what is wrong.
fn run_line<M: MigrationsManager>(manager: &M, embedded: Embedded, args: Args) -> Result<u8> {
    // Before anything else: the subtasks and the configuration are those of the other checkout, too.
    embedded.check_checkout()?;
    let subtasks = Subtasks::<M>::of()?;
    let segments = check::line(&args, &subtasks, &embedded)?;
    let reporter = Reporter::new(&args);
    let config = manager.config();
    completion::leave_names(&subtasks, &config);
    let line = Rc::new(Line::new(embedded, args));
    // What reports the result of the line is printed below everything else.
    let closed = reporter.clone();
    let result = Runtime::new()?.run(async {
        line.stop.watch(reporter.clone());
        if hop::is_here() {
            let stop = line.stop.clone();
            stdin::watch_for_ctrl_c(move || stop.signal());
        }
        let result = tokio::select! {
            biased;
            () = line.stop.now() => Err(stop::ended().into()),
            result = run_segments(manager, &line, &segments, &config, &reporter) => result,
        };
        // Runs that were ended halfway give their locks back, so that the next run need not wait until they expire.
        let _ = tokio::time::timeout(stop::GRACE / 2, line.locks.give_all_back()).await;
        result
    });
    closed.close();
    result
}

async fn run_segments<M: MigrationsManager>(
    manager: &M,
    line: &Rc<Line>,
    segments: &[Segment<'_, M>],
    config: &Config,
    reporter: &Reporter,
) -> Result<u8> {
    let line_settings = LineSettings { profile: line.embedded.profile, shows_commands: line.args.verbose > 1 };
    let sites = match sites(segments, config, reporter, line_settings).await {
        Ok(sites) => sites,
        // The line itself comes first.
        Err(error) => return Err(gone::in_line(segments).map_or(error, Into::into)),
    };
    line.sites.borrow_mut().extend(sites.iter().cloned());
    gone::check(line, segments, &sites).await?;
    for (segment, site) in segments.iter().zip(&sites) {
        if line.stop.is_asked() {
            return Err(stop::as_asked().into());
        }
        if let Some((environment, Route::Host(host))) =
            segment.environment.map(|environment| (environment, environment.route()))
        {
            reporter.status("Running", format!("{} on {}", environment.name, host.name));
            let tasks = std::iter::once(Task { name: environment.name.clone(), options: Vec::new() });
            let tasks: Vec<Task> = tasks.chain(segment.tasks.iter().map(|checked| checked.task.clone())).collect();
            let words = line.args.words_for(&tasks, |flag| segment.takes_flag(flag), terminal::is_colored());
            match remote::run(&host, &words, !line.args.yes, &line.stop).await? {
                0 => continue,
                code => return Ok(code),
            }
        }
        let flow = tokio::select! {
            biased;
            lost = site.tunnel_lost() => return Err(lost.into()),
            flow = run_segment(manager, line, segment, site) => flow?,
        };
        if flow == Flow::Stop {
            break;
        }
    }
    Ok(0)
}

/// Where each segment works. An environment with an invalid configuration is found before the first task starts.
async fn sites<M>(
    segments: &[Segment<'_, M>],
    config: &Config,
    reporter: &Reporter,
    line_settings: LineSettings,
) -> Result<Vec<Rc<Site>>> {
    let mut sites = Vec::new();
    for segment in segments {
        let site = match segment.environment {
            None => Site::plain(config.clone(), reporter.clone(), line_settings),
            Some(environment) => {
                let is_here = !matches!(environment.route(), Route::Host(_));
                let needs_server = is_here && segment.needs_configuration();
                Site::of(environment, config.clone(), reporter.clone(), line_settings, needs_server).await?
            }
        };
        sites.push(Rc::new(site));
    }
    Ok(sites)
}

/// Runs the tasks of one environment, or those before any.
async fn run_segment<M: MigrationsManager>(
    manager: &M,
    line: &Rc<Line>,
    segment: &Segment<'_, M>,
    site: &Rc<Site>,
) -> Result<Flow> {
    let many = segment.environment.filter(|environment| environment.is_many());
    if segment.needs_configuration() {
        match many {
            Some(environment) => site.announce(&databases::named(environment)),
            None => site.announce(&format!("database {}", site.database())),
        }
    }
    for checked in &segment.tasks {
        if line.stop.is_asked() {
            return Err(stop::as_asked().into());
        }
        let flow = match many.filter(|_| checked.reach() == Reach::Database) {
            Some(environment) => databases::run(manager, line, environment, site, checked).await?,
            None => task::run(manager, &Context::new(line, site, &checked.options), checked).await?,
        };
        if flow == Flow::Stop {
            return Ok(Flow::Stop);
        }
    }
    Ok(Flow::Continue)
}
