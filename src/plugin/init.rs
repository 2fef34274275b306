//! `init` sets up a workspace: a manager, a directory for migrations, and the entry in the workspace's members.
//!
//! No file is overwritten: everything is planned and checked before the first write. Lines are only added to an existing manifest,
//! except that `--path` changes where a manager's dependency on this crate comes from.

use std::fs;
use std::io::ErrorKind;
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
    let checkout = args.path.as_deref().map(checkout).transpose()?;
    let folder = folder.canonicalize().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::usage(format!("the folder {} does not exist", folder.display())),
        _ => Error::usage(format!("the folder {} cannot be opened", folder.display())).caused_by(error),
    })?;
    if !folder.is_dir() {
        return Err(Error::usage(format!("{} is not a folder", folder.display())));
    }
    let plan = match root(&folder)? {
        Some(root) => extend(&root, args, checkout.as_deref())?,
        None => create(&folder, checkout.as_deref())?,
    };
    plan.check()?;
    plan.carry_out()
}

/// What `init` will write.
struct Plan {
    root: PathBuf,
    /// New files: their paths, relative to the root, and their texts.
    files: Vec<(PathBuf, String)>,
    /// The paths and new texts of the manifests that exist and change.
    manifests: Vec<(PathBuf, String)>,
}

impl Plan {
    /// Returns an error if a file cannot be written, so that `init` does not stop halfway.
    fn check(&self) -> Result<(), Error> {
        let again = "move it away, and run init again";
        for full in self.files.iter().map(|(path, _)| self.root.join(path)) {
            // Not `exists`, which says no of a link to a file that does not exist.
            if full.symlink_metadata().is_ok() {
                return Err(Error::usage(format!("{} already exists, and init does not overwrite files", full.display()))
                    .with_hint(again));
            }
            let above = full.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok());
            if let Some(above) = above.filter(|above| !above.is_dir()) {
                return Err(
                    Error::usage(format!("{} is not a folder, but init needs one there", above.display())).with_hint(again)
                );
            }
        }
        for (path, _) in &self.manifests {
            fs::File::options().write(true).open(path).map_err(|error| cannot_be_written(path, error))?;
        }
        Ok(())
    }

    fn carry_out(self) -> Result<(), Error> {
        if self.files.is_empty() && self.manifests.is_empty() {
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
        for (path, text) in &self.manifests {
            fs::write(path, text).map_err(|error| cannot_be_written(path, error))?;
            terminal::status("Changed", &path.strip_prefix(&self.root).unwrap_or(path).display().to_string());
        }
        terminal::status(
            "Finished",
            "`cargo migrations new:NAME` writes a migration, `cargo migrations execute` runs what is new",
        );
        Ok(())
    }
}

fn cannot_be_written(path: &Path, error: std::io::Error) -> Error {
    Error::usage(format!("{} cannot be written", path.display())).caused_by(error)
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
fn create(folder: &Path, checkout: Option<&Path>) -> Result<Plan, Error> {
    let mut files = vec![(PathBuf::from("Cargo.toml"), templates::workspace(MANAGER))];
    if folder.join(".gitignore").symlink_metadata().is_err() {
        files.push((".gitignore".into(), "/target\n/mongodumps\n".into()));
    }
    files.extend(manager_files(folder, MANAGER, DIRECTORY, checkout));
    files.extend(directory_file(folder, DIRECTORY));
    Ok(Plan { root: folder.to_owned(), files, manifests: Vec::new() })
}

/// Plans additions to an existing workspace, or to a single package, which becomes the root of one.
fn extend(root: &Path, args: &Args, checkout: Option<&Path>) -> Result<Plan, Error> {
    let path = root.join("Cargo.toml");
    let (before, mut manifest) = manifest::open(&path)?;
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
        Found::Member(_) | Found::Folder(_) => Vec::new(),
        Found::Nothing => manager_files(root, &manager, &directory, checkout),
        Found::Other => {
            return Err(Error::usage(format!("{manager} exists, but is not a migrations manager"))
                .with_hint("set `manager` in [workspace.metadata.migrations] to another package name, and run init again"));
        }
    };
    files.extend(directory_file(root, &directory));
    let mut manifests = Vec::new();
    if let (Some(checkout), Found::Member(of_manager) | Found::Folder(of_manager)) = (checkout, &found) {
        let is_inherited = if *of_manager == path {
            depend_on(checkout, &mut manifest, manifest::OF_PACKAGE, of_manager)
        } else {
            let (before, mut manifest) = manifest::open(of_manager)?;
            let is_inherited = depend_on(checkout, &mut manifest, manifest::OF_PACKAGE, of_manager);
            manifests.extend(changed(of_manager, &before, &manifest));
            is_inherited
        };
        if is_inherited {
            depend_on(checkout, &mut manifest, manifest::OF_WORKSPACE, &path);
        }
    }
    if !matches!(found, Found::Member(_)) {
        add_member(&mut manifest, &manager, &path)?;
    }
    if configured.is_none() && manager != MANAGER {
        name_manager(&mut manifest, &manager, &path)?;
    }
    manifests.extend(changed(&path, &before, &manifest));
    Ok(Plan { root: root.to_owned(), files, manifests })
}

