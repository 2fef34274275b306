//! The log, the states that come of it, `history`, changed files, and the order of numbers.

use cargo_migrations::mongodb::bson::{Bson, Document, doc};

use super::support::{TestDatabase, Workspace, assert_has, blog, simple};

fn events(database: &TestDatabase) -> Vec<Document> {
    let mut log = database.documents("migrations_log");
    log.sort_by_key(|event| (event.get_i64("fence").unwrap(), event.get_i64("seq").unwrap()));
    log
}

fn logged(database: &TestDatabase) -> Vec<String> {
    let text = |event: &Document, key: &str| event.get_str(key).unwrap_or_default().to_owned();
    let line = |event: &Document| {
        let parts = ["event", "subtask", "name", "direction", "outcome"].map(|key| text(event, key));
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    events(database).iter().map(line).collect()
}

#[test]
fn start_and_end_of_every_run_and_of_every_migration_in_it() {
    let database = TestDatabase::new();
    simple().run("execute:1 ignore:2 rollback:1", &database).exits(0);
    assert_eq!(
        logged(&database),
        [
            "run_started execute",
            "migration_started execute 0001_a.rs up",
            "migration_ended execute 0001_a.rs up done",
            "run_ended execute done",
            "run_started ignore",
            "migration_started ignore 0002_b.rs ignore",
            "migration_ended ignore 0002_b.rs ignore done",
            "run_ended ignore done",
            "run_started rollback",
            "migration_started rollback 0001_a.rs down",
            "migration_ended rollback 0001_a.rs down done",
            "run_ended rollback done",
        ]
    );
    for event in events(&database) {
        assert!(matches!(event.get("at"), Some(Bson::DateTime(_))), "{event}");
        for field in ["run", "who", "where", "command", "tool_version"] {
            assert!(event.get_str(field).is_ok_and(|text| !text.is_empty()), "{field} in {event}");
        }
        if event.get_str("event").unwrap().ends_with("ended") {
            assert!(event.get_i64("duration_ms").unwrap() >= 0, "{event}");
        }
    }
}

#[test]
fn a_failed_migration_is_told_with_its_error_and_runs_again() {
    let database = TestDatabase::new();
    blog().run("ignore:5", &database).exits(0);
    blog().line(["execute:3"]).on(&database).env("NO_CHEESE", "1").run().exits(1);
    assert_eq!(database.registered(), ["0005_panics.rs"], "never in the registry: migopy, used in parallel, is not misled");
    let outcome = blog().run("show_status --check", &database).exits(4);
    assert_has(&outcome.stdout, &["failed (out of order)"]);
    assert_has(
        &outcome.stderr,
        &["0003_own_error failed (up, by tester@", "out of cheese: redo from start", "4 unregistered, 1 failed on"],
    );
    let status = blog().run("--format json", &database).exits(0).json();
    assert_eq!((&status["migrations"][2]["state"], &status["unregistered"]), (&"failed".into(), &5.into()));
    let error = events(&database).into_iter().find_map(|event| event.get_str("error").map(str::to_owned).ok()).unwrap();
    assert_has(&error, &["out of cheese: redo from start"]);
    blog().run("execute", &database).exits(0);
    blog().run("--check", &database).exits(0);
}

#[test]
fn the_last_event_of_a_run_says_whether_anything_is_open() {
    let database = TestDatabase::new();
    let settled = |database: &TestDatabase| -> Vec<bool> {
        let ends = events(database).into_iter().filter(|event| event.get_str("event").ok() == Some("run_ended"));
        ends.map(|event| event.contains_key("settled")).collect()
    };
    let failed = |database: &TestDatabase| {
        let outcome = blog().run("show_status", database).exits(0);
        outcome.stderr.contains("0003_own_error failed (up, by tester@") && outcome.stderr.contains("out of cheese")
    };
    blog().run("execute:1", &database).exits(0);
    blog().line(["execute:3"]).on(&database).env("NO_CHEESE", "1").run().exits(1);
    blog().run("execute:2 rollback:2", &database).exits(0);
    assert_eq!(settled(&database), [true, false, false, false]);
    // An open attempt is seen however many other runs follow, and after a run that recorded that nothing was open.
    assert!(failed(&database));
    blog().run("execute:3 ignore:2", &database).exits(0);
    assert_eq!(settled(&database), [true, false, false, false, true, true]);
    assert!(!failed(&database));

    // A rollback that failed changed nothing: the log need not be read from there on.
    blog().run("rollback:3", &database).exits(1);
    blog().run("ignore:4", &database).exits(0);
    assert_eq!(settled(&database)[6..], [false, true]);

    // Logs that were put here from elsewhere, with lower and with higher numbers than this lock's.
    let other = TestDatabase::new();
    blog().line(["execute:3"]).on(&other).env("NO_CHEESE", "1").run().exits(1);
    let instead = |database: &TestDatabase, log: Vec<Document>| {
        for collection in ["migrations", "migrations_log"] {
            super::support::block_on(async { database.collection(collection).delete_many(doc! {}).await.unwrap() });
        }
        database.insert("migrations_log", log);
    };
    let log = database.documents("migrations_log");
    instead(&database, other.documents("migrations_log"));
    assert!(failed(&database));
    instead(&other, log);
    assert!(!failed(&other));
    // Of a migration that the other log does not know.
    blog().line(["execute:5"]).on(&other).env("PANIC", "1").run().exits(1);
    assert_has(&blog().run("show_status", &other).exits(0).stderr, &["0005_panics failed (up, by tester@"]);
}

#[test]
fn a_failed_migration_can_be_rolled_back() {
    let database = TestDatabase::new();
    let outcome = blog().line(["execute:3"]).on(&database).env("NO_CHEESE", "1").run().exits(1);
    assert_has(&outcome.stderr, &["0003_own_error failed"]);
    let outcome = blog().run("rollback:3", &database).exits(1);
    assert_has(&outcome.stderr, &["the rollback of 0003_own_error failed", "nothing goes back", "hint: fix its `down`"]);
    let outcome = blog().run("rollback:2", &database).exits(2);
    assert_has(&outcome.stderr, &["0002_kinds is not registered"]);
}

#[test]
fn history_newest_last_for_one_or_all() {
    let database = TestDatabase::new();
    let outcome = simple().run("history", &database).exits(0);
    assert_has(&outcome.stderr, &["nothing was run on"]);
    assert_eq!(outcome.stdout, "");
    blog().line(["execute:3"]).on(&database).env("NO_CHEESE", "1").run().exits(1);
    blog().run("execute:1 execute:3", &database).exits(0);
    let all = blog().run("history", &database).exits(0).stdout;
    let lines: Vec<&str> = all.lines().collect();
    assert_eq!(lines.len(), 4, "{all}");
    assert_has(lines[0], &["WHEN", "SUBTASK", "NAME", "OUTCOME", "TOOK", "WHO", "ERROR"]);
    assert_has(lines[1], &["execute", "0003_own_error", "failed", "tester@", "out of cheese"]);
    assert_has(lines[2], &["0001_first", "done"]);
    assert_has(lines[3], &["0003_own_error", "done"]);
    let one = blog().run("history:3", &database).exits(0).stdout;
    // Its two rows, and what it did the last time, each with a head.
    let (rows, did) = one.split_once("COMMAND").unwrap();
    assert_eq!((rows.lines().count(), did.lines().count()), (3, 2), "{one}");
    let json = blog().run("history:0003_own_error --format json", &database).exits(0).json();
    assert_eq!(json["database"], database.name());
    let events = json["events"].as_array().unwrap();
    assert_eq!(events.len(), 4, "start and end, twice: {json}");
    assert_eq!((&events[1]["event"], &events[1]["outcome"]), (&"migration_ended".into(), &"failed".into()));
    assert!(events[1]["at"].as_str().unwrap().ends_with('Z') && events[1]["duration_ms"].is_u64());
    // The file may be gone: the log knows it all the same.
    let gone = simple().run("history:0003_own_error", &database).exits(0).stdout;
    assert_eq!(gone, one);
    let outcome = simple().run("history:0077_x", &database).exits(2);
    assert_has(&outcome.stderr, &["no migration `0077_x`"]);
}

#[test]
fn a_log_that_ended_without_a_registry_entry_means_unregistered() {
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    super::support::block_on(async { database.collection("migrations").delete_many(doc! {}).await.unwrap() });
    let status = simple().run("--format json", &database).exits(0).json();
    assert_eq!(status["migrations"][0]["state"], "unregistered");
    simple().run("execute:1", &database).exits(0);
    assert_eq!(database.trace(), ["up 0001", "up 0001"]);
}

#[test]
fn a_file_that_changed_since_is_shown_warned_of_and_refused_when_strict() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    workspace.tracing_migration("0001_a.rs");
    workspace.tracing_migration("0002_b.rs");
    workspace.run("execute:1 execute:2", &database).exits(0);
    let file = "mongomigrations/0001_a.rs";
    // Not the code: line endings, white space at line ends, comments.
    let text = workspace.read(file);
    workspace.write(file, &format!("{}// a remark\n", text.replace(";\n", ";  \r\n").replace("//! Leave", "//! We leave")));
    workspace.tracing_migration("0003_c.rs");
    let status = workspace.run("execute --strict show_status", &database).exits(0);
    assert!(!status.stdout.contains("changed") && !status.stderr.contains("changed"), "{status:?}");
    workspace.write(file, &text.replace("up 0001", "up one"));
    workspace.tracing_migration("0004_d.rs");
    let outcome = workspace.run("show_status", &database).exits(0);
    assert_has(&outcome.stdout, &["registered (changed)"]);
    let json = workspace.run("--format json", &database).exits(0).json();
    assert_eq!(json["migrations"][0]["changed"], true);
    assert!(json["migrations"][1].get("changed").is_none());
    let expected = "`0001_a` was edited after it ran";
    let outcome = workspace.run("execute --strict", &database).exits(3);
    assert_has(&outcome.stderr, &["error: ", expected, "refused because of `--strict`"]);
    assert_eq!(database.registered().len(), 3);
    let outcome = workspace.run("execute", &database).exits(0);
    assert_has(&outcome.stderr, &["warning: ", expected]);
    assert_eq!(database.registered().len(), 4);
    // Also with nothing to run.
    let outcome = workspace.run("execute", &database).exits(0);
    assert_has(&outcome.stderr, &["warning: ", expected, "nothing to execute"]);
    workspace.run("execute --strict", &database).exits(3);
}

