//! The file in which a manager leaves its names for the plugin, below the target directory.
//!
//! It is named for the workspace, since several workspaces can share a target directory. It holds nothing but names and the
//! folder of the dumps, so a file of an older manager can offer a name too many or too few, and no more.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::Vocabulary;

/// Returns the path of the file for the workspace in `root`.
fn path(target: &Path, root: &Path) -> PathBuf {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    target.join("cargo-migrations").join("completion").join(format!("{name}.json"))
}

/// Returns the names that the manager of this workspace has left, if there are any that this version can read.
#[cfg(feature = "cli")]
pub(crate) fn read(target: &Path, root: &Path) -> Option<Vocabulary> {
    serde_json::from_slice(&std::fs::read(path(target, root)).ok()?).ok()
}

/// Leaves the names of the manager of this workspace, unless they are there already.
#[cfg(feature = "manager")]
pub(crate) fn write(target: &Path, root: &Path, vocabulary: &Vocabulary) -> std::io::Result<()> {
    use std::fs;
    let path = path(target, root);
    let text = serde_json::to_vec(vocabulary)?;
    if fs::read(&path).is_ok_and(|before| before == text) {
        return Ok(());
    }
    let folder = path.parent().expect("it is in a folder");
    fs::create_dir_all(folder)?;
    // With a name of its own and then renamed, because another manager may write, or the plugin read, at the same time.
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(all(test, feature = "cli", feature = "manager"))]
mod tests {
    use super::super::Named;
    use super::*;

    #[test]
    fn each_workspace_has_its_own_names() {
        let folder = tempfile::tempdir().unwrap();
        let [target, one, two] = ["target", "one", "two"].map(|name| folder.path().join(name));
        std::fs::create_dir(&one).unwrap();
        let environments = vec![Named { name: "staging".into(), help: "The staging cluster".into() }];
        let names = Vocabulary { environments, dumps: Some("/dumps".into()), ..Vocabulary::default() };
        assert_eq!(read(&target, &one), None);
        for vocabulary in [Vocabulary::default(), names.clone(), names.clone()] {
            write(&target, &one, &vocabulary).unwrap();
            assert_eq!(read(&target, &one), Some(vocabulary));
        }
        assert_eq!(read(&target, &two), None);
        let files: Vec<_> = std::fs::read_dir(target.join("cargo-migrations/completion")).unwrap().collect();
        assert_eq!(files.len(), 1);
        // What another version has left, and what was damaged.
        for text in ["", "{\"subtasks\":7}", "{\"subtasks\":[],\"environments\":[{}]}"] {
            std::fs::write(path(&target, &one), text).unwrap();
            assert_eq!(read(&target, &one), None, "{text}");
        }
        write(&target, &one, &names).unwrap();
        assert_eq!(read(&target, &one), Some(names));
    }
}
