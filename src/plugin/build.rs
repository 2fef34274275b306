//! Builds a manager with the user's cargo, and learns from cargo's JSON messages what was built.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cargo_metadata::semver::Version;
use cargo_metadata::{Message, Package, PackageId};

use super::cargo_config::CargoConfig;
use super::workspace;
use crate::embed;
use crate::error::Error;
use crate::line::flags::{Args, Color};
use crate::model::variables;

/// A `cargo build` that is running. It is killed on drop, unless it has finished.
pub(super) struct Building {
    cargo: Child,
    /// `None` once [`Building::finish`] has taken them.
    messages: Option<JoinHandle<Vec<Message>>>,
}

/// The result of a build.
pub(super) enum Built {
    /// The path of the manager.
    Executable(PathBuf),
    /// The build failed with this exit code. Cargo has printed why.
    Failed(u8),
    /// Cargo took another workspace's manager for this one, and built nothing. `folder` is that of this workspace's manager.
    AnotherWorkspaces { folder: PathBuf },
}

impl Building {
    /// Starts to build the manager.
    ///
    /// It is built for the machine that the plugin runs on, whatever `build.target` is in `config`.
    ///
    /// `rebuild_for` is the manager's folder, when cargo must run its build script again although it considers it up to
    /// date.
    pub(super) fn start(
        args: &Args,
        config: &CargoConfig,
        manifest: &Path,
        binary: &str,
        rebuild_for: Option<&Path>,
    ) -> Result<Self, Error> {
        let mut command = Command::new(workspace::cargo());
        // If `cargo run` (an alias, say) has started the plugin, it has set variables about the plugin's own package. Build
        // scripts that depend on them, such as ring's, would run again after each plain `cargo build`, and the driver would
        // be compiled again.
        remove_variables_per_package(&mut command);
        command
            .args(["build", "--message-format", "json-render-diagnostics", "--bin", binary, "--manifest-path"])
            .arg(manifest)
            .args(config.flags())
            .args(cargo_flags(args))
            .stdout(Stdio::piped());
        if let Some(folder) = rebuild_for {
            command.env(variables::MANAGER_DIR, folder);
        }
        let mut cargo = command.spawn().map_err(cannot_run_cargo)?;
        let stdout = cargo.stdout.take().expect("piped above");
        // Read as they come: cargo would block on a full pipe.
        let messages = std::thread::spawn(|| Message::parse_stream(BufReader::new(stdout)).map_while(Result::ok).collect());
        Ok(Self { cargo, messages: Some(messages) })
    }

    /// Whether the build fails within a second, as it does when cargo cannot read the workspace. Cargo has then printed why.
    pub(super) fn fails_at_once(&mut self) -> bool {
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(1) {
            if let Ok(Some(status)) = self.cargo.try_wait() {
                return !status.success();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Waits for the build to end.
    ///
    /// # Errors
    /// The manager was built with another version of this crate, or cargo names no executable.
    pub(super) fn finish(mut self, package: &Package, binary: &str) -> Result<Built, Error> {
        let messages = self.messages.take().and_then(|messages| messages.join().ok()).unwrap_or_default();
        let status = self.cargo.wait().map_err(cannot_run_cargo)?;
        if !status.success() {
            return Ok(Built::Failed(exit_code(status)));
        }
        let mut executable = None;
        let mut version = None;
        let mut generated = None;
        for message in messages {
            let artifact = match message {
                Message::CompilerArtifact(artifact) => artifact,
                Message::BuildScriptExecuted(script) if script.package_id == package.id => {
                    generated = Some(PathBuf::from(script.out_dir).join(embed::FILE));
                    continue;
                }
                _ => continue,
            };
            if artifact.package_id == package.id && artifact.target.name == binary {
                executable = artifact.executable.map(PathBuf::from).or(executable);
            } else if artifact.target.name == "cargo_migrations"
                && artifact.features.iter().any(|feature| feature == "manager")
            {
                version = version_of(&artifact.package_id);
            }
        }
        let ours: Version = env!("CARGO_PKG_VERSION").parse().expect("cargo's own");
        if let Some(theirs) = version.filter(|theirs| !compatible(&ours, theirs)) {
            return Err(Error::usage(format!(
                "the manager `{}` is built with cargo-migrations {theirs}, but this is cargo-migrations {ours}",
                package.name
            ))
            .with_hint(format!(
                "run `cargo install cargo-migrations --version {theirs}`, or depend on version {ours} in {}",
                package.manifest_path
            )));
        }
        let folder = PathBuf::from(package.manifest_path.parent().unwrap_or(&package.manifest_path));
        if generated.is_some_and(|file| !was_generated_for(&file, &folder)) {
            return Ok(Built::AnotherWorkspaces { folder });
        }
        executable
            .map(Built::Executable)
            .ok_or_else(|| Error::failed(format!("cargo built the manager `{}`, but reported no executable", package.name)))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // Both do nothing if cargo has ended.
        let _ = self.cargo.kill();
        let _ = self.cargo.wait();
    }
}

fn cannot_run_cargo(error: std::io::Error) -> Error {
    Error::failed("cargo cannot be run to build the manager").caused_by(error)
}

fn exit_code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(101)
}

/// Whether a build script wrote this file for the manager in this folder. Also true without such a file, because the build script
/// then does not call `embed`.
fn was_generated_for(generated: &Path, folder: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(generated) else { return true };
    text.lines().next() == Some(embed::first_line(folder).as_str())
}

/// Removes from the command's environment what cargo has set for the package that it runs.
pub(super) fn remove_variables_per_package(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_set_per_package(&name.to_string_lossy())) {
        command.env_remove(name);
    }
}

/// Whether cargo sets this variable for each package, when it runs a binary or build script.
fn is_set_per_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|start| variable.starts_with(start))
        || matches!(variable, "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
}

fn cargo_flags(args: &Args) -> Vec<String> {
    let mut flags = args.cargo.for_build();
    flags.extend(args.quiet.then(|| "--quiet".to_owned()));
    flags.extend((args.verbose > 1).then(|| "--verbose".to_owned()));
    flags.extend(args.color.map(|color| format!("--color={}", Color::as_str(color))));
    flags
}

/// Returns the version in a package id: `registry+…#cargo-migrations@0.1.0` or `path+file:///…/cargo-migrations#0.1.0`.
fn version_of(id: &PackageId) -> Option<Version> {
    let fragment = id.repr.rsplit_once('#')?.1;
    fragment.rsplit_once('@').map_or(fragment, |(_, version)| version).parse().ok()
}

/// Whether two versions are compatible by cargo's rule: their leftmost number that is not zero is equal.
fn compatible(a: &Version, b: &Version) -> bool {
    match (a.major, a.minor) {
        (0, 0) => (b.major, b.minor, b.patch) == (0, 0, a.patch),
        (0, minor) => (b.major, b.minor) == (0, minor),
        (major, _) => b.major == major,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_off_package_ids() {
        for repr in ["path+file:///src/cargo-migrations#0.1.2", "registry+https://index#cargo-migrations@0.1.2"] {
            assert_eq!(version_of(&PackageId { repr: repr.into() }), Some(Version::new(0, 1, 2)), "{repr}");
        }
    }

    #[test]
    fn compatible_means_what_cargo_means() {
        let compatible = |a: &str, b: &str| compatible(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(compatible("0.1.0", "0.1.9") && compatible("1.2.3", "1.0.0"));
        assert!(!compatible("0.1.0", "0.2.0") && !compatible("1.0.0", "2.0.0") && !compatible("0.0.1", "0.0.2"));
    }
}
