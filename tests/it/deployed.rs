//! The manager by itself: one file in an empty folder, with no cargo, no sources, and nothing set but MONGO_URI.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::support::{Line, Outcome, TestDatabase, Workspace, assert_has, fixture, server_uri};

fn run(binary: &Path, args: &str, uri: Option<&str>) -> Outcome {
    let folder = binary.parent().unwrap();
    let mut command = Command::new(binary);
    command.current_dir(folder).env_clear().args(args.split_whitespace()).envs(uri.map(|uri| ("MONGO_URI", uri)));
    Outcome::new(args.to_owned(), command.output().unwrap())
}

#[test]
fn one_file_of_a_release_build_does_everything_that_needs_no_sources() {
    let database = TestDatabase::new();
    let workspace = Workspace::new();
    workspace.manager_source(&fixture("deployed/xtask/src/main.rs").replace("DATABASE", database.name()));
    ["0001_a.rs", "0002_b.rs", "0003_c.rs"].iter().for_each(|name| workspace.tracing_migration(name));
    let manifest = workspace.read("xtask/Cargo.toml");
    workspace.write("xtask/Cargo.toml", &manifest.replace("[\"manager\"]", "[\"manager\", \"srv\"]"));
    let package = workspace.manager_name();
    Line::new("cargo", workspace.root()).args(["build", "--quiet", "--release", "--package", package]).run().exits(0);
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("manager");
    std::fs::copy(workspace.path("target/release").join(package), &binary).unwrap();
    let run = |args: &str| run(&binary, args, Some(server_uri()));

    let status = run("").exits(0);
    assert_has(&status.stdout, &["0003_c  unregistered"]);
    assert_has(&status.stderr, &["hint: run them with `manager execute`\n"]);
    run("--check").exits(4);
    assert_has(&run("execute:1").exits(0).stderr, &["Executed 0001_a"]);
    run("ignore:2").exits(0);
    run("execute").exits(0);
    assert_has(&run("rollback:3").exits(0).stderr, &["Rolled back 0003_c"]);
    assert_eq!(database.trace(), ["up 0001", "up 0003", "down 0003"]);
    assert_has(&run("history").exits(0).stdout, &["rollback"]);
    run("unlock").exits(0);
    run("dbdump").exits(0);
    // Dumps go to the working folder.
    assert!(folder.path().join("mongodumps").is_dir());
    assert_has(&run("dumps").exits(0).stdout, &[database.name()]);
    run("dbdump:verify=latest").exits(0);
    run("restore:latest --yes").exits(0);
    let usage = "Usage: manager [FLAGS] [TASK...]\n";
    assert_has(&run("help").exits(0).stdout, &[usage, "execute[:MIGRATION|to=…]"]);
    assert_has(&run("--help").exits(0).stdout, &[usage, "`manager help` lists the subtasks"]);
    assert_has(&run("generate:x").exits(2).stderr, &["hint: `manager help` lists them\n"]);
    run("--version").exits(0);
    // Where there is no cargo, none of this can be followed.
    for line in ["", "help", "help:execute", "--help", "qqq", "rollback", "init", "new:x", "init --path .", "execute:77"] {
        let outcome = run(line);
        for text in [&outcome.stdout, &outcome.stderr] {
            let advises = text.contains("cargo migrations") || text.contains("new:NAME") || text.contains("\n  init ");
            assert!(!advises, "{line}: {text}");
        }
    }
    for task in ["init", "new:x"] {
        assert_has(&run(task).exits(2).stderr, &["needs the sources"]);
    }
    assert_has(&run("mongod:start").exits(2).stderr, &["a release build starts no local server"]);
    let nowhere = super::deployed::run(&binary, "", None).exits(2);
    assert_has(
        &nowhere.stderr,
        &["no MongoDB server is configured, and a release build starts no local server", "hint: set MONGO_URI"],
    );
    an_srv_record_is_looked_up(&binary);
    // Nothing of the machine that it was built on is needed: the folder holds what it made, and no more.
    let made: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made.len(), 2, "{made:?}");
    super::support::clean(workspace.root());
}

/// With the feature `srv`, which the managers of other tests do without.
fn an_srv_record_is_looked_up(binary: &Path) {
    let since = Instant::now();
    let at = |host: &str| run(binary, "", Some(&format!("mongodb+srv://deploy:p%40ss-w0rd@{host}/blog")));
    let outcome = at("cluster0.example.invalid").exits(1);
    assert_has(&outcome.stderr, &["error: the name service has no SRV record for cluster0.example.invalid"]);
    assert!(since.elapsed() < Duration::from_secs(15));
    assert!(!outcome.stderr.contains("w0rd"), "{}", outcome.stderr);
    assert_has(&at("cluster0.example.invalid:1").exits(2).stderr, &["error: MONGO_URI is not a valid connection string"]);
}