#[test]
fn a_renumbered_file_does_not_run_again_unless_a_person_says_so() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    workspace.tracing_migration("0001_a.rs");
    workspace.tracing_migration("0007_slugs.rs");
    workspace.run("execute", &database).exits(0);
    // A merge brought another migration of that number, and this one was given the next.
    let rename = |from: &str, to: &str| {
        std::fs::rename(workspace.path("mongomigrations").join(from), workspace.path("mongomigrations").join(to)).unwrap();
    };
    rename("0007_slugs.rs", "0009_slugs.rs");
    workspace.tracing_migration("0008_b.rs");
    let expected = "`0009_slugs` has the same code as `0007_slugs`, which is registered and has no file";
    let outcome = workspace.run("execute", &database).exits(3);
    assert_has(&outcome.stderr, &["error: ", expected, "hint: use `cargo migrations accept:0009_slugs` to register it"]);
    assert_eq!(database.trace(), ["up 0001", "up 0007"]);
    let outcome = workspace.run("show_status --check", &database).exits(4);
    assert_has(&outcome.stderr, &["warning: ", expected, "a decision is needed"]);
    workspace.run("ignore:9 execute", &database).exits(0);
    assert_eq!(database.trace(), ["up 0001", "up 0007", "up 0008"]);
    // By name, a person has decided.
    rename("0009_slugs.rs", "0010_slugs.rs");
    let outcome = workspace.run("execute", &database).exits(3);
    assert_has(&outcome.stderr, &["`0010_slugs` has the same code as `00"]);
    workspace.run("execute:10 execute", &database).exits(0);
    assert_eq!(database.trace(), ["up 0001", "up 0007", "up 0008", "up 0007"]);
}

#[test]
fn a_lower_number_runs_late_and_is_shown_as_out_of_order() {
    let database = TestDatabase::new();
    simple().run("execute:10", &database).exits(0);
    let outcome = simple().run("show_status", &database).exits(0);
    assert_eq!(outcome.stdout.matches("unregistered (out of order)").count(), 2, "{}", outcome.stdout);
    let expected = "out of order: `0001_a`, `0002_b` have a lower number than `0010_c`, which is registered";
    let outcome = simple().run("execute --strict", &database).exits(3);
    assert_has(
        &outcome.stderr,
        &["error: ", expected, "refused because of `--strict`\nhint: drop `--strict` to run anyway"],
    );
    let outcome = simple().run("execute:2 --strict", &database).exits(3);
    assert_has(&outcome.stderr, &["out of order: `0002_b` has a lower number"]);
    assert_eq!(database.trace(), ["up 0010"]);
    let outcome = simple().run("execute", &database).exits(0);
    assert_has(&outcome.stderr, &["warning: ", expected]);
    assert_eq!(database.trace(), ["up 0010", "up 0001", "up 0002"]);
    simple().run("show_status --strict", &database).exits(2);
}
