//! `init` sets up a workspace: a manager, a directory for migrations, and the entry in the workspace's members.
//!
//! No file is overwritten: everything is planned before the first write, and lines are only added to an existing manifest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use toml_edit::{DocumentMut, Item, Value};

use super::manifest::{self, add_member, name_manager, setting};
use super::new::write_new;
use super::templates;
use super::workspace::{DIRECTORY, MANAGER, Workspace, cargo};
use crate::error::Error;
use crate::line::flags::Args;
use crate::model::variables;
use crate::terminal;

/// The name of the manager's package where the workspace has an `xtask` that is not a manager.
const OTHER_MANAGER: &str = "xtask-migrations";

/// Sets up the workspace of the current folder, or that of `--manifest-path`. Where there is none, a new one is made.
pub(super) fn init(args: &Args) -> Result<(), Error> {
    let folder = match &args.cargo.manifest_path {
        Some(path) => path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned(),
        None => PathBuf::from("."),
    };
    let folder = folder
        .canonicalize()
        .map_err(|error| Error::usage(format!("the folder {} does not exist", folder.display())).caused_by(error))?;
    let plan = match root(&folder)? {
        Some(root) => extend(&root, args)?,
        None => create(&folder, args)?,
    };
    plan.carry_out()
}

/// What `init` will write.
struct Plan {
    root: PathBuf,
    /// New files: their paths, relative to the root, and their texts.
    files: Vec<(PathBuf, String)>,
    /// The new text of the root manifest, if there is one and it changes.
    manifest: Option<String>,
}

impl Plan {
    fn carry_out(self) -> Result<(), Error> {
        if self.files.is_empty() && self.manifest.is_none() {
            terminal::status("Finished", &format!("{} is already set up, so nothing was changed", self.root.display()));
            return Ok(());
        }
        for (path, text) in &self.files {
            let full = self.root.join(path);
            if let Some(folder) = full.parent() {
                fs::create_dir_all(folder).map_err(|error| {
                    Error::usage(format!("the folder {} cannot be created", folder.display())).caused_by(error)
                })?;
            }
            write_new(&full, text)?;
            terminal::status("Created", &path.display().to_string());
        }
        if let Some(text) = self.manifest {
            let path = self.root.join("Cargo.toml");
            fs::write(&path, text)
                .map_err(|error| Error::usage(format!("{} cannot be written", path.display())).caused_by(error))?;
            terminal::status("Changed", "Cargo.toml");
        }
        terminal::status(
            "Finished",
            "`cargo migrations new:NAME` writes a migration, `cargo migrations execute` runs what is new",
        );
        Ok(())
    }
}

/// Returns the root of the workspace or single package that the folder belongs to.
fn root(folder: &Path) -> Result<Option<PathBuf>, Error> {
    if !folder.ancestors().any(|folder| folder.join("Cargo.toml").is_file()) {
        return Ok(None);
    }
    let output = Command::new(cargo())
        .args(["locate-project", "--workspace", "--message-format", "plain"])
        .current_dir(folder)
        .output()
        .map_err(|error| Error::failed("cargo cannot be run").caused_by(error))?;
    let text =
        String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr }).trim().to_owned();
    if !output.status.success() {
        let text = text.strip_prefix("error: ").unwrap_or(&text).to_owned();
        return Err(Error::usage("cargo cannot read the manifest").with_hint("fix the manifest first").caused_by(text));
    }
    Ok(Path::new(&text).parent().map(Path::to_owned))
}

/// Plans a new workspace.
fn create(folder: &Path, args: &Args) -> Result<Plan, Error> {
    let mut files = vec![(PathBuf::from("Cargo.toml"), templates::workspace(MANAGER))];
    if !folder.join(".gitignore").exists() {
        files.push((".gitignore".into(), "/target\n/mongodumps\n".into()));
    }
    files.extend(manager_files(folder, MANAGER, DIRECTORY, args)?);
    files.extend(directory_file(folder, DIRECTORY));
    refuse_existing(folder, &files)?;
    Ok(Plan { root: folder.to_owned(), files, manifest: None })
}

