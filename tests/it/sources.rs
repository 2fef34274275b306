//! The git commit of the sources, as the registry, the log and `history` have it.

use std::path::Path;
use std::process::Command;

use cargo_migrations::mongodb::bson::Document;

use super::support::{Line, TestDatabase, Workspace, assert_has, simple};

/// Runs git in a folder, and returns what it prints.
fn git(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["-c", "user.name=tester", "-c", "user.email=tester@localhost"]).args(args);
    let output = command.output().expect("git");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn commit_all(folder: &Path) -> String {
    git(folder, &["add", "--all"]);
    git(folder, &["commit", "--quiet", "--allow-empty", "--message", "a change"]);
    git(folder, &["rev-parse", "HEAD"])
}

fn committed() -> (Workspace, String) {
    let workspace = Workspace::new();
    workspace.tracing_migration("0001_a.rs");
    // Cargo completes the lock file at some time during the first build.
    workspace.write(".gitignore", "/target\n/mongodumps\n/manager\n/Cargo.lock\n");
    git(workspace.root(), &["init", "--quiet"]);
    let commit = commit_all(workspace.root());
    (workspace, commit)
}

fn sources(document: &Document) -> (Option<&str>, Option<bool>) {
    (document.get_str("commit").ok(), document.get_bool("dirty").ok())
}

fn entry(database: &TestDatabase, name: &str) -> Document {
    database.documents("migrations").into_iter().find(|entry| entry.get_str("name").unwrap() == name).unwrap()
}

#[test]
fn the_registry_and_the_log_have_the_commit_and_whether_the_tree_had_changes() {
    let (workspace, first) = committed();
    let database = TestDatabase::new();
    workspace.run("execute", &database).exits(0);
    assert_eq!(sources(&entry(&database, "0001_a.rs")), (Some(&*first), Some(false)));
    let started = &database.documents("migrations_log")[0];
    assert_eq!((started.get_str("event").unwrap(), sources(started)), ("run_started", (Some(&*first), Some(false))));

    workspace.tracing_migration("0002_b.rs");
    workspace.run("execute", &database).exits(0);
    assert_eq!(sources(&entry(&database, "0002_b.rs")), (Some(&*first), Some(true)));
    let history = workspace.run("history:2", &database).exits(0).stdout;
    assert_has(&history, &["COMMIT", &format!(" {} (dirty)", &first[..9])]);
    let json = workspace.run("history:1 --format json", &database).exits(0).json();
    assert_eq!((&json["events"][0]["commit"], &json["events"][0]["dirty"]), (&first.as_str().into(), &false.into()));

    // A commit alone builds nothing again, and is known all the same.
    let second = commit_all(workspace.root());
    let built =
        || std::fs::metadata(workspace.path("target/debug").join(workspace.manager_name())).unwrap().modified().unwrap();
    let before = built();
    workspace.run("rollback:2 ignore:2", &database).exits(0);
    assert_eq!(built(), before);
    assert_eq!(sources(&entry(&database, "0002_b.rs")), (Some(&*second), Some(false)));

    // Without the plugin, a development build says what it can be sure of.
    let manager = workspace.built_manager();
    let run = |line: &str| Line::new(&manager, workspace.root()).args(line.split(' ')).on(&database).run().exits(0);
    workspace.tracing_migration("0003_c.rs");
    workspace.run("check", &database).exits(0);
    let manager_now = workspace.built_manager();
    Line::new(&manager_now, workspace.root()).args(["execute"]).on(&database).run().exits(0);
    assert_eq!(sources(&entry(&database, "0003_c.rs")), (Some(&*second), None));
    commit_all(workspace.root());
    run("rollback:2");
    run("ignore:2");
    assert_eq!(sources(&entry(&database, "0002_b.rs")), (None, None));
}

#[test]
fn a_worktree_has_a_commit_of_its_own_and_git_need_not_be_installed() {
    let (workspace, first) = committed();
    let database = TestDatabase::new();
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("side");
    git(workspace.root(), &["worktree", "add", "--quiet", "-b", "side", tree.to_str().unwrap()]);
    let side = commit_all(&tree);
    assert_ne!(side, first);
    // A git that always fails.
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink("/bin/false", bin.join("git")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let plugin = super::support::plugin();
    Line::new(plugin, &tree).args(["execute"]).on(&database).env("PATH", path).run().exits(0);
    assert_eq!(sources(&entry(&database, "0001_a.rs")), (Some(&*side), None));
    super::support::clean(&tree);
}

#[test]
fn outside_a_repository_nothing_is_stored_or_shown() {
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    assert_eq!(sources(&entry(&database, "0001_a.rs")), (None, None));
    assert!(!simple().run("history", &database).exits(0).stdout.contains("COMMIT"));
}
