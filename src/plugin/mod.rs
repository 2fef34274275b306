//! The plugin: finds the workspace, builds its manager with the user's cargo, and runs it on the same line. It links no
//! database driver. `init` and `new` are its own, since they must work where no manager compiles.

mod build;
mod guess;
mod init;
mod launch;
mod manifest;
mod new;
mod templates;
mod workspace;

use std::process::ExitCode;

use crate::error::Error;
use crate::line::flags::Args;
use crate::line::{Task, TaskOption};
use crate::terminal;

/// The plugin's `main`.
pub fn main() -> ExitCode {
    let mut words: Vec<_> = std::env::args_os().collect();
    // Cargo passes a plugin its own name first.
    if words.get(1).is_some_and(|word| word == "migrations") {
        words.remove(1);
    }
    let args = match Args::read(words.clone()) {
        Ok(args) => args,
        Err(error) => {
            // Clap's own: the usage on stderr, or help and version on stdout.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    terminal::choose_color(args.color);
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
        let task: Task = word.parse().map_err(|error| Error::usage(format!("`{word}` is no task: {error}")))?;
        tasks.push(task);
    }
    let own = tasks.iter().find(|task| matches!(task.name.as_str(), "init" | "new"));
    if let Some(task) = own {
        if tasks.len() > 1 {
            return Err(Error::usage(format!("`{}` stands alone on the line: run it by itself, then the rest", task.name)));
        }
        if task.name == "new" {
            no_path(args)?;
            return new::new(args, &new_name(task)?).map(|()| ExitCode::SUCCESS);
        }
        if !task.options.is_empty() {
            return Err(Error::usage("init takes no option; it takes: init [--path DIR]"));
        }
        return init::init(args).map(|()| ExitCode::SUCCESS);
    }
    no_path(args)?;
    launch::launch(args, words)
}

fn no_path(args: &Args) -> Result<(), Error> {
    match args.path {
        Some(_) => Err(Error::usage("`--path` goes with init: `cargo migrations init --path DIR`")),
        None => Ok(()),
    }
}

fn new_name(task: &Task) -> Result<String, Error> {
    match &task.options[..] {
        [TaskOption::Plain(name)] => Ok(name.clone()),
        [] => Err(Error::usage("new needs a name: `cargo migrations new:add_users`")),
        _ => Err(Error::usage("new takes one name and nothing else: `cargo migrations new:add_users`")),
    }
}