/// Returns the manifest's path and new text, if the text has changed.
fn changed(path: &Path, before: &str, manifest: &DocumentMut) -> Option<(PathBuf, String)> {
    let after = manifest.to_string();
    (after != before).then(|| (path.to_owned(), after))
}

/// Lets an existing manager depend on the checkout. Without this, `init` could not help a manager that it has written without
/// `--path`, if the version it names is on no registry. Returns whether it inherits the dependency from the workspace.
fn depend_on(checkout: &Path, manifest: &mut DocumentMut, sections: &[&[&str]], path: &Path) -> bool {
    // The real path, in which cargo is usually started. `--manifest-path` may have a link in it.
    let folder = path.parent().unwrap_or(path);
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let is_checkout = |path: &str| folder.join(path).canonicalize().is_ok_and(|path| path == checkout);
    manifest::depend_on_path(manifest, sections, &relative(checkout, &folder), is_checkout)
}

/// What already exists under the manager's name.
enum Found {
    Nothing,
    /// A manager that is already a member of the workspace, in whichever folder. This is its manifest.
    Member(PathBuf),
    /// A manager that is not yet a member of the workspace. This is its manifest.
    Folder(PathBuf),
    /// A package or folder that is not a manager.
    Other,
}

fn find_manager(root: &Path, workspace: Option<&Workspace>, manager: &str) -> Found {
    match workspace.and_then(|workspace| workspace.manifest_of(manager)) {
        Some((manifest, true)) => return Found::Member(manifest),
        Some((_, false)) => return Found::Other,
        None => {}
    }
    let folder = root.join(manager);
    let path = folder.join("Cargo.toml");
    if !path.exists() {
        return if folder.symlink_metadata().is_ok() { Found::Other } else { Found::Nothing };
    }
    if manifest::read(&path).is_some_and(|manifest| manifest::depends_on_us(&manifest)) {
        Found::Folder(path)
    } else {
        Found::Other
    }
}

/// Returns the paths and texts of the manager's files.
fn manager_files(root: &Path, name: &str, directory: &str, checkout: Option<&Path>) -> Vec<(PathBuf, String)> {
    let folder = Path::new(name);
    let dependency = match checkout {
        None => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
        Some(checkout) => format!("path = {}", Value::from(relative(checkout, &root.join(name)))),
    };
    let srv = std::env::var(variables::MONGO_URI).is_ok_and(|uri| uri.starts_with("mongodb+srv://"));
    vec![
        (folder.join("Cargo.toml"), templates::manager_manifest(name, &dependency, srv)),
        (folder.join("build.rs"), templates::build_script(&format!("../{directory}"))),
        (folder.join("src").join("main.rs"), templates::manager(&database_name(root), directory)),
    ]
}

/// Returns the real path of a checkout of this crate.
fn checkout(path: &Path) -> Result<PathBuf, Error> {
    let refused = || {
        Error::usage(format!("{} is not a checkout of cargo-migrations", path.display()))
            .with_hint("pass the folder that contains its Cargo.toml as `--path`")
    };
    // If this fails the folder cannot be used, and the reason says why.
    let full = path.canonicalize().map_err(|error| refused().caused_by(error))?;
    let text = fs::read_to_string(full.join("Cargo.toml")).map_err(|error| refused().caused_by(error))?;
    let manifest: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| refused().caused_by(error))?;
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Item::as_str);
    if name == Some("cargo-migrations") { Ok(full) } else { Err(refused()) }
}

/// Returns the path from the manager's folder to the checkout, as a manifest has it.
fn relative(checkout: &Path, manager: &Path) -> String {
    let relative = pathdiff::diff_paths(checkout, manager).unwrap_or_else(|| checkout.to_owned());
    relative.to_string_lossy().replace('\\', "/")
}

/// Returns a file that lets git keep the empty directory, unless the directory exists. Where a file has its name, [`Plan::check`]
/// refuses.
fn directory_file(root: &Path, directory: &str) -> Option<(PathBuf, String)> {
    (!root.join(directory).is_dir()).then(|| (Path::new(directory).join(".gitkeep"), String::new()))
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

    #[test]
    fn what_cannot_be_written_is_found_before_anything_is() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        fs::write(root.join("file"), "").unwrap();
        fs::create_dir(root.join("folder")).unwrap();
        let check = |path: &str| {
            let files = vec![("new/a".into(), String::new()), (path.into(), String::new())];
            Plan { root: root.clone(), files, manifests: Vec::new() }.check().map_err(|error| error.to_string())
        };
        assert_eq!((check("b"), check("folder/b/c"), check("none/b/c")), (Ok(()), Ok(()), Ok(())));
        assert!(check("file").unwrap_err().ends_with("file already exists, and init does not overwrite files"));
        assert!(check("file/b/c").unwrap_err().ends_with("file is not a folder, but init needs one there"));
        let gone = Plan { root: root.clone(), files: Vec::new(), manifests: vec![(root.join("gone.toml"), String::new())] };
        assert!(gone.check().is_err());
    }
}
