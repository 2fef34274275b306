//! The build script's half: finds the migration files and writes the code that compiles them into the manager.
//!
//! A manager's `build.rs` is one line:
//!
//! ```no_run
//! cargo_migrations::build::embed("../mongomigrations");
//! ```

mod cfg;
mod checksum;
mod files;
mod generate;
pub(crate) mod git;
mod imports;
mod lints;
mod normal_form;
pub(crate) mod pattern;
mod rerun;
mod signature;
mod source;
mod tokens;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use files::Problem;
#[cfg(feature = "cli")]
pub(crate) use files::stems;
use generate::Manager;
use lints::Lints;

use crate::model::sources::Sources;
use crate::model::variables::MANAGER_DIR;

/// The generated file in `OUT_DIR`. Its first line is a comment that names the manager's folder.
pub(crate) const FILE: &str = "cargo_migrations.rs";

/// The directories that this build script has passed to [`embed`] so far. The generated file is of one only.
static DIRECTORIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Returns the first line of the generated file, from which the plugin learns whose manager was built.
pub(crate) fn first_line(manager: &Path) -> String {
    format!("// The manager in {manager:?}.")
}

/// Compiles the migration files of a directory into the manager. The path is relative to the package's folder.
///
/// Call it once, from `main` of `build.rs`. In the program, the macro `embedded!` declares the module that it generates. File names
/// must match `(?P<migr_nr>[0-9]+)_[a-z0-9_]+\.rs`, or the pattern that [`Embed::pattern`] sets. Files that are not Rust, `mod.rs`,
/// and names that begin with a dot are skipped. So are sub-folders, but a migration in one is a problem.
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
    let manager = build_script_variable("CARGO_MANIFEST_DIR").into();
    let embed = Embed::new(directory.into(), manager, Path::new(&build_script_variable("OUT_DIR")).join(FILE));
    // The directory as it was given, so that a copy of the workspace watches its own.
    instruct_cargo(&format!("rerun-if-changed={}", embed.directory.display()));
    instruct_cargo("rerun-if-changed=build.rs");
    for file in &embed.lints.files {
        instruct_cargo(&format!("rerun-if-changed={}", file.display()));
    }
    instruct_cargo(&format!("rerun-if-env-changed={MANAGER_DIR}"));
    // A development build is not built again for each commit: the plugin passes it to the manager.
    if variable("PROFILE") != DEBUG {
        for file in git::files_of_commit(&embed.manager) {
            instruct_cargo(&format!("rerun-if-changed={}", file.display()));
        }
    }
    DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner).push(embed.directory.clone());
    embed.generate(pattern::DEFAULT);
    embed
}

/// The embedded directory, as [`embed`] returns it.
#[derive(Debug)]
pub struct Embed {
    directory: PathBuf,
    manager: PathBuf,
    out: PathBuf,
    lints: Lints,
    sources: Option<Sources>,
    /// The generated file as the last run of the build script left it.
    before: Option<Generated>,
}

/// The generated file: its text, and when it was written.
#[derive(Debug)]
struct Generated {
    text: String,
    at: SystemTime,
}

impl Embed {
    fn new(directory: PathBuf, manager: PathBuf, out: PathBuf) -> Self {
        let before =
            fs::read_to_string(&out).and_then(|text| Ok(Generated { text, at: fs::metadata(&out)?.modified()? })).ok();
        let lints = lints::of_package(&manager);
        // What a development build says about the working tree would be old after the next edit of another file.
        let sources = if variable("PROFILE") == DEBUG { git::commit(&manager) } else { git::sources(&manager) };
        Self { directory, manager, out, lints, sources, before }
    }

    /// Embeds the directory with another pattern for file names.
    ///
    /// The pattern is a regular expression that must match the complete name. Its group `migr_nr` is the migration's number, in
    /// digits. `cargo migrations new` does not read build scripts: set `pattern` in `[workspace.metadata.migrations]` for it too.
    ///
    /// ```no_run
    /// cargo_migrations::build::embed("../mongomigrations").pattern(r"m(?P<migr_nr>[0-9]+)\.rs");
    /// ```
    pub fn pattern(self, pattern: impl Into<String>) -> Self {
        self.generate(&pattern.into());
        self
    }

