//! A user's workspace in a temporary folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::TestDatabase;
use super::run::{Line, Outcome, plugin};

/// This crate's checkout.
pub(crate) const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// The target folder of this test run, which the user workspaces share: the driver is there already.
pub(crate) fn target() -> PathBuf {
    plugin().ancestors().nth(2).expect("target/debug/cargo-migrations").to_owned()
}

/// A workspace. Its manager has a name of its own, so that nothing depends on it being `xtask`.
pub(crate) struct Workspace {
    folder: Folder,
    manager: String,
}

enum Folder {
    Temporary(tempfile::TempDir),
    /// Below the target folder; the next test run finds it built.
    Kept(PathBuf),
}

/// The manager that does no more than needed.
const PLAIN_MANAGER: &str = r#"
use cargo_migrations::prelude::*;

cargo_migrations::embedded!(mod migrations);

struct Migrations;

impl MigrationsManager for Migrations {}

fn main() -> ExitCode {
    cargo_migrations::run(Migrations, migrations::embedded())
}
"#;

impl Workspace {
    /// A workspace with a plain manager and an empty directory for migrations.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let manager = format!("xtask-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let this = Self { folder: Folder::Temporary(tempfile::tempdir().expect("a folder")), manager };
        this.lay_out();
        this
    }

    /// The same in a folder that stays, for what many tests share.
    pub(crate) fn kept(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(folder.join("mongomigrations"));
        let this = Self { folder: Folder::Kept(folder), manager: format!("xtask-{name}") };
        this.lay_out();
        this
    }

    fn lay_out(&self) {
        let (this, manager) = (self, &self.manager);
        this.write(
            "Cargo.toml",
            &format!(
                "[workspace]\nmembers = [\"xtask\"]\nresolver = \"3\"\n\n\
                 [workspace.metadata.migrations]\nmanager = \"{manager}\"\n\n\
                 [profile.dev]\ndebug = \"line-tables-only\"\n\n[profile.dev.package.sha2]\nopt-level = 3\n"
            ),
        );
        // The versions that this checkout was built with: nothing is compiled twice, nothing is looked up.
        this.write("Cargo.lock", &fs::read_to_string(Path::new(CRATE).join("Cargo.lock")).expect("a lock file"));
        this.write(
            "xtask/Cargo.toml",
            &format!(
                "[package]\nname = \"{manager}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
                 [dependencies]\ncargo-migrations = {{ path = {CRATE:?}, default-features = false, features = [\"manager\"] }}\n\n\
                 [build-dependencies]\ncargo-migrations = {{ path = {CRATE:?}, default-features = false }}\n"
            ),
        );
        this.write("xtask/build.rs", "fn main() {\n    cargo_migrations::build::embed(\"../mongomigrations\");\n}\n");
        this.manager_source(PLAIN_MANAGER);
        fs::create_dir_all(this.path("mongomigrations")).expect("a folder");
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
        // A file that stays as it is keeps its time stamp, and nothing is built again.
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
        self.migration(
            name,
            &format!(
                r#"//! Leave a trace of {number}.
use cargo_migrations::prelude::*;

pub async fn up(db: &Database) -> Result<()> {{
    db.collection::<Document>("trace").insert_one(doc! {{ "did": "up {number}" }}).await?;
    Ok(())
}}

pub async fn down(db: &Database) -> Result<()> {{
    db.collection::<Document>("trace").insert_one(doc! {{ "did": "down {number}" }}).await?;
    Ok(())
}}
"#
            ),
        );
    }

    /// `cargo-migrations` in the workspace's root, without any server named.
    pub(crate) fn line<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Line {
        Line::new(plugin(), self.root()).args(args)
    }

    /// `cargo migrations ARGS` on that database.
    pub(crate) fn run(&self, args: &str, database: &TestDatabase) -> Outcome {
        self.line(args.split_whitespace()).on(database).run()
    }

    /// The manager, built and copied to a place where nothing replaces it.
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

/// Removes what was compiled of a folder's packages: each manager is a binary with the driver in it.
pub(crate) fn clean(folder: &Path) {
    let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mentions = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "d")
            && fs::read_to_string(path).is_ok_and(|text| text.contains(&*folder.to_string_lossy()))
    };
    let debug = target().join("debug");
    for note in entries(debug.join("deps")).filter(|path| mentions(path)) {
        for suffix in ["", "d", "rmeta", "rlib"] {
            let _ = fs::remove_file(note.with_extension(suffix));
        }
    }
    for unit in entries(debug.join("build")) {
        if entries(unit.clone()).any(|path| mentions(&path)) {
            let _ = fs::remove_dir_all(unit);
        }
    }
}
