//! `init` sets a workspace up: a manager, a directory for migrations, and the workspace's member. Nothing is overwritten:
//! all of it is planned first, and a manifest that exists only gains lines.

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

/// The manager's package where the workspace has another `xtask`.
const OTHER_MANAGER: &str = "xtask-migrations";

pub(super) fn init(args: &Args) -> Result<(), Error> {
    let folder = match &args.manifest_path {
        Some(path) => path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned(),
        None => PathBuf::from("."),
    };
    let folder = folder
        .canonicalize()
        .map_err(|error| Error::usage(format!("there is no folder {}", folder.display())).caused_by(error))?;
    let plan = match root(&folder)? {
        Some(root) => extend(&root, args)?,
        None => create(&folder, args)?,
    };
    plan.carry_out()
}

/// What is to be written.
struct Plan {
    root: PathBuf,
    files: Vec<(PathBuf, String)>,
    /// The root manifest's new text, where one exists.
    manifest: Option<String>,
}

impl Plan {
    fn carry_out(self) -> Result<(), Error> {
        if self.files.is_empty() && self.manifest.is_none() {
            terminal::status("Finished", &format!("{} is set up already; nothing was changed", self.root.display()));
            return Ok(());
        }
        for (path, text) in &self.files {
            let full = self.root.join(path);
            if let Some(folder) = full.parent() {
                fs::create_dir_all(folder)
                    .map_err(|error| Error::usage(format!("{} cannot be made", folder.display())).caused_by(error))?;
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

/// The root of the workspace or lone package that the folder belongs to.
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
        return Err(Error::usage("cargo cannot read the manifest here; mend it first").caused_by(text));
    }
    Ok(Path::new(&text).parent().map(Path::to_owned))
}

/// A new project.
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

/// A workspace that exists, or a lone package that becomes one.
fn extend(root: &Path, args: &Args) -> Result<Plan, Error> {
    let path = root.join("Cargo.toml");
    let before = fs::read_to_string(&path)
        .map_err(|error| Error::usage(format!("{} cannot be read", path.display())).caused_by(error))?;
    let mut manifest: DocumentMut = before.parse().map_err(|error: toml_edit::TomlError| {
        Error::usage(format!("{} is no TOML; mend it first", path.display())).caused_by(error)
    })?;
    let directory = setting(&manifest, "directory").unwrap_or(DIRECTORY).to_owned();
    let named = setting(&manifest, "manager").map(str::to_owned);
    let mut manager = named.clone().unwrap_or_else(|| MANAGER.into());
    // What cargo knows of the members; nothing, where it cannot read the workspace.
    let workspace = Workspace::find(args).ok();
    let mut found = find_manager(root, workspace.as_ref(), &manager);
    // A team's own xtask is left alone.
    if matches!(found, Found::Other) && named.is_none() {
        OTHER_MANAGER.clone_into(&mut manager);
        found = find_manager(root, workspace.as_ref(), &manager);
    }
    let mut files = match found {
        Found::Member | Found::Folder => Vec::new(),
        Found::Nothing => manager_files(root, &manager, &directory, args)?,
        Found::Other => {
            return Err(Error::usage(format!(
                "{manager} exists and is no migrations manager; name another package as \
                 [workspace.metadata.migrations] manager = \"…\", and run init again"
            )));
        }
    };
    files.extend(directory_file(root, &directory));
    refuse_existing(root, &files)?;
    if !matches!(found, Found::Member) {
        add_member(&mut manifest, &manager, &path)?;
    }
    if named.is_none() && manager != MANAGER {
        name_manager(&mut manifest, &manager, &path)?;
    }
    let after = manifest.to_string();
    Ok(Plan { root: root.to_owned(), files, manifest: (after != before).then_some(after) })
}

/// What there is of that name.
enum Found {
    Nothing,
    /// A manager that is a member of the workspace already, wherever it lies.
    Member,
    /// A manager's folder that is no member.
    Folder,
    /// A package or folder that is no manager.
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

fn manager_files(root: &Path, name: &str, directory: &str, args: &Args) -> Result<Vec<(PathBuf, String)>, Error> {
    let folder = Path::new(name);
    let dependency = match &args.path {
        None => format!("version = \"{}\"", env!("CARGO_PKG_VERSION")),
        Some(path) => format!("path = {}", Value::from(checkout(path, &root.join(name))?)),
    };
    let srv = std::env::var(variables::MONGO_URI).is_ok_and(|uri| uri.starts_with("mongodb+srv://"));
    Ok(vec![
        (folder.join("Cargo.toml"), templates::manager_manifest(name, &dependency, srv)),
        (folder.join("build.rs"), templates::build_script(&format!("../{directory}"))),
        (folder.join("src").join("main.rs"), templates::manager(&database_name(root))),
    ])
}

/// The way from the manager to a checkout of this crate.
fn checkout(path: &Path, manager: &Path) -> Result<String, Error> {
    let manifest = path.join("Cargo.toml");
    let is_ours = manifest::read(&manifest).is_some_and(|manifest| {
        manifest.get("package").and_then(|package| package.get("name")).and_then(Item::as_str) == Some("cargo-migrations")
    });
    let full = path.canonicalize().ok().filter(|_| is_ours).ok_or_else(|| {
        Error::usage(format!(
            "{} is no checkout of cargo-migrations; give `--path` the folder that holds its Cargo.toml",
            path.display()
        ))
    })?;
    let relative = pathdiff::diff_paths(&full, manager).unwrap_or(full);
    Ok(relative.to_string_lossy().replace('\\', "/"))
}

/// A file that makes git keep the directory while it is empty.
fn directory_file(root: &Path, directory: &str) -> Option<(PathBuf, String)> {
    (!root.join(directory).exists()).then(|| (Path::new(directory).join(".gitkeep"), String::new()))
}

fn refuse_existing(root: &Path, files: &[(PathBuf, String)]) -> Result<(), Error> {
    match files.iter().find(|(path, _)| root.join(path).exists()) {
        Some((path, _)) => Err(Error::usage(format!(
            "{} exists already, and init overwrites nothing; move it away, and run init again",
            root.join(path).display()
        ))),
        None => Ok(()),
    }
}

/// The folder's name, with what a database's name may have.
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
    fn the_folder_names_the_database() {
        assert_eq!(database_name(Path::new("/src/My Blog.app")), "my_blog_app");
        assert_eq!(database_name(Path::new("/")), "app");
    }
}
