//! The migration files: what is picked up, and what is reported about invalid ones.

use std::path::Path;

use super::support::{TestDatabase, Workspace, assert_has, fixture};

#[test]
fn new_edited_and_removed_files_are_picked_up_by_the_next_run() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    let outcome = workspace.run("execute", &database).exits(0);
    assert_has(&outcome.stderr, &["nothing to execute"]);
    workspace.tracing_migration("0001_a.rs");
    workspace.run("execute", &database).exits(0);
    assert_eq!(database.trace(), ["up 0001"]);

    let text =
        workspace.read("mongomigrations/0001_a.rs").replace("up 0001", "edited").replace("Leave a trace", "Was edited");
    workspace.migration("0001_a.rs", &text);
    workspace.run("rollback:1 execute:1", &database).exits(0);
    assert_eq!(database.trace(), ["up 0001", "down 0001", "edited"]);
    let status = workspace.run("", &database).exits(0);
    assert_has(&status.stdout, &["Was edited of 0001."]);

    std::fs::remove_file(workspace.path("mongomigrations/0001_a.rs")).unwrap();
    let status = workspace.run("--format json", &database).exits(0).json();
    assert_eq!(status["migrations"][0]["state"], "missing");
    assert_eq!(status["unregistered"], 0);
    let outcome = workspace.run("--check", &database).exits(4);
    assert_has(&outcome.stderr, &["`0001_a` is registered, but has no file", "1 migration missing on"]);
    assert!(!outcome.stderr.contains("all migrations are registered"), "{}", outcome.stderr);
    workspace.run("execute --strict", &database).exits(3);
    assert_has(&workspace.run("execute", &database).exits(0).stderr, &["warning: `0001_a` is registered, but has no file"]);
}

#[test]
fn the_build_succeeds_and_the_manager_reports_what_is_wrong_with_the_files() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    workspace.tracing_migration("0001_a.rs");
    let directory = workspace.path("mongomigrations").canonicalize().unwrap();
    let shown = |name: &str| directory.join(name).display().to_string();

    // Each by itself, and none may cost anything: nothing runs, not even the good file.
    let wrong = |name: &str, text: &[u8], expected: &str| {
        std::fs::write(directory.join(name), text).unwrap();
        let outcome = workspace.run("execute", &database).exits(2);
        assert_has(&outcome.stderr, &[expected, &shown(name), "\nhint: "]);
        assert!(
            outcome.stderr.starts_with("error: ") && outcome.stderr.lines().count() == 2,
            "one message and its hint: {}",
            outcome.stderr
        );
        std::fs::remove_file(directory.join(name)).unwrap();
    };
    wrong("0002-dashes.rs", b"", r"does not match `(?P<migr_nr>[0-9]+)_[a-z0-9_]+\.rs`");
    wrong("0002_Upper.rs", b"", "does not match");
    wrong("helper.rs", b"pub async fn up() {}", "does not match");
    wrong("0002_empty.rs", b"//! Nothing.\n", "has no `pub async fn up`");
    wrong("0002_private.rs", b"async fn up() {}\n", "has no `pub async fn up`");
    wrong("0002_latin.rs", b"//! caf\xe9\npub async fn up() {}\n", "is not valid UTF-8");
    std::fs::create_dir(directory.join("2026")).unwrap();
    wrong("2026/0005_x.rs", b"pub async fn up() {}\n", "is in a sub-folder of the migrations directory");
    assert!(database.collections().is_empty());

    // Other files are ignored.
    workspace.migration("mod.rs", "// for the editor\n");
    workspace.migration("notes.txt", "");
    workspace.migration("0001_a.rs~", "");
    workspace.write("mongomigrations/shared/helper.rs", "");
    // An editor's lock.
    std::os::unix::fs::symlink("tester@host.4711:1770000000", directory.join(".#0001_a.rs")).unwrap();
    workspace.run("execute", &database).exits(0);
    assert_eq!(database.trace(), ["up 0001"]);

    // Help is of use all the same.
    workspace.migration("wrong.rs", "");
    workspace.line(["help"]).run().exits(0);

    std::fs::remove_dir_all(&directory).unwrap();
    let outcome = workspace.run("show_status", &database).exits(2);
    let expected = format!("error: the migrations directory {} does not exist\nhint: create it", directory.display());
    assert_has(&outcome.stderr, &[&expected]);
    std::fs::create_dir(&directory).unwrap();
    workspace.run("show_status", &database).exits(0);
}

