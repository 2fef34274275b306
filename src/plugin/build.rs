//! One `cargo build` of a manager, with the user's cargo: what was built is told by its messages.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cargo_metadata::semver::Version;
use cargo_metadata::{Message, Package, PackageId};

use super::workspace;
use crate::embed;
use crate::error::Error;
use crate::line::flags::{Args, Color};
use crate::model::variables;

/// A build under way; ended when nobody waits for it.
pub(super) struct Building {
    cargo: Child,
    /// `None` once they were read.
    messages: Option<JoinHandle<Vec<Message>>>,
}

/// What came of a build.
pub(super) enum Built {
    Executable(PathBuf),
    /// Cargo has said what is wrong; its exit code.
    Failed(ExitCode),
    /// What cargo took for built is another workspace's; this is the folder of ours.
    AnotherWorkspaces {
        folder: PathBuf,
    },
}

impl Building {
    /// Begins to build the manager; `anew` is its folder, when cargo must not take what it has.
    pub(super) fn start(args: &Args, manifest: &Path, binary: &str, anew: Option<&Path>) -> Result<Self, Error> {
        let mut command = Command::new(workspace::cargo());
        // `cargo run` (an alias, say) tells us about our own package. To build scripts that look at these (ring's does) they
        // would be a change each time that a plain `cargo build` takes turns with us, and the driver would be compiled anew.
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_about_a_package(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command
            .args(["build", "--message-format", "json-render-diagnostics", "--bin", binary, "--manifest-path"])
            .arg(manifest)
            .args(cargo_flags(args))
            .stdout(Stdio::piped());
        if let Some(folder) = anew {
            command.env(variables::MANAGER_DIR, folder);
        }
        let mut cargo = command.spawn().map_err(unstartable)?;
        let stdout = cargo.stdout.take().expect("piped above");
        // Read at once: cargo waits when nobody does.
        let messages = std::thread::spawn(|| Message::parse_stream(BufReader::new(stdout)).map_while(Result::ok).collect());
        Ok(Self { cargo, messages: Some(messages) })
    }

    /// Whether it fails, and so tells why, where cargo has failed at reading the workspace.
    pub(super) fn fails_too(&mut self) -> bool {
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(1) {
            if let Ok(Some(status)) = self.cargo.try_wait() {
                return !status.success();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Waits for it.
    pub(super) fn finish(mut self, package: &Package, binary: &str) -> Result<Built, Error> {
        let messages = self.messages.take().and_then(|messages| messages.join().ok()).unwrap_or_default();
        let status = self.cargo.wait().map_err(unstartable)?;
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
                "the manager `{}` is built with cargo-migrations {theirs}, this is cargo-migrations {ours}; \
                 either `cargo install cargo-migrations --version {theirs}`, or depend on version {ours} in {}",
                package.name, package.manifest_path
            )));
        }
        let folder = PathBuf::from(package.manifest_path.parent().unwrap_or(&package.manifest_path));
        if generated.is_some_and(|file| !is_of(&file, &folder)) {
            return Ok(Built::AnotherWorkspaces { folder });
        }
        executable
            .map(Built::Executable)
            .ok_or_else(|| Error::failed(format!("cargo built the manager `{}` but named no executable", package.name)))
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // Neither does anything once it has ended.
        let _ = self.cargo.kill();
        let _ = self.cargo.wait();
    }
}

fn unstartable(error: std::io::Error) -> Error {
    Error::failed("cargo cannot be run to build the manager").caused_by(error)
}

fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(101))
}

/// Whether the build script wrote that file for the manager in that folder. One that does without `embed` wrote none.
fn is_of(generated: &Path, folder: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(generated) else { return true };
    text.lines().next() == Some(embed::first_line(folder).as_str())
}

/// Whether cargo sets the variable for the processes of a package that it runs.
fn is_about_a_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|start| variable.starts_with(start))
        || matches!(variable, "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
}

fn cargo_flags(args: &Args) -> Vec<&str> {
    let mut flags = Vec::new();
    let switches = [
        ("--release", args.release),
        ("--locked", args.locked),
        ("--offline", args.offline),
        ("--frozen", args.frozen),
        ("--quiet", args.quiet),
        ("--verbose", args.verbose > 1),
    ];
    flags.extend(switches.iter().filter(|(_, on)| *on).map(|(flag, _)| *flag));
    if let Some(profile) = &args.profile {
        flags.extend(["--profile", profile]);
    }
    if let Some(color) = args.color.map(Color::as_str) {
        flags.extend(["--color", color]);
    }
    flags
}

/// `registry+…#cargo-migrations@0.1.0`, `path+file:///…/cargo-migrations#0.1.0`
fn version_of(id: &PackageId) -> Option<Version> {
    let fragment = id.repr.rsplit_once('#')?.1;
    fragment.rsplit_once('@').map_or(fragment, |(_, version)| version).parse().ok()
}

/// As cargo sees it: the leftmost number that is not zero is the same.
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
