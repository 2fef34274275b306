//! `adopt`: the records of other tools. Those that npm and PyPI have are installed and write their records themselves. The others'
//! are documents of the form that their sources show.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use cargo_migrations::mongodb::bson::oid::ObjectId;
use cargo_migrations::mongodb::bson::{DateTime, Document, doc};

use super::support::{Line, Outcome, TestDatabase, assert_has, places, server_uri, simple};

/// The folder of the installed tools. `None`, with a note, if there is no npm.
fn tools() -> Option<&'static Path> {
    static TOOLS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = TOOLS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools");
        let (node, python) = (folder.join("node"), folder.join("python"));
        if Command::new("npm").arg("--version").output().is_err() {
            return None;
        }
        let packages = ["migrate-mongo@12.1.3", "mongodb@6", "mongo-migrate-kit@1.3.0"];
        if !node.join("done").exists() {
            std::fs::create_dir_all(&node).unwrap();
            let npm = Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--prefix"])
                .arg(&node)
                .args(packages)
                .output();
            assert_success("npm install", &npm.unwrap());
            std::fs::write(node.join("done"), "").unwrap();
        }
        let packages = ["pymongo-migrate==1.0.0", "mongodb-migrations==1.3.1", "mongomig==0.4.2"];
        if !python.join("done").exists() {
            let pip = Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
                .arg(&python)
                .args(packages)
                .output();
            assert_success("pip install", &pip.unwrap());
            std::fs::write(python.join("done"), "").unwrap();
        }
        Some(folder)
    });
    if found.is_none() {
        skipped();
    }
    found.as_deref()
}

#[expect(clippy::print_stderr, reason = "it is shown with the test's result")]
fn skipped() {
    eprintln!("skipped: there is no npm");
}

#[track_caller]
fn assert_success(what: &str, output: &std::process::Output) {
    let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {shown}");
}

/// A folder with files, and a program of the installed tools that runs in it.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self { folder }
    }

    fn run(&self, mut command: Command) {
        command.current_dir(self.folder.path());
        assert_success(&format!("{command:?}"), &command.output().unwrap());
    }

    fn node(&self, tools: &Path, program: &str, args: &[&str]) {
        let mut command = Command::new(tools.join("node/node_modules/.bin").join(program));
        command.args(args);
        self.run(command);
    }

    fn python(&self, tools: &Path, program: &str, args: &[&str], variables: &[(&str, &str)]) {
        let python = tools.join("python");
        let mut command = Command::new("python3");
        command.arg(python.join("bin").join(program)).args(args).env("PYTHONPATH", python).envs(variables.iter().copied());
        self.run(command);
    }
}

/// The connection string of the shared server with that database in it.
fn uri_of(database: &TestDatabase) -> String {
    server_uri().replacen("/?", &format!("/{}?", database.name()), 1)
}

const SCRIPT: &str = "module.exports = { async up() {}, async down() {} };";

fn adopt(database: &TestDatabase, line: &str) -> Outcome {
    simple().run(line, database)
}

fn registered(database: &TestDatabase) -> Vec<Document> {
    database.documents("migrations")
}

/// Adopts two records, checks what became of them, and that theirs is as it was.
#[track_caller]
fn adopts_two(database: &TestDatabase, tool: &str, collection: &str) -> Vec<Document> {
    let theirs = database.documents(collection);
    assert!(!theirs.is_empty(), "{tool} wrote its records to {collection}");
    let refused = adopt(database, &format!("adopt:{tool}")).exits(3);
    assert_has(&refused.stderr, &["confirmation is needed"]);
    assert!(registered(database).is_empty());
    let outcome = adopt(database, &format!("adopt:{tool} --yes")).exits(0);
    assert_has(&outcome.stderr, &["Adopted 0001_a", "Adopted 0002_b", "2 migrations adopted on "]);
    assert_has(&outcome.stdout, &["THEIRS", "MATCHED BY", "0001_a", "0002_b"]);
    assert_eq!(database.documents(collection), theirs);
    let entries = registered(database);
    for (entry, name) in entries.iter().zip(["0001_a.rs", "0002_b.rs"]) {
        assert_eq!((entry.get_str("name").unwrap(), entry.get_str("state").unwrap()), (name, "registered"));
        let from = entry.get_document("adopted_from").unwrap();
        assert_eq!((from.get_str("tool").unwrap(), from.get_str("collection").unwrap()), (tool, collection));
        assert!(!entry.get_str("checksum").unwrap().is_empty());
    }
    assert_eq!(entries.len(), 2);
    assert!(database.trace().is_empty(), "nothing was run");
    let starts =
        database.documents("migrations_log").into_iter().filter(|event| event.get_str("event").unwrap() == "run_started");
    assert_eq!(starts.count(), 1);
    // What is left is run.
    let again = adopt(database, &format!("adopt:{tool} --yes")).exits(0);
    assert_has(&again.stdout, &["(registered already)"]);
    simple().run("execute", database).exits(0);
    assert_eq!(database.trace(), ["up 0010"]);
    entries
}

