//! The plugin: finds the workspace, builds its manager with the user's cargo, and runs the manager with the same line.
//!
//! It links no database driver. It carries out `init` and `new` itself, because they must work where the manager does not
//! compile.

mod build;
mod cargo_config;
mod completion;
mod guess;
mod init;
mod launch;
mod manifest;
mod new;
mod target_dir;
mod templates;
mod workspace;

use std::process::ExitCode;

use crate::error::Error;
use crate::line::flags::{Args, COMPLETIONS};
use crate::line::{Task, TaskOption};
use crate::model::PLUGIN_SUBTASKS;
use crate::terminal::{self, stdout};

/// Runs the plugin on this process's arguments, and returns its exit code.
///
/// Cargo runs the binary `cargo-migrations` for `cargo migrations …`, and this is all that its `main` does.
pub fn main() -> ExitCode {
    let mut words: Vec<_> = std::env::args_os().collect();
    // Cargo passes a plugin's own name as the first argument.
    if words.get(1).is_some_and(|word| word == "migrations") {
        words.remove(1);
    }
    if let Some(answer) = completion::answer(&words) {
        stdout::write(&answer);
        return ExitCode::SUCCESS;
    }
    let args = match Args::read(words.clone()) {
        Ok(args) => args,
        Err(error) => return terminal::usage::print(&error, &words),
    };
    terminal::choose_color(args.color);
    terminal::event::choose_format(args.format);
    match run(&args, &words) {
        Ok(code) => code,
        Err(error) => {
            terminal::error(&error, ToString::to_string);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(args: &Args, words: &[std::ffi::OsString]) -> Result<ExitCode, Error> {
    let mut tasks = Vec::new();
    for word in &args.tasks {
        tasks.push(Task::read(word)?);
    }
    let plugin_task = tasks.iter().find(|task| PLUGIN_SUBTASKS.iter().any(|own| own.name == task.name));
    if let Some(task) = plugin_task {
        if tasks.len() > 1 {
            return Err(Error::usage(format!("`{}` cannot be combined with other tasks", task.name))
                .with_hint(format!("run `cargo migrations {}` by itself, then the other tasks", task.name)));
        }
        if task.name == "new" {
            args.refuse_path()?;
            return new::new(args, &new_name(task)?).map(|()| ExitCode::SUCCESS);
        }
        if !task.options.is_empty() {
            return Err(Error::usage("init takes no options").with_hint("write `cargo migrations init [--path DIR]`"));
        }
        return init::init(args).map(|()| ExitCode::SUCCESS);
    }
    args.refuse_path()?;
    // The manager has it too, for when it is deployed, and this is the same script. No manager is needed for it here.
    if let [task] = &tasks[..]
        && task.name == COMPLETIONS
    {
        stdout::write(&completion::script(task)?);
        return Ok(stdout::succeeded());
    }
    launch::launch(args, words)
}

/// Returns the name in `new:NAME`.
fn new_name(task: &Task) -> Result<String, Error> {
    let error = |message: &str| Error::usage(message).with_hint("write `cargo migrations new:add_users`");
    match &task.options[..] {
        [TaskOption::Plain(name)] => Ok(name.clone()),
        [] => Err(error("new needs a name")),
        _ => Err(error("new takes exactly one name")),
    }
}
