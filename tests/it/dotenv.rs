//! Settings in a file `.env`, which a manager reads if its code says so.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::support::{Line, Outcome, TestDatabase, Workspace, assert_has, plugin, server_uri, simple};

/// A workspace whose manager reads `.env`. Tests must not change its files, except for the one that is about its root.
fn workspace() -> &'static (Workspace, PathBuf) {
    static WORKSPACE: OnceLock<(Workspace, PathBuf)> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::kept("it-dotenv");
        workspace.copy_fixture("dotenv");
        workspace.tracing_migration("0001_a.rs");
        let manager = workspace.built_manager();
        (workspace, manager)
    })
}

/// A folder with a file `.env`, and a manager that works there.
struct Place(tempfile::TempDir);

impl Place {
    fn new(text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), text).unwrap();
        Self(folder)
    }

    /// Runs the manager there, as a deployed one: no cargo and no plugin.
    fn run(&self, line: &str, variables: &[(&str, &str)]) -> Outcome {
        let line = Line::new(&workspace().1, self.0.path()).args(line.split_whitespace());
        variables.iter().fold(line, |line, (name, value)| line.env(name, value)).run()
    }
}

#[test]
fn the_file_of_the_workspaces_root_is_read_wherever_the_command_is_run() {
    let (workspace, _) = workspace();
    for (file, end) in [(".env", "\n"), (".env", "\r\n"), ("xtask/.env", "\r\n")] {
        let (ours, cargos) = (TestDatabase::new(), TestDatabase::new());
        let package = workspace.manager_name();
        for (database, program, args) in [
            (&ours, plugin(), vec!["execute"]),
            (&cargos, "cargo".into(), vec!["run", "--quiet", "--package", package, "--", "execute"]),
        ] {
            let lines = [
                "# For development.".to_owned(),
                format!("export MONGO_URI=\"{}\"", server_uri()),
                String::new(),
                format!("NAME={}", database.name()),
                "MONGO_DATABASE=${NAME} # this one".to_owned(),
            ];
            workspace.write(file, &(lines.join(end) + end));
            let outcome = Line::new(program, &workspace.path("mongomigrations")).args(args).run();
            // The plugin is for the complete workspace, `cargo run` for one package.
            if file == ".env" || database.name() == cargos.name() {
                outcome.exits(0);
                assert_eq!(database.trace(), ["up 0001"], "{file} {end:?}");
            } else {
                assert_has(&outcome.exits(2).stderr, &["no MongoDB server is configured"]);
            }
        }
        std::fs::remove_file(workspace.path(file)).unwrap();
    }
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_code() {
    let [of_file, of_shell] = [(); 2].map(|()| TestDatabase::new());
    let place = Place::new(format!("MONGO_URI={}\nMONGO_DATABASE={}\n", server_uri(), of_file.name()));
    place.run("execute", &[]).exits(0);
    assert_eq!((of_file.trace().len(), of_shell.trace().len()), (1, 0));
    place.run("execute", &[("MONGO_DATABASE", of_shell.name())]).exits(0);
    assert_eq!((of_file.trace().len(), of_shell.trace().len()), (1, 1));
    // Also with a value that is no use, and with an empty one.
    let outcome = place.run("execute", &[("MONGO_URI", "nonsense")]).exits(2);
    assert_has(&outcome.stderr, &["error: MONGO_URI is not a valid connection string"]);
    assert_has(&place.run("execute", &[("MONGO_URI", "")]).exits(2).stderr, &["no MongoDB server is configured"]);

    let place = Place::new(format!("MONGO_URI={}\n", server_uri()));
    assert_has(&place.run("", &[]).exits(0).stderr, &["Database of_the_code on "]);
}

#[test]
fn the_variables_of_environments_may_be_in_the_file() {
    let [of_file, of_shell] = [(); 2].map(|()| TestDatabase::new());
    let uri_of = |database: &TestDatabase| server_uri().replace("/?", &format!("/{}?", database.name()));
    let place = Place::new(format!("STAGING_MONGO_URI='{}'\n", uri_of(&of_file)));
    place.run("staging execute", &[]).exits(0);
    assert_eq!(of_file.trace(), ["up 0001"]);
    place.run("staging execute", &[("STAGING_MONGO_URI", &uri_of(&of_shell))]).exits(0);
    assert_eq!(of_shell.trace(), ["up 0001"]);
    let outcome = Place::new("OTHER=1\n").run("staging execute", &[]).exits(2);
    assert_has(&outcome.stderr, &["takes its server from STAGING_MONGO_URI, which is not set"]);
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_that_shows_none_of_it() {
    let database = TestDatabase::new();
    let uri = server_uri();
    for (text, expected) in [
        (&b"A=b\nMONGO_USER_PASSWORD=hush hush\n"[..], "error: line 2 of "),
        (b"MONGO_USER_PASSWORD='hush\n", "error: line 1 of "),
        (b"hush\n", "error: line 1 of "),
        (b"MONGO_USER_PASSWORD=hush\xff\n", "/.env is not valid UTF-8"),
    ] {
        let place = Place::new(text);
        for line in ["execute", "staging execute"] {
            let set = [("MONGO_URI", uri), ("MONGO_DATABASE", database.name()), ("STAGING_MONGO_URI", uri)];
            let outcome = place.run(line, &set).exits(2);
            assert_has(&outcome.stderr, &[expected, "/.env", "\nhint: "]);
            assert!(!outcome.stderr.contains("hush"), "{}", outcome.stderr);
        }
    }
    let outcome = Place::new("MONGO_URI=localhost\n").run("execute", &[]).exits(2);
    assert_has(&outcome.stderr, &["error: MONGO_URI in .env is not a valid connection string"]);
    let outcome = Place::new("MONGO_DATABASE=\"a\\nb\"\n").run("execute", &[("MONGO_URI", uri)]).exits(2);
    assert_has(&outcome.stderr, &["error: MONGO_DATABASE ", "\nhint: "]);
    assert!(database.collections().is_empty());
}

#[test]
fn a_manager_that_does_not_ask_for_the_file_does_not_read_it() {
    let place = Place::new(format!("MONGO_URI={}\nMONGO_DATABASE=of_the_file\n", server_uri()));
    let line = Line::new(simple().path("manager"), place.0.path()).args(["execute"]);
    assert_has(&line.run().exits(2).stderr, &["no MongoDB server is configured"]);
}