/// Plans additions to an existing workspace, or to a single package, which becomes the root of one.
fn extend(root: &Path, args: &Args) -> Result<Plan, Error> {
    let path = root.join("Cargo.toml");
    let before = fs::read_to_string(&path)
        .map_err(|error| Error::usage(format!("{} cannot be read", path.display())).caused_by(error))?;
    let mut manifest: DocumentMut = before.parse().map_err(|error: toml_edit::TomlError| {
        Error::usage(format!("{} is not valid TOML", path.display())).with_hint("fix the manifest first").caused_by(error)
    })?;
    let directory = setting(&manifest, "directory").unwrap_or(DIRECTORY).to_owned();
    let configured = setting(&manifest, "manager").map(str::to_owned);
    let mut manager = configured.clone().unwrap_or_else(|| MANAGER.into());
    // `None` where cargo cannot read the workspace. The folders are then looked at instead.
    let workspace = Workspace::find(args).ok();
    let mut found = find_manager(root, workspace.as_ref(), &manager);
    // An `xtask` that the team has for other purposes is left alone.
    if matches!(found, Found::Other) && configured.is_none() {
        OTHER_MANAGER.clone_into(&mut manager);
        found = find_manager(root, workspace.as_ref(), &manager);
    }
    let mut files = match found {
        Found::Member | Found::Folder => Vec::new(),
        Found::Nothing => manager_files(root, &manager, &directory, args)?,
        Found::Other => {
            return Err(Error::usage(format!("{manager} exists, but is not a migrations manager"))
                .with_hint("set `manager` in [workspace.metadata.migrations] to another package name, and run init again"));
        }
    };
    files.extend(directory_file(root, &directory));
    refuse_existing(root, &files)?;
    if !matches!(found, Found::Member) {
        add_member(&mut manifest, &manager, &path)?;
    }
    if configured.is_none() && manager != MANAGER {
        name_manager(&mut manifest, &manager, &path)?;
    }
    let after = manifest.to_string();
    Ok(Plan { root: root.to_owned(), files, manifest: (after != before).then_some(after) })
}

/// What already exists under the manager's name.
enum Found {
    Nothing,
    /// A manager that is already a member of the workspace, in whichever folder.
    Member,
    /// The folder of a manager that is not yet a member of the workspace.
    Folder,
    /// A package or folder that is not a manager.
    Other,
}

fn find_manager(root: &Path, workspace: Option<&Workspace>, manager: &str) -> Found {
    match workspace.and_then(|workspace| workspace.is_manager(manager)) {
        Some(true) => return Found::Member,
        Some(false) => return Found::Other,
        None => {}
    }
    let folder = root.join(manager);
    let path = folder.join("Cargo.toml");
    if !path.exists() {
        return if folder.exists() { Found::Other } else { Found::Nothing };
    }
    if manifest::read(&path).is_some_and(|manifest| manifest::depends_on_us(&manifest)) {
        Found::Folder
    } else {
        Found::Other
    }
}

/// Returns the paths and texts of the manager's files.
fn manager_files(root: &Path, name: &str, directory: &str, args: &Args) -> Result<Vec<(PathBuf, String)>, Error> {
    let folder = Path::new(name);
    let dependency = match &args.path {
        None => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
        Some(path) => format!("path = {}", Value::from(path_to_checkout(path, &root.join(name))?)),
    };
    let srv = std::env::var(variables::MONGO_URI).is_ok_and(|uri| uri.starts_with("mongodb+srv://"));
    Ok(vec![
        (folder.join("Cargo.toml"), templates::manager_manifest(name, &dependency, srv)),
        (folder.join("build.rs"), templates::build_script(&format!("../{directory}"))),
        (folder.join("src").join("main.rs"), templates::manager(&database_name(root))),
    ])
}

/// Returns the relative path from the manager's folder to a checkout of this crate.
fn path_to_checkout(path: &Path, manager: &Path) -> Result<String, Error> {
    let manifest = path.join("Cargo.toml");
    let is_ours = manifest::read(&manifest).is_some_and(|manifest| {
        manifest.get("package").and_then(|package| package.get("name")).and_then(Item::as_str) == Some("cargo-migrations")
    });
    let full = path.canonicalize().ok().filter(|_| is_ours).ok_or_else(|| {
        Error::usage(format!("{} is not a checkout of cargo-migrations", path.display()))
            .with_hint("pass the folder that contains its Cargo.toml as `--path`")
    })?;
    let relative = pathdiff::diff_paths(&full, manager).unwrap_or(full);
    Ok(relative.to_string_lossy().replace('\\', "/"))
}

/// Returns a file that lets git keep the empty directory, unless the directory exists.
fn directory_file(root: &Path, directory: &str) -> Option<(PathBuf, String)> {
    (!root.join(directory).exists()).then(|| (Path::new(directory).join(".gitkeep"), String::new()))
}

/// Returns an error if one of the files exists.
fn refuse_existing(root: &Path, files: &[(PathBuf, String)]) -> Result<(), Error> {
    match files.iter().find(|(path, _)| root.join(path).exists()) {
        Some((path, _)) => {
            Err(Error::usage(format!("{} already exists, and init does not overwrite files", root.join(path).display()))
                .with_hint("move it away, and run init again"))
        }
        None => Ok(()),
    }
}

/// Makes a database name from the folder's name: characters that are not allowed in one become `_`.
fn database_name(root: &Path) -> String {
    let name: String = root
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' })
        .take(38)
        .collect();
    if name.is_empty() { "app".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_named_after_the_folder() {
        assert_eq!(database_name(Path::new("/src/My Blog.app")), "my_blog_app");
        assert_eq!(database_name(Path::new("/")), "app");
    }
}