    /// Finds the files that match the pattern, and writes the code for them. If it is what it was before the build script ran, it
    /// keeps its time stamp, and rustc has nothing to do.
    fn generate(&self, pattern: &str) {
        let mut found = files::find(&absolute(&self.manager.join(&self.directory)), pattern);
        found.problems.extend(second_directory(&DIRECTORIES.lock().unwrap_or_else(PoisonError::into_inner)));
        let code = generate::code(
            &found,
            &Manager {
                folder: &self.manager,
                package: &variable("CARGO_PKG_NAME"),
                profile: &variable("PROFILE"),
                forbids: self.lints.forbids,
                sources: self.sources.as_ref(),
            },
        );
        let written = match self.before.as_ref().filter(|before| before.text == code) {
            Some(before) => restore(&self.out, before),
            None => fs::write(&self.out, code),
        };
        if let Err(error) = written {
            fail(&format!("cannot write {}: {error}", self.out.display()));
        }
    }
}

/// Lets the file be what it was. `embed` has written it with the default pattern if the build script sets another one.
fn restore(path: &Path, before: &Generated) -> std::io::Result<()> {
    if fs::metadata(path)?.modified()? == before.at {
        return Ok(());
    }
    fs::write(path, &before.text)?;
    fs::File::options().write(true).open(path)?.set_modified(before.at)
}

/// Returns what is wrong if the build script calls [`embed`] again: the last call's file replaces that of the first.
fn second_directory(directories: &[PathBuf]) -> Option<Problem> {
    let [first, .., last] = directories else { return None };
    Some(Problem {
        message: format!(
            "build.rs calls `embed` more than once, for `{}` and `{}`, but a manager has one migrations directory",
            first.display(),
            last.display()
        ),
        hint: "keep one of the calls in build.rs, and move all migration files into its directory".into(),
    })
}

/// What cargo calls every profile that inherits from `dev`.
const DEBUG: &str = "debug";

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// Returns a variable that cargo sets for build scripts.
#[track_caller]
fn build_script_variable(name: &str) -> OsString {
    let Some(value) = env::var_os(name) else {
        panic!("{name} is not set: `embed` must be called from a build script (build.rs)");
    };
    value
}

#[expect(clippy::print_stdout, reason = "a build script passes instructions to cargo on stdout")]
fn instruct_cargo(instruction: &str) {
    // Not `cargo::`, which cargo refuses in a package whose `rust-version` is older than 1.77.
    println!("cargo:{instruction}");
}

/// Ends the build script with an error, which cargo shows.
#[expect(
    clippy::print_stderr,
    clippy::exit,
    reason = "a build script has no other way to fail the build in words of its own"
)]
fn fail(message: &str) -> ! {
    eprintln!("error: {message}");
    std::process::exit(1)
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
    use super::*;

    #[test]
    fn code_that_has_not_changed_keeps_its_time_stamp_also_with_a_pattern() {
        let folder = tempfile::tempdir().unwrap();
        let (manager, out) = (folder.path().to_owned(), folder.path().join(FILE));
        fs::create_dir(folder.path().join("changes")).unwrap();
        fs::write(folder.path().join("changes/m-7.rs"), "pub async fn up(_: &Database) -> Result<()> {}").unwrap();
        let embed = || {
            let embed = Embed::new("changes".into(), manager.clone(), out.clone());
            embed.generate(pattern::DEFAULT);
            embed.pattern(r"m-(?P<migr_nr>[0-9]+)\.rs")
        };
        let _ = embed();
        let text = fs::read_to_string(&out).unwrap();
        assert!(text.contains("\"m-7.rs\"") && !text.contains("does not match"), "{text}");
        let long_ago = SystemTime::UNIX_EPOCH;
        fs::File::options().write(true).open(&out).unwrap().set_modified(long_ago).unwrap();
        let _ = embed();
        assert_eq!(fs::metadata(&out).unwrap().modified().unwrap(), long_ago);
    }

    #[test]
    fn a_second_directory_is_a_problem() {
        let of = |directories: &[&str]| second_directory(&directories.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!((of(&[]), of(&["../a"])), (None, None));
        for directories in [&["../a", "../b"][..], &["../a", "../x", "../b"]] {
            let problem = of(directories).unwrap();
            assert!(problem.message.contains("more than once, for `../a` and `../b`"), "{}", problem.message);
        }
    }
}
