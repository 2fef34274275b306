//! A user's workspace: a manager and migration files in a folder of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::TestDatabase;
use super::run::{Line, Outcome, plugin};

/// This crate's checkout.
pub(crate) const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// The target folder of this test run. The workspaces share it, because the driver is compiled there already.
pub(crate) fn target() -> PathBuf {
    plugin().ancestors().nth(2).expect("target/debug/cargo-migrations").to_owned()
}

/// A workspace. Its manager has a unique name: in the shared target folder, cargo would confuse packages of the same name, and
/// nothing may depend on the name `xtask`.
pub(crate) struct Workspace {
    folder: Folder,
    manager: String,
}

enum Folder {
    Temporary(tempfile::TempDir),
    /// Below the target folder, so that the next test run finds it built.
    Kept(PathBuf),
}

/// Returns the text of a file in `tests/fixtures`.
pub(crate) fn fixture(path: &str) -> String {
    fs::read_to_string(fixtures().join(path)).unwrap_or_else(|error| panic!("the fixture {path}: {error}"))
}

fn fixtures() -> PathBuf {
    Path::new(CRATE).join("tests/fixtures")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of fixtures") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

impl Workspace {
    /// A workspace with a plain manager and an empty directory for migrations, in a temporary folder.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let manager = format!("xtask-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let this = Self { folder: Folder::Temporary(tempfile::tempdir().expect("a folder")), manager };
        this.lay_out();
        this
    }

    /// A workspace in a folder that is kept between test runs, for one that many tests share.
    pub(crate) fn kept(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(folder.join("mongomigrations"));
        let this = Self { folder: Folder::Kept(folder), manager: format!("xtask-{name}") };
        this.lay_out();
        this
    }

    fn lay_out(&self) {
        // The versions that this checkout was built with: nothing is compiled twice, nothing is downloaded.
        self.write("Cargo.lock", &fs::read_to_string(Path::new(CRATE).join("Cargo.lock")).expect("a lock file"));
        self.copy_fixture("plain");
        fs::create_dir_all(self.path("mongomigrations")).expect("a folder");
    }

    /// Copies the files of `tests/fixtures/NAME` into the workspace.
    ///
    /// A manifest there is called `Cargo.toml.in`, since cargo would take a folder with a `Cargo.toml` for a package. The names
    /// of the manager and of this crate's folder are filled in.
    pub(crate) fn copy_fixture(&self, name: &str) {
        let source = fixtures().join(name);
        for path in files_below(&source) {
            let relative = path.strip_prefix(&source).expect("a path below it").to_str().expect("a UTF-8 path");
            let text = fs::read_to_string(&path).expect("a fixture");
            match relative.strip_suffix(".in") {
                Some(relative) => {
                    self.write(relative, &text.replace("@MANAGER@", &self.manager).replace("@CRATE@", CRATE));
                }
                None => self.write(relative, &text),
            }
        }
    }

    pub(crate) fn root(&self) -> &Path {
        match &self.folder {
            Folder::Temporary(folder) => folder.path(),
            Folder::Kept(folder) => folder,
        }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        // An unchanged file keeps its time stamp, so that nothing is built again.
        if fs::read_to_string(&path).is_ok_and(|before| before == text) {
            return;
        }
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).expect("a file")
    }

    pub(crate) fn manager_name(&self) -> &str {
        &self.manager
    }

    pub(crate) fn manager_source(&self, source: &str) {
        self.write("xtask/src/main.rs", source);
    }

    /// A migration file with that text.
    pub(crate) fn migration(&self, name: &str, text: &str) {
        self.write(&format!("mongomigrations/{name}"), text);
    }

    /// A migration file whose `up` and `down` leave a trace.
    pub(crate) fn tracing_migration(&self, name: &str) {
        let number = name.split('_').next().expect("a number");
        self.migration(name, &fixture("templates/0000_trace.rs").replace("0000", number));
    }

    /// The command line of `cargo-migrations` in the workspace's root, with no server configured.
    pub(crate) fn line<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Line {
        Line::new(plugin(), self.root()).args(args)
    }

    /// Runs `cargo migrations ARGS` on that database.
    pub(crate) fn run(&self, args: &str, database: &TestDatabase) -> Outcome {
        self.line(args.split_whitespace()).on(database).run()
    }

    /// Builds the manager, and copies it to a path where no other build replaces it.
    pub(crate) fn built_manager(&self) -> PathBuf {
        let copy = self.path("manager");
        Line::new("cargo", self.root()).args(["build", "--quiet", "--package", &self.manager]).run().exits(0);
        let _ = fs::remove_file(&copy);
        fs::copy(self.path("target/debug").join(&self.manager), &copy).expect("the built manager");
        copy
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Folder::Temporary(folder) = &self.folder {
            clean(folder.path());
        }
    }
}

/// Removes what was compiled for the packages of a folder. Each manager is a large binary, as it contains the driver.
pub(crate) fn clean(folder: &Path) {
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mentions = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "d")
            && fs::read_to_string(path).is_ok_and(|text| text.contains(&*folder.to_string_lossy()))
    };
    let debug = target().join("debug");
    for dependencies in entries(debug.join("deps")).filter(|path| mentions(path)) {
        for suffix in ["", "d", "rmeta", "rlib"] {
            let _ = fs::remove_file(dependencies.with_extension(suffix));
        }
    }
    for unit in entries(debug.join("build")) {
        if entries(unit.clone()).any(|path| mentions(&path)) {
            let _ = fs::remove_dir_all(unit);
        }
    }
}
