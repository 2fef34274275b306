//! The manager's `main`: reads the line, checks it, runs its tasks one after the other, and tells the exit code.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

use tokio::sync::OnceCell;

use super::check::{self, Checked};
use super::context::{Context, Shared};
use super::{Flow, MigrationsManager, Subtasks};
use crate::args::Args;
use crate::describe::describe;
use crate::error::{Error, Result, exit_code_of};
use crate::line::{Task, TaskOption};
use crate::migration::Embedded;
use crate::report::Reporter;
use crate::stop::{self, Stop};
use crate::{panics, term};

/// Runs the manager on the process's command line: the whole body of a manager's `main`.
///
/// ```text
/// fn main() -> ExitCode {
///     cargo_migrations::run(Migrations, cargo_migrations::embedded!())
/// }
/// ```
pub fn run<M: MigrationsManager>(manager: M, embedded: Embedded) -> ExitCode {
    let args = match Args::read(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => {
            // Clap's own: the usage on stderr, or help and version on stdout.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    term::choose_color(args.color);
    match panics::catch(|| run_line(&manager, embedded, args)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            term::error(&*error, describe);
            ExitCode::from(exit_code_of(&*error))
        }
        Err(panic) => {
            term::error(&Error::failed(format!("the manager panicked: {panic}")), describe);
            ExitCode::FAILURE
        }
    }
}

fn run_line<M: MigrationsManager>(manager: &M, embedded: Embedded, args: Args) -> Result<()> {
    let subtasks = Subtasks::<M>::of()?;
    let checked = check::line(&args, &subtasks, &embedded)?;
    let reporter = Reporter::new(&args);
    let shared = Rc::new(Shared {
        config: manager.config(),
        embedded,
        reporter,
        args,
        stop: Stop::default(),
        connection: OnceCell::new(),
        held: RefCell::new(None),
        last_dump: RefCell::new(None),
    });
    // More than one thread, so that what must go on in the background does so while a migration blocks its own.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Error::failed("the async runtime cannot be started").caused_by(error))?;
    let result = runtime.block_on(async {
        shared.stop.watch(shared.reporter.clone());
        let result = tokio::select! {
            biased;
            () = shared.stop.now() => Err(stop::ended().into()),
            result = run_tasks(manager, &shared, checked) => result,
        };
        // A run that was ended in its middle: nobody need wait until its lock runs out.
        let held = shared.held.borrow_mut().take();
        if let Some(held) = held {
            let _ = tokio::time::timeout(stop::GRACE / 2, held.release()).await;
        }
        result
    });
    // What still runs in the background (the driver's monitors, say) is not waited for.
    runtime.shutdown_background();
    result
}

async fn run_tasks<M: MigrationsManager>(manager: &M, shared: &Rc<Shared>, tasks: Vec<Checked<'_, M>>) -> Result<()> {
    for Checked { subtask, options } in tasks {
        if shared.stop.is_asked() {
            return Err(stop::as_asked().into());
        }
        let option = options.first().map(str::to_owned);
        let cx = Context::new(Rc::clone(shared), options);
        let name = subtask.name.as_str();
        let one = async {
            if manager.task_hook(&cx, name, option.as_deref()).await? == Flow::Stop {
                return Ok(Flow::Stop);
            }
            subtask.call(manager, &cx, option.as_deref()).await?;
            Ok(Flow::Continue)
        };
        match panics::catch_async(one).await {
            Ok(Ok(Flow::Continue)) => {}
            Ok(Ok(Flow::Stop)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(panic) => return Err(Error::failed(format!("the subtask {name} panicked: {panic}")).into()),
        }
    }
    Ok(())
}

/// `cargo migrations …`, quoted for a POSIX shell.
pub(super) fn cargo_command(subtask: &str, option: Option<&str>) -> String {
    let options = option.into_iter().map(|option| TaskOption::Plain(option.to_owned())).collect();
    let task = Task { name: subtask.to_owned(), options }.to_string();
    // Only a NUL byte cannot be quoted, and no process can be passed one.
    let quoted = shlex::try_quote(&task).map_or_else(|_| task.replace('\0', ""), |quoted| quoted.into_owned());
    format!("cargo migrations {quoted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_survives_a_shell_and_the_grammar() {
        for option in ["0001_a", "a b", "it's", "a,b=c:d", r"back\slash", "$HOME `x` \"y\""] {
            let command = cargo_command("mytask", Some(option));
            let words = shlex::split(&command).unwrap();
            assert_eq!(words.len(), 3, "{command}");
            let task: Task = words[2].parse().unwrap();
            assert_eq!(task.options, [TaskOption::Plain(option.to_owned())], "{command}");
        }
        assert_eq!(cargo_command("execute", None), "cargo migrations execute");
    }
}
