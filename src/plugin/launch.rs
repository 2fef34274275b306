//! Builds the manager and runs it on the same line. Cargo decides what is stale.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use super::build::{Building, Built};
use super::guess::Guess;
use super::workspace::{self, Workspace};
use crate::error::Error;
use crate::line::flags::Args;
use crate::model::variables;

/// Builds the manager, and becomes it.
pub(super) fn launch(args: &Args, words: &[OsString]) -> Result<ExitCode, Error> {
    // Asking cargo about the workspace takes a while. Where the manifests leave no doubt, the build goes beside it.
    let start = |guess: Guess| Ok((Building::start(args, &guess.manifest, &guess.binary, None)?, guess));
    let mut early = Guess::here(args).map(start).transpose()?;
    let workspace = match Workspace::find(args) {
        Err(_) if early.as_mut().is_some_and(|(building, _)| building.fails_too()) => {
            return Err(Error::usage("cargo cannot read the workspace; mend what it says above first"));
        }
        found => found?,
    };
    let (package, binary) = workspace.manager()?;
    let manifest = package.manifest_path.as_std_path();
    let building = match early.filter(|(_, guess)| guess.manifest == manifest && guess.binary == binary) {
        Some((building, _)) => building,
        None => Building::start(args, manifest, binary, None)?,
    };
    let mut built = building.finish(package, binary)?;
    if let Built::AnotherWorkspaces { folder } = &built {
        built = Building::start(args, manifest, binary, Some(folder))?.finish(package, binary)?;
    }
    let manager = match built {
        Built::Executable(path) => path,
        Built::Failed(code) => return Ok(code),
        Built::AnotherWorkspaces { folder } => {
            return Err(Error::failed(format!(
                "cargo takes the manager of another workspace for the one in {}: they share a target folder and a package name; \
                 give one of the packages another name, and set it as [workspace.metadata.migrations] manager",
                folder.display()
            )));
        }
    };
    let mut command = Command::new(&manager);
    command
        .args(&words[1..])
        .env(variables::CARGO, workspace::cargo())
        .env(variables::TARGET_DIR, workspace.target_directory())
        .env(variables::WORKSPACE_ROOT, workspace.root());
    become_it(command)
        .map_err(|error| Error::failed(format!("the manager {} cannot be started", manager.display())).caused_by(error))
}

/// On Unix the manager takes this process's place, so that signals and exit codes are its own.
#[cfg(unix)]
fn become_it(mut command: Command) -> std::io::Result<ExitCode> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec())
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> std::io::Result<ExitCode> {
    let status = command.status()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