#[test]
fn from_migrate_mongo() {
    let (Some(tools), database) = (tools(), TestDatabase::new()) else { return };
    let config = format!(
        "module.exports = {{ mongodb: {{ url: '{}', databaseName: '{}', options: {{}} }}, migrationsDir: 'migrations', \
         changelogCollectionName: 'changelog', migrationFileExtension: '.js', useFileHash: false, moduleSystem: 'commonjs' }};",
        server_uri(),
        database.name()
    );
    let files =
        [("migrate-mongo-config.js", &*config), ("migrations/0001-a.js", SCRIPT), ("migrations/0002-other.js", SCRIPT)];
    Project::new(&files).node(tools, "migrate-mongo", &["up"]);
    let entries = adopts_two(&database, "migrate-mongo", "changelog");
    let theirs = database.documents("changelog");
    assert_eq!(entries[0].get_datetime("registered_at").unwrap(), theirs[0].get_datetime("appliedAt").unwrap());
    assert!(!entries[0].contains_key("where"), "it does not record the host");
}

#[test]
fn from_mongo_migrate_kit() {
    let (Some(tools), database) = (tools(), TestDatabase::new()) else { return };
    let files = [("migrations/0001-a.js", SCRIPT), ("migrations/0002-b.js", SCRIPT), ("migrations/0010-c.js", SCRIPT)];
    let project = Project::new(&files);
    let server = ["--uri", server_uri(), "--db", database.name(), "--dir", "migrations"];
    project.node(tools, "mmk", &[&["up"], &server[..]].concat());
    // What was rolled back does not count.
    project.node(tools, "mmk", &[&["down", "0010-c.js"], &server[..]].concat());
    let entries = adopts_two(&database, "mongo-migrate-kit", "_mmk_migrations");
    assert!(entries[0].get_i64("duration_ms").is_ok());
    assert!(!entries[0].get_str("who").unwrap().is_empty());
}

#[test]
fn from_pymongo_migrate() {
    let (Some(tools), database) = (tools(), TestDatabase::new()) else { return };
    let file = |name: &str, after: &str| {
        format!(
            "name = '{name}'\ndependencies = [{after}]\n\n\ndef upgrade(db):\n    pass\n\n\ndef downgrade(db):\n    pass\n"
        )
    };
    let (one, two) = (file("0001_a", ""), file("0002_b", "'0001_a'"));
    let project = Project::new(&[("migrations/0001_a.py", &one), ("migrations/0002_b.py", &two)]);
    project.python(tools, "pymongo-migrate", &["migrate", "-u", &uri_of(&database), "-m", "migrations"], &[]);
    adopts_two(&database, "pymongo-migrate", "pymongo_migrate");
}

#[test]
fn from_mongodb_migrations() {
    let (Some(tools), database) = (tools(), TestDatabase::new()) else { return };
    let file = "from mongodb_migrations.base import BaseMigration\n\n\nclass Migration(BaseMigration):\n    def upgrade(self):\n        \
                pass\n\n    def downgrade(self):\n        pass\n";
    let project = Project::new(&[("migrations/0001_x.py", file), ("migrations/0002_y.py", file)]);
    project.python(tools, "mongodb-migrate", &["--url", &uri_of(&database), "--migrations", "migrations"], &[]);
    adopts_two(&database, "mongodb-migrations", "database_migrations");
}

#[test]
fn from_mongomig() {
    let (Some(tools), database) = (tools(), TestDatabase::new()) else { return };
    let project = Project::new(&[]);
    let variables = [("MONGODB_URI", server_uri()), ("MONGODB_DATABASE", database.name())];
    for args in [&["init"][..], &["revision", "-m", "a"], &["revision", "-m", "b"], &["upgrade"]] {
        project.python(tools, "mongomig", args, &variables);
    }
    let entries = adopts_two(&database, "mongomig", "__mongomig_migrations");
    assert!(!entries[0].get_str("where").unwrap().is_empty());
    assert!(entries[0].get_i64("duration_ms").is_ok());
}

