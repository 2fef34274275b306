//! Guesses the manager from the manifests, so that its build can start while `cargo metadata` still runs.
//!
//! A guess is made only where the manifests are unambiguous, and it is used only if cargo then names the same manager.
//! With everything built, `cargo migrations check` takes 109 ms with it and 128 ms without (docs/performance.md).

use std::path::{Path, PathBuf};

use toml_edit::Item;

use super::manifest;
use super::workspace::MANAGER;
use crate::line::flags::Args;

/// The manager that cargo will probably name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) manifest: PathBuf,
    pub(super) binary: String,
}

impl Guess {
    /// Guesses the manager of the current folder's workspace. It must be in a folder of its own name or in `xtask`, and have
    /// exactly one binary.
    pub(super) fn here(args: &Args) -> Option<Self> {
        if args.cargo.manifest_path.is_some() {
            return None;
        }
        Self::at(&std::env::current_dir().ok()?)
    }

    fn at(folder: &Path) -> Option<Self> {
        let (root, workspace) = manifest::workspace_root(folder)?;
        let workspace = workspace.get("workspace")?;
        let settings = workspace.get("metadata").and_then(|metadata| metadata.get("migrations"));
        let name = match settings.and_then(|settings| settings.get("manager")) {
            Some(name) => name.as_str()?,
            None => MANAGER,
        };
        let patterns = workspace.get("members")?.as_array()?;
        if workspace.get("exclude").is_some() {
            return None;
        }
        let mut folders = [name, MANAGER].into_iter().filter(|folder| manifest::has_member(patterns, folder));
        folders.find_map(|folder| Self::of_package(&root.join(folder), name))
    }

    /// Returns the package in this folder, if it has this name and is a manager with exactly one binary.
    fn of_package(folder: &Path, name: &str) -> Option<Self> {
        let path = folder.join("Cargo.toml");
        let manifest = manifest::read(&path)?;
        let package = manifest.get("package")?;
        let has_the_name = package.get("name").and_then(Item::as_str) == Some(name);
        let has_one_binary = !manifest.contains_key("bin")
            && package.get("autobins").is_none()
            && !folder.join("src/bin").exists()
            && folder.join("src/main.rs").is_file();
        let is_manager = has_the_name && manifest::depends_on_us(&manifest) && has_one_binary;
        is_manager.then(|| Self { manifest: path, binary: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ROOT: &str = "[workspace]\nmembers = [\"xtask\"]\n";
    const MANIFEST: &str = "[package]\nname = \"xtask\"\n\n[dependencies]\ncargo-migrations = \"0.1\"\n";

    fn guess(root: &str, manifest: &str, files: &[&str]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("xtask/src/bin")).unwrap();
        fs::create_dir_all(folder.path().join("mongomigrations")).unwrap();
        fs::write(folder.path().join("Cargo.toml"), root).unwrap();
        fs::write(folder.path().join("xtask/Cargo.toml"), manifest).unwrap();
        if !files.iter().any(|file| file.starts_with("src/bin")) {
            fs::remove_dir(folder.path().join("xtask/src/bin")).unwrap();
        }
        for file in files {
            fs::write(folder.path().join("xtask").join(file), "").unwrap();
        }
        let found = Guess::at(&folder.path().join("mongomigrations"))?;
        assert_eq!(found.manifest, folder.path().join("xtask/Cargo.toml"));
        Some(found.binary)
    }

    #[test]
    fn a_manager_that_init_wrote_is_guessed() {
        assert_eq!(guess(ROOT, MANIFEST, &["src/main.rs"]).as_deref(), Some("xtask"));
    }

    #[test]
    fn a_manager_of_another_name_in_the_usual_folder() {
        let root = format!("{ROOT}\n[workspace.metadata.migrations]\nmanager = \"m\"\n");
        assert_eq!(guess(&root, &MANIFEST.replace("\"xtask\"", "\"m\""), &["src/main.rs"]).as_deref(), Some("m"));
    }

    #[test]
    fn nothing_is_guessed_where_cargo_might_decide_otherwise() {
        let main = ["src/main.rs"];
        let with = |root: &str| guess(&format!("{ROOT}{root}"), MANIFEST, &main);
        assert_eq!(with("exclude = [\"xtask\"]\n"), None);
        assert_eq!(with("\n[workspace.metadata.migrations]\nmanager = \"other\"\n"), None);
        assert_eq!(with("\n[workspace.metadata.migrations]\nmanager = 7\n"), None);
        assert_eq!(guess("[workspace]\nmembers = [\"app\"]\n", MANIFEST, &main), None);
        assert_eq!(guess("[workspace]\nmembers = [\n", MANIFEST, &main), None);
        assert_eq!(guess("[package]\nname = \"app\"\n", MANIFEST, &main), None);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("app")).unwrap();
        fs::write(folder.path().join("Cargo.toml"), ROOT).unwrap();
        fs::write(folder.path().join("app/Cargo.toml"), "[package").unwrap();
        assert!(
            manifest::workspace_root(&folder.path().join("app")).is_none()
                && manifest::workspace_root(folder.path()).is_some()
        );
        assert_eq!(guess(ROOT, &MANIFEST.replace("cargo-migrations", "clap"), &main), None);
        assert_eq!(guess(ROOT, &MANIFEST.replace("\"xtask\"", "\"manager\""), &main), None);
        assert_eq!(guess(ROOT, &format!("{MANIFEST}\n[[bin]]\nname = \"m\"\n"), &main), None);
        assert_eq!(guess(ROOT, &MANIFEST.replace("[package]", "[package]\nautobins = false"), &main), None);
        assert_eq!(guess(ROOT, MANIFEST, &["src/main.rs", "src/bin/second.rs"]), None);
        assert_eq!(guess(ROOT, MANIFEST, &["src/lib.rs"]), None);
    }
}