#[test]
fn a_pattern_that_cannot_be_used_is_told() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    for (pattern, expected) in [("(", "is not a valid regular expression"), ("[0-9]+_.*", "has no group named migr_nr")] {
        workspace.write(
            "xtask/build.rs",
            &format!("fn main() {{\n    cargo_migrations::build::embed(\"../mongomigrations\").pattern({pattern:?});\n}}\n"),
        );
        let outcome = workspace.run("", &database).exits(2);
        assert_has(&outcome.stderr, &["error: the file pattern", expected]);
    }
}

#[test]
fn a_second_call_of_embed_is_a_problem_whichever_sets_a_pattern() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    workspace.tracing_migration("0001_a.rs");
    workspace.write("more/0002_b.rs", &fixture("templates/0000_trace.rs").replace("0000", "0002"));
    let pattern = ".pattern(r\"(?P<migr_nr>[0-9]+)_.*\\.rs\")";
    for (first, second) in [(pattern, ""), ("", pattern)] {
        workspace.write(
            "xtask/build.rs",
            &format!(
                "use cargo_migrations::build::embed;\n\nfn main() {{\n    embed(\"../mongomigrations\"){first};\n    \
                 embed(\"../more\"){second};\n}}\n"
            ),
        );
        let outcome = workspace.run("execute", &database).exits(2);
        let expected = "error: build.rs calls `embed` more than once, for `../mongomigrations` and `../more`";
        assert_has(&outcome.stderr, &[expected, "\nhint: keep one of the calls"]);
    }
    assert!(database.collections().is_empty());

    // Setting a pattern is not a second call.
    workspace
        .write("xtask/build.rs", &format!("fn main() {{\n    cargo_migrations::build::embed(\"../more\"){pattern};\n}}\n"));
    workspace.run("execute", &database).exits(0);
    assert_eq!(database.trace(), ["up 0002"]);
}

#[test]
fn numbers_of_any_length_order_the_run_and_shared_ones_are_a_warning() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    let long = "1234567890123456789012345678901234567890";
    for name in [&format!("{long}_long.rs"), "9_nine.rs", "10_ten.rs", "010_ten_b.rs", "0_zero.rs"] {
        workspace.tracing_migration(name);
    }
    let outcome = workspace.run("execute", &database).exits(0);
    assert_eq!(database.trace(), ["up 0", "up 9", "up 010", "up 10", &format!("up {long}")]);
    assert_has(&outcome.stderr, &["warning: `010_ten_b`, `10_ten` have the same number, 010, and run in order of name"]);
    let outcome = workspace.run("rollback:10", &database).exits(2);
    assert_has(&outcome.stderr, &["`10` names 2 migrations: `010_ten_b`, `10_ten`\nhint: give the complete name"]);
    workspace.run(&format!("rollback:{long}"), &database).exits(0);
    let status = workspace.run("--format json", &database).exits(0).json();
    assert_eq!(status["migrations"][4]["number"], long);
}

#[test]
fn compile_errors_point_at_the_users_file() {
    let workspace = Workspace::new();
    workspace.copy_fixture("typo");
    let outcome = workspace.line(["execute"]).run().exits(101);
    assert_has(&outcome.stderr, &["no method named `colection`", "mongomigrations/0001_typo.rs:4:8"]);
    workspace.migration("0001_typo.rs", &fixture("templates/0000_takes_text.rs"));
    let outcome = workspace.line(["execute"]).run().exits(101);
    assert_has(&outcome.stderr, &["this function cannot be a migration's `up` or `down`", "take `&Db`"]);
}

#[test]
fn the_sample_migrations_are_formatted() {
    // `cargo fmt` does not follow files that a build script includes.
    let mut files: Vec<_> = std::fs::read_dir(Path::new(super::support::CRATE).join("mongomigrations"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let status = std::process::Command::new("rustfmt").args(["--edition", "2024", "--check"]).args(&files).status().unwrap();
    assert!(status.success());
}
