//! The events of `--format json`. docs/json.md describes them.

use serde_json::Value;

use super::support::{Line, Outcome, TestDatabase, Workspace, blog, plugin, prints, signal_group, simple, wait_for_trace};

#[track_caller]
fn last(outcome: &Outcome) -> Value {
    outcome.json_lines().pop().unwrap_or_else(|| panic!("stdout is empty: {}", outcome.stderr))
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn every_error_is_an_event_too() {
    let database = TestDatabase::new();
    let of_plugin = |args: &str| Line::new(plugin(), simple().root()).args(args.split_whitespace()).on(&database).run();
    for (args, code, kind, message) in [
        ("execut --format json", 2, "usage", "there is no subtask or environment named `execut`"),
        ("--format=json --colour", 2, "usage", "unexpected argument '--colour' found"),
        ("execute --dry-run --format json", 2, "usage", "there is no `--dry-run`"),
        ("new:x execute --format json", 2, "usage", "`new` cannot be combined with other tasks"),
        ("restore:nope --format json", 2, "usage", "there is no dump `nope`"),
    ] {
        let outcome = of_plugin(args).exits(code);
        let event = last(&outcome);
        assert_eq!((event["event"].as_str(), event["kind"].as_str()), (Some("error"), Some(kind)), "{event}");
        assert_eq!(event["exit_code"], code, "{event}");
        assert!(event["message"].as_str().unwrap().contains(message), "{event}");
        assert!(outcome.stderr.contains("error: "), "{}", outcome.stderr);
    }
    let typo = last(&of_plugin("execute --dry-run --format json"));
    assert!(typo["hint"].as_str().unwrap().contains("migrations plan"), "{typo}");

    let failed = blog().line(["fail", "--format", "json"]).on(&database).run().exits(1);
    assert_eq!(last(&failed)["message"], "paper jam");
    // A failed migration ends its run before.
    let failed = blog().line(["execute:3", "--format", "json"]).on(&database).env("NO_CHEESE", "1").run().exits(1);
    let events = failed.json_lines();
    assert_eq!(names(&events), ["run_started", "migration_started", "migration_failed", "run_ended", "error"]);
    assert_eq!((&events[3]["outcome"], &events[4]["kind"]), (&"failed".into(), &"failed".into()));
    assert!(!events[4]["causes"].as_array().unwrap().is_empty(), "{}", events[4]);
}

#[test]
fn a_manager_that_does_not_compile_is_an_event_too() {
    let workspace = Workspace::new();
    workspace.copy_fixture("typo");
    let outcome = workspace.line(["execute", "--format", "json"]).run().exits(101);
    assert_eq!((&last(&outcome)["kind"], &last(&outcome)["exit_code"]), (&"build".into(), &101.into()));
}

#[test]
fn a_run_that_a_signal_ends_has_its_end() {
    // Once the migration blocks the thread of the run, and once it can be ended at an `await`.
    for (args, twice) in [("execute", true), ("execute", false)] {
        let database = TestDatabase::new();
        let workspace = if twice { prints() } else { blog() };
        let line = workspace.line([args, "--format", "json"]).on(&database);
        let child = line.env("ENDS", "sleep").env("SLOW_MS", "1500").spawn();
        wait_for_trace(&database, if twice { "sleeps" } else { "slow begins" });
        signal_group(&child, "TERM");
        if twice {
            std::thread::sleep(std::time::Duration::from_millis(300));
            signal_group(&child, "TERM");
        }
        let outcome = Outcome::new(args.into(), child.wait_with_output().unwrap()).exits(130);
        let events = outcome.json_lines();
        let [.., end, error] = &events[..] else { panic!("{events:?}") };
        assert_eq!((&end["event"], &end["outcome"]), (&"run_ended".into(), &"interrupted".into()), "{end}");
        assert_eq!(end["migrations"], if twice { 0 } else { 6 }, "{end}");
        assert_eq!((&error["event"], &error["kind"]), (&"error".into(), &"interrupted".into()), "{error}");
        assert_eq!(events.iter().filter(|event| event["event"] == "run_ended").count(), 1);
    }
}

#[test]
fn dumps_and_restores_are_events() {
    let database = TestDatabase::new();
    let dumps = tempfile::tempdir().unwrap();
    let run = |args: &str| {
        let line = simple().line(args.split_whitespace()).on(&database).env("MONGO_DUMP_DIRECTORY", dumps.path());
        line.run().exits(0).json_lines()
    };
    run("execute --format json");
    let one = |events: Vec<Value>, name: &str| {
        let mut found: Vec<Value> = events.into_iter().filter(|event| event["event"] != "progress").collect();
        assert_eq!(names(&found), [name]);
        found.remove(0)
    };
    let taken = one(run("dbdump --format json"), "dump_taken");
    let name = taken["name"].as_str().unwrap();
    assert_eq!(taken["path"], dumps.path().join(name).to_str().unwrap());
    assert_eq!((&taken["database"], &taken["consistent"]), (&database.name().into(), &true.into()));
    let verified = one(run("dbdump:verify=latest --format json"), "dump_verified");
    let restored = one(run("restore:latest --yes --format json"), "restored");
    for field in ["name", "documents", "bytes", "database"] {
        assert_eq!(verified[field], taken[field], "{verified}");
    }
    // The lock and the log stay as they are.
    let of_others = |name: &String| name != "migrations_lock" && name != "migrations_log";
    let others = database.collections().into_iter().filter(of_others);
    let documents: usize = others.map(|name| database.documents(&name).len()).sum();
    assert_eq!((&restored["name"], &restored["database"]), (&taken["name"], &taken["database"]));
    assert_eq!(restored["documents"], documents, "{restored}");
    let proved = run(&format!("dbdump:prove={name} --format json"));
    assert_eq!(one(proved, "dump_proved")["manifest"], true);
    let events = run("dbdump:keep=1 --format json");
    let removed: Vec<&Value> = events.iter().filter(|event| event["event"] == "dump_removed").collect();
    assert_eq!((removed.len(), &removed[0]["name"]), (1, &taken["name"]));
}

#[test]
fn a_check_and_a_free_lock_are_events() {
    let database = TestDatabase::new();
    let events = simple().line(["check", "unlock", "--format", "json"]).on(&database).run().exits(0).json_lines();
    assert_eq!(names(&events), ["checked", "unlocked"]);
    assert_eq!((&events[0]["migrations"], &events[1]["was"]), (&3.into(), &"free".into()));
}
