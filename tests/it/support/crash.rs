//! A workspace whose manager dies or freezes at a given crash point, and what records its migrations.
//!
//! Each migration appends `begin up 0001` and `end up 0001` to a file outside the database, the witness. In the collection
//! `effects` it counts how often it took effect.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::run::{Line, Outcome};
use super::{TestDatabase, Workspace, fixture};

/// 0001 and 0003 take the database, 0002 and 0004 a transaction.
pub(crate) const STEMS: [&str; 4] = ["0001_plain", "0002_tx", "0003_plain", "0004_tx"];

pub(crate) fn is_transactional(stem: &str) -> bool {
    stem.ends_with("_tx")
}

/// The workspace with all of [`STEMS`].
pub(crate) fn crash() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| workspace("it-crash", &STEMS))
}

/// A workspace with only the migrations that a standalone server can run.
pub(crate) fn crash_plain() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| workspace("it-crash-plain", &["0001_plain", "0003_plain"]))
}

/// Whether its file says that its `up` may run again.
pub(crate) fn is_rerun_safe(stem: &str) -> bool {
    stem.ends_with("_rerun")
}

/// A workspace in which some migrations may run again, and others may not.
pub(crate) fn crash_rerun() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| workspace("it-crash-rerun", &["0001_rerun", "0002_plain", "0003_rerun"]))
}

/// A workspace with fifty migrations, every fifth of which is transactional.
pub(crate) fn fifty() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let stems: Vec<String> =
            (1..=50).map(|number| format!("{number:04}_{}", if number % 5 == 0 { "tx" } else { "plain" })).collect();
        workspace("it-fifty", &stems.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

/// A workspace with one migration, which is a backfill of `users`.
pub(crate) fn backfilling() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = with_crash_points("it-backfill");
        workspace.copy_fixture("backfill");
        workspace.built_manager();
        workspace
    })
}

/// A workspace with a backfill that tolerates failures, and one that can be undone.
pub(crate) fn undoing() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = with_crash_points("it-backfill-undo");
        workspace.copy_fixture("backfill_undo");
        workspace.built_manager();
        workspace
    })
}

/// A workspace with migrations that use up a connection, or block every thread.
pub(crate) fn blocked() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = with_crash_points("it-blocked");
        let manifest = workspace.read("xtask/Cargo.toml");
        let tokio = "[dependencies]\ntokio = { version = \"1\", features = [\"rt\"] }\n";
        workspace.write("xtask/Cargo.toml", &manifest.replace("[dependencies]\n", tokio));
        workspace.copy_fixture("blocked");
        workspace.built_manager();
        workspace
    })
}

/// A workspace whose manager obeys the variables for crash points and for the time of a lease.
fn with_crash_points(name: &str) -> Workspace {
    let workspace = Workspace::kept(name);
    let manifest = workspace.read("xtask/Cargo.toml").replace("[\"manager\"]", "[\"manager\", \"_crash-points\"]");
    workspace.write("xtask/Cargo.toml", &manifest);
    workspace
}

fn workspace(name: &str, stems: &[&str]) -> Workspace {
    let workspace = with_crash_points(name);
    workspace.copy_fixture("crash");
    for stem in stems {
        let (number, kind) = stem.split_once('_').expect("a number and a kind");
        let template = fixture(&format!("templates/0000_{kind}.rs"));
        workspace.migration(&format!("{stem}.rs"), &template.replace("0000", number));
    }
    workspace.built_manager();
    workspace
}

/// A database, and the witness of the migrations that were run on it.
pub(crate) struct Scene {
    pub(crate) database: TestDatabase,
    pub(crate) workspace: &'static Workspace,
    pub(crate) uri: String,
    pub(crate) lease_ms: u32,
    folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new(workspace: &'static Workspace, uri: &str) -> Self {
        Self {
            database: TestDatabase::on(uri),
            workspace,
            uri: uri.to_owned(),
            lease_ms: 1500,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// The manager's command line on this database.
    pub(crate) fn line<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Line {
        Line::new(self.workspace.path("manager"), self.workspace.root())
            .args(args)
            .env("MONGO_URI", &self.uri)
            .env("MONGO_DATABASE", self.database.name())
            .env("WITNESS", self.witness_file())
            .env("CARGO_MIGRATIONS_LEASE_MS", self.lease_ms.to_string())
    }

    pub(crate) fn run(&self, args: &str) -> Outcome {
        self.line(args.split_whitespace()).run()
    }

    /// Runs the manager, and returns the names of the crash points that it reached.
    pub(crate) fn trace(&self, args: &str) -> Vec<String> {
        let file = self.folder.path().join("trace");
        self.line(args.split_whitespace()).env("CARGO_MIGRATIONS_CRASH_TRACE", &file).run().exits(0);
        read_lines(&file)
    }

    fn witness_file(&self) -> PathBuf {
        self.folder.path().join("witness")
    }

    /// What the migrations themselves have noted, in order.
    pub(crate) fn witness(&self) -> Vec<String> {
        read_lines(&self.witness_file())
    }

    /// How long the witness is, in bytes.
    pub(crate) fn witness_length(&self) -> u64 {
        fs::metadata(self.witness_file()).map_or(0, |witness| witness.len())
    }

    /// How often the witness contains that line.
    pub(crate) fn witnessed(&self, text: &str) -> usize {
        self.witness().iter().filter(|line| *line == text).count()
    }
}

fn read_lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}
