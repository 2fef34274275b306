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
use std::path::{Path, PathBuf};

use crate::model::variables::MANAGER_DIR;

/// The file in OUT_DIR that is written. Its first line names the manager's folder, as a comment.
pub(crate) const FILE: &str = "cargo_migrations.rs";

/// The same for a module.
const ITEMS: &str = "cargo_migrations_items.rs";

/// The first line of that file.
pub(crate) fn first_line(manager: &Path) -> String {
    format!("// The manager in {manager:?}.")
}

/// What a migration file's name looks like, unless `pattern` says otherwise.
pub(crate) const DEFAULT_PATTERN: &str = r"(?P<migr_nr>[0-9]+)_[a-z0-9_]+\.rs";

/// Compiles the migration files of a directory (relative to the package's own) into the manager.
///
/// What is wrong with the files (a wrong name, say) does not fail the build: it is carried along, and the manager reports it.
/// Call it as a statement of its own: the work is done when the returned value is dropped, after [`Embed::pattern`].
///
/// # Panics
/// Only outside a build script.
pub fn embed(directory: impl Into<PathBuf>) -> Embed {
    Embed { directory: directory.into(), pattern: DEFAULT_PATTERN.to_owned() }
}

/// The directory to embed; see [`embed`].
#[derive(Debug)]
pub struct Embed {
    directory: PathBuf,
    pattern: String,
}

impl Embed {
    /// Another pattern for the files' names, matched against the whole name. Its group `migr_nr` is the number (digits).
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
    fn drop(&mut self) {
        let variable = |name| env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: `embed` is for build scripts"));
        let out = Path::new(&variable("OUT_DIR")).join(FILE);
        let manager = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
        let directory = absolute(&manager.join(&self.directory));
        let found = files::find(&directory, &self.pattern);
        let code = generate::code(&manager, &found, &env::var("PROFILE").unwrap_or_default());

        // As it was given: in a copy of the whole workspace it is then the copy's.
        say(&format!("cargo::rerun-if-changed={}", self.directory.display()));
        say("cargo::rerun-if-changed=build.rs");
        say(&format!("cargo::rerun-if-env-changed={MANAGER_DIR}"));
        write(&out, &code.expression);
        write(&out.with_file_name(ITEMS), &code.items);
    }
}

/// An unchanged file keeps its time stamp, and the manager is not compiled again for nothing.
fn write(path: &Path, text: &str) {
    if std::fs::read_to_string(path).is_ok_and(|before| before == text) {
        return;
    }
    if let Err(error) = std::fs::write(path, text) {
        say(&format!("cargo::error=cannot write {}: {error}", path.display()));
    }
}

#[expect(clippy::print_stdout, reason = "a build script talks to cargo on stdout")]
fn say(line: &str) {
    println!("{line}");
}

/// The path without `..`, where it exists; cargo and rustc then show users a path they know.
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
