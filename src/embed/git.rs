//! The git commit of the sources. Read from the repository's files, so that git need not be installed; only whether the working tree
//! has changes is asked of git.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::model::sources::{Sources, is_commit};
use crate::model::variables::{GIT_CEILING, GIT_OWN};

/// How long git may take to compare the working tree with the commit. A build must not wait for a huge repository.
const PATIENCE: Duration = Duration::from_secs(2);

/// A repository.
#[derive(Debug)]
struct Repository {
    /// The root of the working tree.
    root: PathBuf,
    /// The folder with its `HEAD`.
    own: PathBuf,
    /// The folder with the branches, which the worktrees of a repository share.
    common: PathBuf,
}

/// Returns the commit of the repository that a folder belongs to, if it belongs to one that has a commit.
pub(crate) fn sources(folder: &Path) -> Option<Sources> {
    let repository = Repository::of(folder)?;
    Some(Sources { commit: repository.commit()?, is_dirty: repository.is_dirty() })
}

/// Returns the same without asking whether the working tree has changes.
pub(crate) fn commit(folder: &Path) -> Option<Sources> {
    Some(Sources { commit: Repository::of(folder)?.commit()?, is_dirty: None })
}

/// Returns the files that change if another commit is checked out or made.
pub(super) fn files_of_commit(folder: &Path) -> Vec<PathBuf> {
    let Some(repository) = Repository::of(folder) else { return Vec::new() };
    let head = repository.own.join("HEAD");
    let branch = repository.branch().map(|branch| repository.common.join(branch));
    let packed = repository.common.join("packed-refs");
    // Cargo takes a file that does not exist for one that has changed, at every build.
    [Some(head), branch, Some(packed)].into_iter().flatten().filter(|file| file.is_file()).collect()
}

impl Repository {
    fn of(folder: &Path) -> Option<Self> {
        let folder = folder.canonicalize().ok()?;
        // As for git itself, the search does not go up into these folders.
        let ceilings: Vec<PathBuf> =
            env::var_os(GIT_CEILING).map(|folders| env::split_paths(&folders).collect()).unwrap_or_default();
        let folders = folder.ancestors().take_while(|folder| !ceilings.iter().any(|ceiling| ceiling == folder));
        folders.into_iter().find_map(Self::at)
    }

    fn at(root: &Path) -> Option<Self> {
        let git = root.join(".git");
        let own = if git.is_dir() {
            git
        } else {
            // In a worktree and in a submodule, it is a file that says where the folder is.
            let text = fs::read_to_string(&git).ok()?;
            root.join(text.strip_prefix("gitdir:")?.trim())
        };
        let common = match fs::read_to_string(own.join("commondir")) {
            Ok(common) => own.join(common.trim()),
            Err(_) => own.clone(),
        };
        own.join("HEAD").is_file().then(|| Self { root: root.to_owned(), own, common })
    }

    /// `refs/heads/main`. `None` if no branch is checked out.
    fn branch(&self) -> Option<String> {
        let head = fs::read_to_string(self.own.join("HEAD")).ok()?;
        head.strip_prefix("ref:").map(|branch| branch.trim().to_owned())
    }

    fn commit(&self) -> Option<String> {
        let own = |text: String| Some(text.trim().to_owned()).filter(|text| is_commit(text));
        let Some(branch) = self.branch() else { return own(fs::read_to_string(self.own.join("HEAD")).ok()?) };
        if let Some(commit) = fs::read_to_string(self.common.join(&branch)).ok().and_then(own) {
            return Some(commit);
        }
        let packed = fs::read_to_string(self.common.join("packed-refs")).ok()?;
        packed.lines().find_map(|line| {
            let (commit, name) = line.split_once(' ')?;
            (name.trim() == branch).then(|| own(commit.to_owned())).flatten()
        })
    }

    /// `None` if git is not installed, refuses, or takes too long.
    fn is_dirty(&self) -> Option<bool> {
        let mut git = Command::new("git");
        // A hook of git's, for example, sets variables that name another repository.
        GIT_OWN.iter().for_each(|variable| {
            git.env_remove(variable);
        });
        git.arg("-C").arg(&self.root).args(["--no-optional-locks", "status", "--porcelain"]);
        let output = output_of(git)?;
        Some(!output.is_empty())
    }
}

/// What a command prints, if it succeeds in time.
fn output_of(mut command: Command) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut stdout = child.stdout.take()?;
    let reading = std::thread::spawn(move || {
        let mut output = Vec::new();
        stdout.read_to_end(&mut output).map(|_| output).ok()
    });
    let started = Instant::now();
    while !reading.is_finished() {
        if started.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = reading.join().ok()??;
    child.wait().ok()?.success().then_some(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn of(folder: &Path) -> Option<String> {
        commit(folder).map(|sources| sources.commit)
    }

    #[test]
    fn the_commit_is_read_without_git() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let inner = root.join("xtask/src");
        fs::create_dir_all(&inner).unwrap();
        assert_eq!(of(&inner), None);
        // A branch without a commit, then with one in its own file, then in the packed ones.
        write(&root.join(".git/HEAD"), "ref: refs/heads/main\n");
        assert_eq!(of(&inner), None);
        write(&root.join(".git/refs/heads/main"), &format!("{COMMIT}\n"));
        assert_eq!(of(&inner).as_deref(), Some(COMMIT));
        assert_eq!(files_of_commit(&inner), [root.join(".git/HEAD"), root.join(".git/refs/heads/main")]);
        fs::remove_file(root.join(".git/refs/heads/main")).unwrap();
        write(&root.join(".git/packed-refs"), &format!("# pack-refs\n{COMMIT} refs/heads/main\n^{COMMIT}\n"));
        assert_eq!(of(&inner).as_deref(), Some(COMMIT));
        // No branch.
        write(&root.join(".git/HEAD"), &format!("{COMMIT}\n"));
        assert_eq!(of(&root).as_deref(), Some(COMMIT));
        write(&root.join(".git/HEAD"), "something else");
        assert_eq!(of(&root), None);
    }

    #[test]
    fn a_worktree_has_a_file_that_leads_to_its_repository() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        write(&root.join("main/.git/HEAD"), "ref: refs/heads/main\n");
        write(&root.join("main/.git/refs/heads/side"), COMMIT);
        let own = root.join("main/.git/worktrees/side");
        write(&own.join("HEAD"), "ref: refs/heads/side\n");
        write(&own.join("commondir"), "../..\n");
        write(&root.join("side/.git"), &format!("gitdir: {}\n", own.display()));
        assert_eq!(of(&root.join("side")).as_deref(), Some(COMMIT));
        let files = files_of_commit(&root.join("side"));
        assert!(files.len() == 2 && files[1].canonicalize().unwrap() == root.join("main/.git/refs/heads/side"), "{files:?}");
    }
}