#[test]
fn from_mongock() {
    let database = TestDatabase::new();
    let at = DateTime::from_millis(1_700_000_000_000);
    let record = |id: &str, state: &str| {
        doc! {
            "_id": ObjectId::new(), "executionId": "1", "changeId": id, "author": "ann", "timestamp": at, "state": state,
            "type": "EXECUTION", "changeLogClass": "a.B", "changeSetMethod": "c", "executionMillis": 12_i64,
            "executionHostname": "web-1", "systemChange": false,
        }
    };
    database.insert("mongockChangeLog", [record("0001-a", "EXECUTED"), record("0002", "FAILED")]);
    let outcome = adopt(&database, "adopt:mongock --yes").exits(3);
    assert_has(&outcome.stderr, &["error: mongock says that these are not done: `0002 (FAILED)`. Nothing was registered"]);
    assert!(registered(&database).is_empty());
    database.insert("mongockChangeLog", [record("0002", "EXECUTED")]);
    let entries = adopts_two(&database, "mongock", "mongockChangeLog");
    assert_eq!(entries[0].get_datetime("registered_at").unwrap(), &at);
    assert_eq!((entries[0].get_str("who").unwrap(), entries[0].get_str("where").unwrap()), ("ann", "web-1"));
    assert_eq!(entries[0].get_i64("duration_ms").unwrap(), 12);
}

#[test]
fn from_golang_migrate() {
    let database = TestDatabase::new();
    let version = |dirty: bool| [doc! { "version": 2_i64, "dirty": dirty }];
    database.insert("theirs", version(true));
    let outcome = adopt(&database, "adopt:golang-migrate,from=theirs --yes").exits(3);
    assert_has(&outcome.stderr, &["golang-migrate says that these are not done: `2 (dirty)`"]);
    database.insert("schema_migrations", version(false));
    adopts_two(&database, "golang-migrate", "schema_migrations");
}

#[test]
fn what_matches_nothing_is_listed_and_refused_without_yes() {
    let database = TestDatabase::new();
    let theirs = ["0001-a.js", "20240101-unknown.js"].map(|name| doc! { "fileName": name, "appliedAt": DateTime::now() });
    database.insert("changelog", theirs);
    let outcome = adopt(&database, "adopt:migrate-mongo").exits(3);
    let message =
        "1 migration of migrate-mongo matches none of the files here: `20240101-unknown.js`. Nothing was registered";
    assert_has(&outcome.stderr, &[message, "hint: name the files here as there, or pass `--yes`"]);
    assert_has(&outcome.stdout, &["20240101-unknown.js", "nothing"]);
    assert_eq!(database.collections(), ["changelog"]);
    let json = adopt(&database, "adopt:migrate-mongo --yes --format json").exits(0).json_lines();
    let records: Vec<_> = json[0]["records"].as_array().unwrap().iter().map(|record| record["matched_by"].clone()).collect();
    assert_eq!(records, ["name", "nothing"]);
    assert_eq!(database.registered(), ["0001_a.rs"]);
}

#[test]
fn a_wrong_tool_or_collection_is_an_error_and_nothing_is_written() {
    let database = TestDatabase::new();
    database.insert("other", [doc! { "_id": 7, "x": 1 }]);
    for (line, expected) in [
        ("adopt", "adopt needs the name of a tool"),
        ("adopt:liquibase", "liquibase"),
        ("adopt:mongock", "the collection `mongockChangeLog` on "),
        ("adopt:mongock,from=other", "the document with the `_id` 7 in `other` on "),
    ] {
        let outcome = adopt(&database, line).exits(2);
        assert_has(&outcome.stderr, &[expected, "hint: "]);
    }
    assert_eq!(database.collections(), ["other"]);
}

#[test]
fn several_databases_adopt_after_one_question() {
    let tenants: Vec<_> = (0..2).map(|_| TestDatabase::new()).collect();
    let names = tenants.iter().map(TestDatabase::name).collect::<Vec<_>>().join(",");
    let run = |args: &str| {
        let line = Line::new(places().path("manager"), places().root()).args(args.split_whitespace());
        line.env("MONGO_URI", server_uri()).env("LISTED", &names).run()
    };
    let records = |names: &[&str]| -> Vec<_> {
        names.iter().map(|name| doc! { "fileName": format!("{name}.js"), "appliedAt": DateTime::now() }).collect()
    };
    tenants[0].insert("changelog", records(&["0001_a"]));
    tenants[1].insert("changelog", records(&["0001_a", "0002_slow", "0099_other"]));
    // If one of them is refused, nothing is adopted on any of them.
    run("listed adopt:migrate-mongo").exits(3);
    assert!(tenants.iter().all(|tenant| tenant.registered().is_empty()));
    run("listed adopt:migrate-mongo --yes").exits(0);
    assert_eq!(tenants[0].registered(), ["0001_a.rs"]);
    assert_eq!(tenants[1].registered(), ["0001_a.rs", "0002_slow.rs"]);
}
