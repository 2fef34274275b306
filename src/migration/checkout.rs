//! Notices that the migrations in this program are those of another checkout than the one that it was started in.

use std::path::Path;

use crate::error::Remark;
use crate::line::program::program;
use crate::model::variables;

/// Returns what is wrong if cargo runs this program for a checkout, but has built it from another one. `package` is the package
/// whose build script found the migrations, and `built` is its folder.
///
/// To cargo, two worktrees that share a target directory are one workspace: if nothing is newer than the last build, `cargo run` in
/// one of them starts what was built in the other. (The plugin has a check of its own, and builds again.)
///
/// Cargo names the package's folder in the environment of `cargo run`. A deployed program, or one that the plugin or a shell has
/// started, has nothing to compare. The folder may also be that of another package: `cargo run` of a service whose migrations are
/// compiled into a library, or a test that starts this program. Only one and the same package in two folders is two checkouts.
///
/// The folder of the build may be gone. Then the checkout was moved, or another one was removed. Nothing here can distinguish the
/// two, and cargo runs the build script again in neither case, so both are refused: after a move that costs one more build.
pub(super) fn started_in_another(package: &str, built: &str) -> Option<Remark> {
    let name = std::env::var(variables::CARGO_PACKAGE).ok()?;
    let folder = std::env::var_os(variables::CARGO_PACKAGE_DIR)?;
    if name == package { compare(Path::new(built), Path::new(&folder)) } else { None }
}

/// Compares real paths, so that a checkout may be reached through a link.
fn compare(built: &Path, here: &Path) -> Option<Remark> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if real(built) == real(here) {
        return None;
    }
    let message = format!(
        "this program was started for {}, but it has the migrations of {} compiled in",
        here.display(),
        built.display()
    );
    Some(Remark::new(message).with_hint(format!(
        "run `{}`, or `touch {}` and the same command again, or give each checkout a target directory of its own",
        program(),
        here.join("build.rs").display()
    )))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_another_folder_is_another_checkout() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&two).unwrap();
        assert!(compare(&one, &one).is_none() && compare(&one, &two.join("../one")).is_none());
        assert!(compare(&one, &two).is_some());
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(&one, &link).unwrap();
            assert!(compare(&one, &link).is_none() && compare(&link, &one).is_none() && compare(&link, &two).is_some());
        }
        fs::remove_dir(&one).unwrap();
        assert!(compare(&one, &two).is_some(), "moved or removed");
    }
}
