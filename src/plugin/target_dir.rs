//! Where cargo builds a workspace, found without cargo: shell completion has no time to call it.
//!
//! Cargo's `--config` and files that its configuration includes are not followed. Completion then has no names of the manager.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::manifest;
use crate::model::variables;

/// Returns the target directory of the workspace in `root`, for a cargo that is called in `here`.
pub(super) fn find(here: &Path, root: &Path) -> PathBuf {
    find_with(here, root, |name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

fn find_with(here: &Path, root: &Path, variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    if let Some(set) = variables::CARGO_TARGET_DIRS.into_iter().find_map(&variable) {
        return here.join(set);
    }
    let home = variable(variables::CARGO_HOME).map(|home| here.join(home));
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let folders = here.ancestors().map(|folder| folder.join(".cargo")).chain(home);
    let mut set = folders.filter_map(|folder| {
        // Cargo prefers the name without an ending, if both exist.
        let config = ["config", "config.toml"].iter().find_map(|name| manifest::read(&folder.join(name)))?;
        let directory = config.get("build")?.get("target-dir")?.as_str()?;
        Some(folder.parent()?.join(directory))
    });
    set.next().unwrap_or_else(|| root.join("target"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_is_where_cargo_says_by_its_precedence() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("work/blog");
        let here = root.join("src");
        fs::create_dir_all(&here).unwrap();
        let home = folder.path().join("home/.cargo");
        let write = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let found = |set: &[(&str, &str)]| {
            find_with(&here, &root, |name| {
                let set = set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
                set.or_else(|| (name == variables::CARGO_HOME).then(|| home.clone().into()))
            })
        };
        assert_eq!(found(&[]), root.join("target"));
        write(home.join("config.toml"), "[build]\ntarget-dir = \"of-the-user\"\n");
        assert_eq!(found(&[]), folder.path().join("home/of-the-user"));
        write(folder.path().join("work/.cargo/config.toml"), "build.target-dir = \"shared\"\n");
        assert_eq!(found(&[]), folder.path().join("work/shared"));
        write(root.join(".cargo/config.toml"), "not toml");
        write(here.join(".cargo/config.toml"), "[build]\njobs = 1\n");
        assert_eq!(found(&[]), folder.path().join("work/shared"));
        write(root.join(".cargo/config"), "[build]\ntarget-dir = \"/elsewhere\"\n");
        assert_eq!(found(&[]), Path::new("/elsewhere"));
        assert_eq!(found(&[("CARGO_BUILD_TARGET_DIR", "b")]), here.join("b"));
        assert_eq!(found(&[("CARGO_BUILD_TARGET_DIR", "b"), ("CARGO_TARGET_DIR", "/t")]), Path::new("/t"));
    }
}
