//! The user's workspace, and the manager in it, from one call of `cargo metadata`.

use std::ffi::OsString;
use std::path::PathBuf;

use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};

use crate::error::Error;
use crate::line::flags::Args;
use crate::line::listed;
use crate::model::variables;

/// Where migrations live, unless `[workspace.metadata.migrations] directory` says otherwise.
pub(super) const DIRECTORY: &str = "mongomigrations";

/// The manager's package, unless `[workspace.metadata.migrations] manager` says otherwise.
pub(super) const MANAGER: &str = "xtask";

/// The user's cargo.
pub(super) fn cargo() -> OsString {
    std::env::var_os(variables::CARGO).unwrap_or_else(|| "cargo".into())
}

/// A workspace.
pub(super) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// The workspace that the current folder, or `--manifest-path`, belongs to.
    pub(super) fn find(args: &Args) -> Result<Self, Error> {
        let mut command = MetadataCommand::new();
        // Without dependencies nothing is resolved, and it takes milliseconds.
        command.cargo_path(cargo()).no_deps();
        if let Some(path) = &args.manifest_path {
            command.manifest_path(path);
        }
        let flags = [("--locked", args.locked), ("--offline", args.offline), ("--frozen", args.frozen)];
        command.other_options(flags.iter().filter(|(_, on)| *on).map(|(flag, _)| (*flag).to_owned()).collect::<Vec<_>>());
        let metadata = command.exec().map_err(|error| match error {
            cargo_metadata::Error::CargoMetadata { stderr } if stderr.contains("could not find `Cargo.toml`") => Error::usage(
                "there is no Cargo.toml in this folder or above; go to your workspace, or set one up here with `cargo migrations init`",
            ),
            cargo_metadata::Error::CargoMetadata { stderr } => {
                let text = stderr.trim();
                Error::usage("cargo cannot read the workspace; mend its manifest first")
                    .caused_by(text.strip_prefix("error: ").unwrap_or(text).to_owned())
            }
            error => Error::usage("cargo cannot be run").caused_by(error),
        })?;
        Ok(Self { metadata })
    }

    pub(super) fn root(&self) -> PathBuf {
        self.metadata.workspace_root.clone().into()
    }

    pub(super) fn target_directory(&self) -> PathBuf {
        self.metadata.target_directory.clone().into()
    }

    /// The migrations' directory.
    pub(super) fn directory(&self) -> Result<PathBuf, Error> {
        Ok(self.root().join(self.setting("directory")?.unwrap_or(DIRECTORY)))
    }

    fn setting(&self, key: &str) -> Result<Option<&str>, Error> {
        match self.metadata.workspace_metadata.get("migrations").and_then(|settings| settings.get(key)) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| {
                Error::usage(format!(
                    "`{key}` of [workspace.metadata.migrations] in Cargo.toml is no string; write `{key} = \"…\"`"
                ))
            }),
        }
    }

    /// Whether a package of that name is a migrations manager; `None` where there is no such package.
    pub(super) fn is_manager(&self, name: &str) -> Option<bool> {
        let packages = self.metadata.workspace_packages();
        packages.iter().find(|package| package.name.as_str() == name).map(|package| depends_on_us(package))
    }

    /// The manager's package and binary.
    pub(super) fn manager(&self) -> Result<(&Package, &str), Error> {
        let name = self.setting("manager")?.unwrap_or(MANAGER);
        let packages = self.metadata.workspace_packages();
        let package = packages.iter().find(|package| package.name.as_str() == name).copied().ok_or_else(|| {
            Error::usage(format!(
                "the workspace {} has no package `{name}` for its migrations manager; `cargo migrations init` makes one, \
                 or name yours: [workspace.metadata.migrations] manager = \"…\"",
                self.metadata.workspace_root
            ))
        })?;
        if !depends_on_us(package) {
            return Err(Error::usage(format!(
                "the package `{name}` is no migrations manager: it does not depend on cargo-migrations; \
                 `cargo migrations init` makes one, or name yours: [workspace.metadata.migrations] manager = \"…\""
            )));
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
            ([], None) => Err(Error::usage(format!("the manager's package `{name}` has no binary; write its src/main.rs"))),
            (_, None) => Err(Error::usage(format!(
                "the manager's package `{name}` has several binaries ({}); set `default-run` in its Cargo.toml",
                listed(binaries.iter().copied())
            ))),
        }
    }
}

fn depends_on_us(package: &Package) -> bool {
    package.dependencies.iter().any(|dependency| dependency.name == "cargo-migrations")
}
