//! The user's workspace and the manager in it, as `cargo metadata` describes them.

use std::ffi::OsString;
use std::path::PathBuf;

use cargo_metadata::{Dependency, DependencyKind, Metadata, MetadataCommand, Package, TargetKind};

use crate::error::Error;
use crate::line::flags::Args;
use crate::line::words::listed;
use crate::model::variables;

/// The directory of the migrations, unless `[workspace.metadata.migrations] directory` names another.
pub(super) const DIRECTORY: &str = "mongomigrations";

/// The manager's package, unless `[workspace.metadata.migrations] manager` names another.
pub(super) const MANAGER: &str = "xtask";

/// The name of this crate.
const OURS: &str = "cargo-migrations";

/// Returns the cargo to call: the one that runs the plugin, or else the one on PATH.
pub(super) fn cargo() -> OsString {
    std::env::var_os(variables::CARGO).unwrap_or_else(|| "cargo".into())
}

/// A workspace, as cargo describes it.
pub(super) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Finds the workspace of the current folder, or that of `--manifest-path`.
    pub(super) fn find(args: &Args) -> Result<Self, Error> {
        let mut command = MetadataCommand::new();
        // Without dependencies cargo resolves nothing, and takes only milliseconds.
        command.cargo_path(cargo()).no_deps();
        if let Some(path) = &args.cargo.manifest_path {
            command.manifest_path(path);
        }
        command.other_options(args.cargo.for_metadata());
        let metadata = command.exec().map_err(|error| match error {
            cargo_metadata::Error::CargoMetadata { stderr } if stderr.contains("could not find `Cargo.toml`") => {
                Error::usage("there is no Cargo.toml in this folder or above it")
                    .with_hint("go to your workspace, or set one up here with `cargo migrations init`")
            }
            cargo_metadata::Error::CargoMetadata { stderr } => {
                let text = stderr.trim();
                Error::usage("cargo cannot read the workspace")
                    .with_hint("fix the manifest first")
                    .caused_by(text.strip_prefix("error: ").unwrap_or(text).to_owned())
            }
            error => Error::usage("cargo cannot be run").caused_by(error),
        })?;
        Ok(Self { metadata })
    }

    /// Returns the workspace's root folder.
    pub(super) fn root(&self) -> PathBuf {
        self.metadata.workspace_root.clone().into()
    }

    /// Returns the directory in which cargo builds the workspace.
    pub(super) fn target_directory(&self) -> PathBuf {
        self.metadata.target_directory.clone().into()
    }

    /// Returns the directory of the migrations.
    pub(super) fn directory(&self) -> Result<PathBuf, Error> {
        Ok(self.root().join(self.setting("directory")?.unwrap_or(DIRECTORY)))
    }

    /// Returns the pattern of the migration files' names, if the workspace sets one. Only `new` uses it: the manager has the one
    /// in its build script.
    pub(super) fn pattern(&self) -> Result<Option<&str>, Error> {
        self.setting("pattern")
    }

    /// Returns a setting of `[workspace.metadata.migrations]`.
    fn setting(&self, key: &str) -> Result<Option<&str>, Error> {
        match self.metadata.workspace_metadata.get("migrations").and_then(|settings| settings.get(key)) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| {
                Error::usage(format!("`{key}` of [workspace.metadata.migrations] in Cargo.toml is not a string"))
                    .with_hint(format!("write `{key} = \"…\"`"))
            }),
        }
    }

    /// Returns the manifest of the package of this name and whether it is a migrations manager, or `None` where there is no such
    /// package.
    pub(super) fn manifest_of(&self, name: &str) -> Option<(PathBuf, bool)> {
        let packages = self.metadata.workspace_packages();
        let package = packages.iter().find(|package| package.name.as_str() == name)?;
        Some((package.manifest_path.clone().into(), depends_on_us(package)))
    }

    /// Returns the name that this crate has in the manager's code, which may depend on it under another one.
    pub(super) fn our_name(&self) -> String {
        let manager = self.setting("manager").ok().flatten().unwrap_or(MANAGER);
        let packages = self.metadata.workspace_packages();
        let package = packages.iter().find(|package| package.name.as_str() == manager);
        let dependency = package.and_then(|package| package.dependencies.iter().find(|dependency| is_us(dependency)));
        let name = dependency.map_or(OURS, |dependency| dependency.rename.as_deref().unwrap_or(OURS));
        name.replace('-', "_")
    }

    /// Returns the manager's package and the name of its binary.
    pub(super) fn manager(&self) -> Result<(&Package, &str), Error> {
        const HINT: &str =
            "run `cargo migrations init` to make one, or name yours: [workspace.metadata.migrations] manager = \"…\"";
        let name = self.setting("manager")?.unwrap_or(MANAGER);
        let packages = self.metadata.workspace_packages();
        let package = packages.iter().find(|package| package.name.as_str() == name).copied().ok_or_else(|| {
            Error::usage(format!(
                "the workspace {} has no package `{name}`, which would be its migrations manager",
                self.metadata.workspace_root
            ))
            .with_hint(HINT)
        })?;
        if !depends_on_us(package) {
            return Err(Error::usage(format!(
                "the package `{name}` is not a migrations manager, because it does not depend on cargo-migrations"
            ))
            .with_hint(HINT));
        }
        let binaries: Vec<&str> = package
            .targets
            .iter()
            .filter(|target| target.kind.contains(&TargetKind::Bin))
            .map(|target| target.name.as_str())
            .collect();
        let default = package.default_run.as_deref().or_else(|| binaries.iter().copied().find(|binary| *binary == name));
        match (&binaries[..], default) {
            ([binary], _) => Ok((package, binary)),
            (_, Some(binary)) => Ok((package, binary)),
            ([], None) => {
                Err(Error::usage(format!("the manager's package `{name}` has no binary")).with_hint("write its src/main.rs"))
            }
            (_, None) => Err(Error::usage(format!(
                "the manager's package `{name}` has several binaries: {}",
                listed(binaries.iter().copied())
            ))
            .with_hint("set `default-run` in its Cargo.toml")),
        }
    }
}

/// Whether the package's programs depend on this crate. A build script or tests that do make no manager.
fn depends_on_us(package: &Package) -> bool {
    package.dependencies.iter().any(is_us)
}

/// Whether a dependency is this crate, also under another name, and of programs.
fn is_us(dependency: &Dependency) -> bool {
    dependency.name == OURS && dependency.kind == DependencyKind::Normal
}
