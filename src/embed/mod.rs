//! The build script's half: finds the migration files and writes the code that compiles them into the manager.
//!
//! A manager's `build.rs` is one line:
//!
//! ```no_run
//! cargo_migrations::build::embed("../mongomigrations");
//! ```

mod files;
mod generate;
mod source;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::model::variables::MANAGER_DIR;

/// The generated file in `OUT_DIR`. Its first line is a comment that names the manager's folder.
pub(crate) const FILE: &str = "cargo_migrations.rs";

/// Returns the first line of the generated file, from which the plugin learns whose manager was built.
pub(crate) fn first_line(manager: &Path) -> String {
    format!("// The manager in {manager:?}.")
}

/// The pattern of migration file names, unless [`Embed::pattern`] sets another.
pub(crate) const DEFAULT_PATTERN: &str = r"(?P<migr_nr>[0-9]+)_[a-z0-9_]+\.rs";

/// Compiles the migration files of a directory into the manager. The path is relative to the package's folder.
///
/// Call it from `main` of `build.rs`. In the program, the macro `embedded!` declares the module that it generates. File names
/// must match `(?P<migr_nr>[0-9]+)_[a-z0-9_]+\.rs`, or the pattern that [`Embed::pattern`] sets.
///
/// Problems with the files, such as a wrong name, do not fail the build: the manager reports them when it runs.
///
/// ```no_run
/// cargo_migrations::build::embed("../mongomigrations");
/// ```
///
/// # Panics
/// Outside a build script, where cargo has not set `OUT_DIR` and `CARGO_MANIFEST_DIR`.
#[track_caller]
pub fn embed(directory: impl Into<PathBuf>) -> Embed {
    let embed = Embed {
        directory: directory.into(),
        pattern: DEFAULT_PATTERN.to_owned(),
        manager: build_script_variable("CARGO_MANIFEST_DIR").into(),
        out: Path::new(&build_script_variable("OUT_DIR")).join(FILE),
    };
    // The directory as it was given, so that a copy of the workspace watches its own.
    instruct_cargo(&format!("rerun-if-changed={}", embed.directory.display()));
    instruct_cargo("rerun-if-changed=build.rs");
    instruct_cargo(&format!("rerun-if-env-changed={MANAGER_DIR}"));
    embed
}

/// The embedded directory, as [`embed`] returns it.
///
/// The code is written when this value is dropped, that is, at the end of the statement that calls [`embed`]. So it is written
/// once, with the pattern that was set, and stays untouched if nothing has changed.
#[derive(Debug)]
pub struct Embed {
    directory: PathBuf,
    pattern: String,
    manager: PathBuf,
    out: PathBuf,
}

impl Embed {
    /// Embeds the directory with another pattern for file names.
    ///
    /// The pattern is a regular expression that must match the complete name. Its group `migr_nr` is the migration's number, in
    /// digits.
    ///
    /// ```no_run
    /// cargo_migrations::build::embed("../mongomigrations").pattern(r"m(?P<migr_nr>[0-9]+)\.rs");
    /// ```
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = pattern.into();
        self
    }
}

impl Drop for Embed {
    /// Finds the files that match the pattern, and writes the code for them.
    fn drop(&mut self) {
        let found = files::find(&absolute(&self.manager.join(&self.directory)), &self.pattern);
        let profile = env::var("PROFILE").unwrap_or_default();
        write(&self.out, &generate::code(&self.manager, &found, &profile));
    }
}

/// Returns a variable that cargo sets for build scripts.
#[track_caller]
fn build_script_variable(name: &str) -> OsString {
    let Some(value) = env::var_os(name) else {
        panic!("{name} is not set: `embed` must be called from a build script (build.rs)");
    };
    value
}

/// Writes the file if its text has changed. An unchanged file keeps its time stamp, and rustc has nothing to do.
fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).is_ok_and(|before| before == text) {
        return;
    }
    if let Err(error) = std::fs::write(path, text) {
        instruct_cargo(&format!("error=cannot write {}: {error}", path.display()));
    }
}

#[expect(clippy::print_stdout, reason = "a build script passes instructions to cargo on stdout")]
fn instruct_cargo(instruction: &str) {
    println!("cargo::{instruction}");
}

/// Returns the path without `..`, as compile errors and messages show it.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        let mut clean = PathBuf::new();
        for part in path.components() {
            match part {
                std::path::Component::ParentDir => {
                    clean.pop();
                }
                part => clean.push(part),
            }
        }
        clean
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn the_code_is_written_once_and_only_if_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (manager, out) = (folder.path().to_owned(), folder.path().join(FILE));
        fs::create_dir(folder.path().join("changes")).unwrap();
        fs::write(folder.path().join("changes/m-7.rs"), "pub async fn up(_: &Database) -> Result<()> {}").unwrap();
        let embed = || {
            let (manager, out) = (manager.clone(), out.clone());
            Embed { directory: "changes".into(), pattern: DEFAULT_PATTERN.to_owned(), manager, out }
                .pattern(r"m-(?P<migr_nr>[0-9]+)\.rs")
        };
        let embedded = embed();
        assert!(!out.exists(), "the pattern may still change");
        drop(embedded);
        let text = fs::read_to_string(&out).unwrap();
        assert!(text.contains("\"m-7.rs\"") && !text.contains("does not match"), "{text}");
        let long_ago = SystemTime::UNIX_EPOCH;
        fs::File::options().write(true).open(&out).unwrap().set_modified(long_ago).unwrap();
        drop(embed());
        assert_eq!(fs::metadata(&out).unwrap().modified().unwrap(), long_ago);
    }
}
