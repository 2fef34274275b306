//! The built-in subtasks.

use cargo_migrations::mongodb::bson::doc;
use serde_json::json;
use snapbox::{assert_data_eq, str};

use super::support::{Line, TestDatabase, assert_has, blog, places, simple};

#[test]
fn status_of_a_new_database() {
    let database = TestDatabase::new();
    let outcome = simple().run("", &database).exits(0);
    assert_data_eq!(
        outcome.stdout_of(&database),
        str![[r#"
NAME    STATE         WHEN  TOOK  DESCRIPTION
0001_a  unregistered              Leave a trace of 0001.
0002_b  unregistered              Leave a trace of 0002.
0010_c  unregistered              Leave a trace of 0010.

"#]]
    );
    assert_data_eq!(
        outcome.stderr_of(&database),
        str![[r#"
    Database DATABASE on 127.0.0.1:PORT
      Status 3 migrations unregistered on DATABASE
hint: run them with `cargo migrations execute`

"#]]
    );
    assert!(database.collections().is_empty(), "show_status writes nothing");
}

#[test]
fn status_in_every_state() {
    let database = TestDatabase::new();
    simple().run("execute:1 ignore:2", &database).exits(0);
    database.insert("migrations", [doc! { "name": "0005_gone.py" }]);
    let outcome = simple().run("show_status", &database).exits(0);
    assert_data_eq!(
        outcome.stdout_of(&database),
        str![[r#"
NAME       STATE         WHEN                  TOOK   DESCRIPTION
0001_a     registered    2026-01-02 03:04:05Z  0.00s  Leave a trace of 0001.
0002_b     ignored       2026-01-02 03:04:05Z         Leave a trace of 0002.
0005_gone  missing
0010_c     unregistered                               Leave a trace of 0010.

"#]]
    );
    assert_data_eq!(
        outcome.stderr_of(&database),
        str![[r#"
    Database DATABASE on 127.0.0.1:PORT
warning: `0005_gone` is registered, but has no file
hint: use a build that has the file, or bring it back. If it was removed for good, `cargo migrations forget:0005_gone` takes the migration out of the registry
      Status 1 unregistered, 1 missing on DATABASE
hint: run it with `cargo migrations execute`

"#]]
    );
}

#[test]
fn status_as_json() {
    let database = TestDatabase::new();
    simple().run("execute:1 ignore:2", &database).exits(0);
    database.insert("migrations", [doc! { "name": "0005_gone.py" }]);
    let outcome = simple().run("--format json", &database).exits(0);
    assert_eq!(outcome.stdout.lines().count(), 1, "one document and nothing else");
    let mut status = outcome.json();
    for migration in status["migrations"].as_array_mut().unwrap() {
        if migration["registered_at"].is_string() {
            migration["registered_at"] = "then".into();
        }
    }
    assert_eq!(
        status,
        json!({
            "database": database.name(),
            "migrations": [
                { "name": "0001_a.rs", "number": "0001", "state": "registered", "registered_at": "then", "description": "Leave a trace of 0001." },
                { "name": "0002_b.rs", "number": "0002", "state": "ignored", "registered_at": "then", "description": "Leave a trace of 0002." },
                { "name": "0005_gone.py", "number": "0005", "state": "missing", "registered_at": null, "description": null },
                { "name": "0010_c.rs", "number": "0010", "state": "unregistered", "registered_at": null, "description": "Leave a trace of 0010." },
            ],
            "unregistered": 1,
        })
    );
}

#[test]
fn check_exits_4_while_something_is_unregistered() {
    let database = TestDatabase::new();
    let outcome = simple().run("--check", &database).exits(4);
    assert_has(
        &outcome.stderr,
        &["error: 3 migrations are unregistered, failed or interrupted\nhint: run `cargo migrations execute`"],
    );
    assert_eq!(outcome.stderr.matches("hint: ").count(), 1, "{}", outcome.stderr);
    // What it found is in the one document.
    let document = simple().run("show_status --check --format json", &database).exits(4).json();
    assert_eq!(document["unregistered"], 3);
    simple().run("execute", &database).exits(0);
    simple().run("--check", &database).exits(0);
    // A database that is newer than this build, or a file that was lost.
    database.insert("migrations", [doc! { "name": "0011_d.rs" }]);
    let outcome = simple().run("--check", &database).exits(4);
    assert_has(&outcome.stderr, &["1 migration missing on", "error: 1 migration is missing\nhint: see the warnings above"]);
    let outcome = simple().run("execute --strict", &database).exits(3);
    assert_has(&outcome.stderr, &["error: `0011_d` is registered, but has no file", "refused because of `--strict`"]);
}

#[test]
fn execute_runs_everything_in_order_once() {
    let database = TestDatabase::new();
    let outcome = simple().run("execute", &database).exits(0);
    assert_data_eq!(
        outcome.stderr_of(&database),
        str![[r#"
    Database DATABASE on 127.0.0.1:PORT
   Executing 0001_a (1 of 3)
    Executed 0001_a in 0.00s
   Executing 0002_b (2 of 3)
    Executed 0002_b in 0.00s
   Executing 0010_c (3 of 3)
    Executed 0010_c in 0.00s
    Finished 3 migrations executed on DATABASE in 0.00s

"#]]
    );
    assert_eq!(outcome.stdout, "");
    assert_eq!(database.trace(), ["up 0001", "up 0002", "up 0010"]);
    let outcome = simple().run("execute", &database).exits(0);
    assert_data_eq!(
        outcome.stderr_of(&database),
        str![[r#"
    Database DATABASE on 127.0.0.1:PORT
    Finished all migrations are registered on DATABASE: nothing to execute

"#]]
    );
    assert_eq!(database.trace().len(), 3, "nothing ran twice");
}

#[test]
fn nothing_to_do_is_said_and_is_no_error() {
    let database = TestDatabase::new();
    simple().run("ignore", &database).exits(0);
    assert!(database.trace().is_empty(), "nothing ran");
    assert_eq!(database.registered(), ["0001_a.rs", "0002_b.rs", "0010_c.rs"]);
    for line in ["execute", "ignore", "show_status"] {
        let outcome = simple().run(line, &database).exits(0);
        assert_has(&outcome.stderr, &["all migrations are registered", "nothing to"]);
    }
    let events = simple().run("execute --format json", &database).exits(0).json_lines();
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["event"], &events[0]["migrations"]), (&json!("run_ended"), &json!(0)));
}

#[test]
fn a_registered_one_is_neither_executed_nor_ignored_by_name() {
    let database = TestDatabase::new();
    simple().run("execute:2", &database).exits(0);
    for line in ["execute:2", "ignore:0002_b"] {
        let outcome = simple().run(line, &database).exits(2);
        assert_data_eq!(
            outcome.stderr_of(&database),
            str![[r#"
    Database DATABASE on 127.0.0.1:PORT
error: 0002_b is already registered (since 2026-01-02 03:04:05Z)
hint: roll it back first with `cargo migrations rollback:0002_b`

"#]]
        );
    }
    assert_eq!(database.trace(), ["up 0002"]);
}

#[test]
fn rollback_undoes_and_unregisters() {
    let database = TestDatabase::new();
    simple().run("execute", &database).exits(0);
    let outcome = simple().run("rollback:0002_b", &database).exits(0);
    assert_data_eq!(
        outcome.stderr_of(&database),
        str![[r#"
    Database DATABASE on 127.0.0.1:PORT
warning: out of order: `0002_b` is rolled back, but `0010_c` has a higher number and stays registered
hint: roll the later ones back first if they build on it
Rolling back 0002_b (1 of 1)
 Rolled back 0002_b in 0.00s
    Finished 1 migration rolled back on DATABASE in 0.00s

"#]]
    );
    assert_eq!(database.trace().last().unwrap(), "down 0002");
    assert_eq!(database.registered(), ["0001_a.rs", "0010_c.rs"]);
    let outcome = simple().run("rollback:0002_b", &database).exits(2);
    assert_has(&outcome.stderr, &["error: 0002_b is not registered: there is nothing to roll back"]);
    assert_eq!(database.trace().len(), 4);
}

#[test]
fn a_rollback_below_what_is_registered_is_warned_of_and_refused_when_strict() {
    let database = TestDatabase::new();
    simple().run("execute", &database).exits(0);
    let later = "out of order: `0001_a` is rolled back, but `0002_b`, `0010_c` have a higher number and stay registered";
    let outcome = simple().run("rollback:1 --strict", &database).exits(3);
    assert_has(&outcome.stderr, &["error: ", later, "refused because of `--strict`\nhint: roll the later ones back first"]);
    assert_eq!(database.registered().len(), 3);
    simple().run("rollback:10 rollback:2 rollback:1 --strict", &database).exits(0);
    assert!(database.registered().is_empty());
    simple().run("execute", &database).exits(0);
    let outcome = simple().run("rollback:1", &database).exits(0);
    assert_eq!(outcome.stderr.matches(later).count(), 1, "{}", outcome.stderr);
    assert_eq!(database.registered(), ["0002_b.rs", "0010_c.rs"]);
}

#[test]
fn a_migration_without_down_cannot_be_rolled_back() {
    let database = TestDatabase::new();
    blog().run("execute:4", &database).exits(0);
    let outcome = blog().run("rollback:4", &database).exits(2);
    assert_has(
        &outcome.stderr,
        &["error: 0004_no_down cannot be rolled back: it has no `pub async fn down`\nhint: write one in 0004_no_down.rs"],
    );
    assert_eq!(database.registered(), ["0004_no_down.rs"]);
}

#[test]
fn a_failed_rollback_leaves_it_registered() {
    let database = TestDatabase::new();
    blog().run("execute:3", &database).exits(0);
    let outcome = blog().run("rollback:3", &database).exits(1);
    assert_has(&outcome.stderr, &["the rollback of 0003_own_error failed, and it is still registered", "nothing goes back"]);
    assert_eq!(database.registered(), ["0003_own_error.rs"]);
}

#[test]
fn a_failed_migration_stops_the_run_and_is_not_registered() {
    let database = TestDatabase::new();
    let outcome = blog().line(["execute"]).on(&database).env("NO_CHEESE", "1").run().exits(1);
    assert_data_eq!(
        outcome.stderr_of(&database),
        str![[r#"
    Database DATABASE on 127.0.0.1:PORT
   Executing 0001_first (1 of 6)
    Executed 0001_first in 0.00s
   Executing 0002_kinds (2 of 6)
    Progress 3/3 (100%) counting
    Executed 0002_kinds in 0.00s
   Executing 0003_own_error (3 of 6)
      Failed after 2 migrations were executed on DATABASE in 0.00s
error: the migration 0003_own_error failed and was not registered

Caused by:
    out of cheese: redo from start

hint: fix it and run `cargo migrations execute` again

"#]]
    );
    assert_eq!(database.registered(), ["0001_first.rs", "0002_kinds.rs"]);
    assert_eq!(database.trace(), ["up 0001", "up 0002", "up 0003"]);
    blog().run("execute", &database).exits(0);
    assert_eq!(database.registered().len(), 6);
}

#[test]
fn a_panic_is_a_failed_migration_with_its_message() {
    let database = TestDatabase::new();
    let outcome = blog().line(["execute:5"]).on(&database).env("PANIC", "1").run().exits(1);
    assert_has(
        &outcome.stderr,
        &["the migration 0005_panics failed", "it panicked: index 7 is out of the window", "0005_panics.rs:6"],
    );
    assert!(database.registered().is_empty());
}

#[test]
fn execute_as_json_lines() {
    let database = TestDatabase::new();
    let outcome = blog().line(["execute", "--format", "json"]).on(&database).env("NO_CHEESE", "1").run().exits(1);
    let events: Vec<_> = outcome.json_lines();
    let reported: Vec<_> = events.iter().map(|event| (event["event"].as_str().unwrap(), event["name"].as_str())).collect();
    assert_eq!(
        reported,
        [
            ("run_started", None),
            ("migration_started", Some("0001_first.rs")),
            ("migration_executed", Some("0001_first.rs")),
            ("migration_started", Some("0002_kinds.rs")),
            ("progress", None),
            ("progress", None),
            ("migration_executed", Some("0002_kinds.rs")),
            ("migration_started", Some("0003_own_error.rs")),
            ("migration_failed", Some("0003_own_error.rs")),
            ("run_ended", None),
            ("error", None),
        ]
    );
    assert!(events[8]["error"].as_str().unwrap().contains("out of cheese: redo from start"), "{}", events[8]);
    assert_eq!((&events[9]["outcome"], &events[9]["migrations"]), (&json!("failed"), &json!(2)));
    let events = blog().run("ignore rollback:1 --format json", &database).exits(0).json_lines();
    let rolled_back = events.iter().filter(|event| event["event"] == "migration_rolled_back").count();
    let ignored = events.iter().filter(|event| event["event"] == "migration_ignored").count();
    assert_eq!((ignored, rolled_back), (4, 1));
}

#[test]
fn a_migration_can_write_a_note() {
    let database = TestDatabase::new();
    let outcome = places_line("execute --format json").on(&database).env("NOTE", "three were empty").run().exits(0);
    assert_has(&outcome.stderr, &["note: three were empty\n"]);
    assert_eq!(outcome.json_lines().last().unwrap()["outcome"], "done", "stdout has only JSON");
    let again = TestDatabase::new();
    let outcome = places_line("execute --quiet").on(&again).env("NOTE", "three were empty").run().exits(0);
    assert_eq!(outcome.stderr, "");
}

pub(super) fn places_line(args: &str) -> Line {
    Line::new(places().path("manager"), places().root()).args(args.split_whitespace())
}
