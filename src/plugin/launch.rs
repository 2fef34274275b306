//! Builds the manager and runs it with the same line. Cargo alone decides whether it is up to date.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use super::build::{self, Building, Built};
use super::cargo_config::CargoConfig;
use super::guess::Guess;
use super::workspace::{self, Workspace};
use crate::embed::git;
use crate::error::Error;
use crate::line::flags::Args;
use crate::model::variables;
use crate::terminal::event;

/// Builds the manager, and replaces this process with it. `words` is the line, with the program's name first.
pub(super) fn launch(args: &Args, words: &[OsString]) -> Result<ExitCode, Error> {
    let config = CargoConfig::here()?;
    // `cargo metadata` takes a while. Where the manager can be guessed, its build runs at the same time.
    let start = |guess: Guess| Ok((Building::start(args, &config, &guess.manifest, &guess.binary, None)?, guess));
    let mut early = Guess::here(args).map(start).transpose()?;
    let workspace = match Workspace::find(args) {
        Err(_) if early.as_mut().is_some_and(|(building, _)| building.fails_at_once()) => {
            return Err(Error::usage("cargo cannot read the workspace").with_hint("fix the error that cargo printed above"));
        }
        found => found?,
    };
    let (package, binary) = workspace.manager()?;
    let manifest = package.manifest_path.as_std_path();
    // While cargo builds. It takes no longer than that, unless the repository is huge.
    let folder = manifest.parent().unwrap_or(manifest).to_owned();
    let sources = std::thread::spawn(move || git::sources(&folder));
    let building = match early.filter(|(_, guess)| guess.manifest == manifest && guess.binary == binary) {
        Some((building, _)) => building,
        None => Building::start(args, &config, manifest, binary, None)?,
    };
    let mut built = building.finish(package, binary)?;
    if let Built::AnotherWorkspaces { folder } = &built {
        built = Building::start(args, &config, manifest, binary, Some(folder))?.finish(package, binary)?;
    }
    let sources = sources.join().unwrap_or_default();
    let manager = match built {
        Built::Executable(path) => path,
        Built::Failed(code) => {
            // Cargo has printed why.
            event::failure("build", code, "the manager did not compile", &[], Some("see what cargo printed on stderr"));
            return Ok(ExitCode::from(code));
        }
        Built::AnotherWorkspaces { folder } => {
            return Err(Error::failed(format!(
                "cargo takes the manager of another workspace for the one in {}, because they share a target directory and \
                 a package name",
                folder.display()
            ))
            .with_hint("rename one of the packages, and set its name as `manager` in [workspace.metadata.migrations]"));
        }
    };
    let mut command = Command::new(&manager);
    // If `cargo run` has started the plugin, these name the plugin's package, or that of a program that has called it. The manager
    // would compare its own folder with that one.
    build::remove_variables_per_package(&mut command);
    command
        .args(&words[1..])
        .envs(config.variables())
        .env(variables::CARGO, workspace::cargo())
        .env(variables::TARGET_DIR, workspace.target_directory())
        .env(variables::WORKSPACE_ROOT, workspace.root())
        .env_remove(variables::SOURCES);
    if let Some(sources) = sources {
        command.env(variables::SOURCES, sources.to_text());
    }
    replace_process(command)
        .map_err(|error| Error::failed(format!("the manager {} cannot be started", manager.display())).caused_by(error))
}

/// Runs the command in place of this process. On Unix it is the same process, so that it gets all signals itself.
#[cfg(unix)]
fn replace_process(mut command: Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec())
}

#[cfg(not(unix))]
fn replace_process(mut command: Command) -> std::io::Result<ExitCode> {
    let status = command.status()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
