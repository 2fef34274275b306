//! What migrations print themselves: it stays readable where bars are drawn, and away from JSON.

use super::support::{Outcome, TestDatabase, assert_has, prints, pty_with, screen, server_uri};

/// Runs it on a terminal, and returns what that shows in the end, and the exit code.
fn on_terminal(variables: &[(&str, &str)], answers: &[(&str, &str)]) -> (Vec<String>, i32) {
    let database = TestDatabase::new();
    let mut all = vec![("MONGO_URI", server_uri()), ("MONGO_DATABASE", database.name())];
    all.extend(variables);
    let (written, code) = pty_with(&prints().path("manager"), prints().root(), &["execute"], &all, answers);
    (screen(&written), code)
}

/// Asserts that all of it can be read, once and in order, and that nothing is left of the bars.
#[track_caller]
fn assert_readable(shown: &[String], further: &[&str]) {
    let mut expected = vec!["printed to stdout", "printed to stderr", "printed by a child"];
    expected.extend(["note: said", "two", "lines", "without an end"].iter().chain(further));
    let found: Vec<&str> = shown.iter().map(String::as_str).filter(|line| expected.contains(line)).collect();
    assert_eq!(found, expected, "{shown:#?}");
    assert!(
        !shown.iter().any(|line| line.contains("] 0/2") || line.contains("] 1/2") || line.contains("/40")),
        "{shown:#?}"
    );
}

#[test]
fn what_a_migration_prints_stays_above_the_bars() {
    let (shown, code) = on_terminal(&[("MESSAGE", "counting")], &[]);
    assert_eq!(code, 0, "{shown:#?}");
    assert_readable(&shown, &["printed by the second"]);
    assert_has(&shown.join("\n"), &["    Executed 0001_prints in", "    Finished 2 migrations executed"]);
}

#[test]
fn it_is_not_lost_however_the_process_ends() {
    for (ends, code, last) in [
        ("exit", 1, "hint: return an error from the migration instead of calling `exit`"),
        ("abort", 256 - 6, ""),
        ("fault", 256 - 11, ""),
        ("overflow", 256 - 6, ""),
        ("panic", 1, ""),
    ] {
        let (shown, found) = on_terminal(&[("ENDS", ends)], &[]);
        assert_eq!(found, code, "{ends}: {shown:#?}");
        assert_readable(&shown, &[]);
        assert!(last.is_empty() || shown.last().unwrap() == last, "{shown:#?}");
    }
}

#[test]
fn much_of_it_is_complete_and_in_order() {
    // A pipe holds less than a tenth of it.
    let (shown, code) = on_terminal(&[("FLOOD", "10000")], &[]);
    assert_eq!(code, 0, "{:#?}", shown.last());
    assert_readable(&shown, &["printed by the second"]);
    let found = shown.iter().filter_map(|line| line.strip_prefix("line ")?.split_once(' ')).map(|(number, _)| number);
    assert!(found.eq((0..10000).map(|number: u32| number.to_string()).collect::<Vec<_>>()));
}

#[test]
fn a_program_that_goes_on_in_the_background_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let end = folder.path().join("end");
    let program = format!("until [ -e {} ]; do sleep 0.1; done", end.display());
    let (shown, code) = on_terminal(&[("BACKGROUND", &program)], &[]);
    std::fs::write(end, "").unwrap();
    assert_eq!(code, 0, "{shown:#?}");
    assert_readable(&shown, &["printed by the second"]);
}

#[test]
fn ctrl_c_leaves_no_bars() {
    // The second ends the process while the migration blocks the thread of the run.
    let answers = [("said", "\x03"), ("Ctrl-C again", "\x03")];
    let (shown, code) = on_terminal(&[("ENDS", "sleep")], &answers);
    assert_eq!(code, 130, "{shown:#?}");
    assert_readable(&shown, &[]);
    assert!(shown.last().unwrap().starts_with("hint: run `"), "{shown:#?}");
}

#[test]
fn a_long_message_takes_one_line() {
    for message in ["日本語".repeat(100), "one\ntwo\tthree".repeat(30), "a".repeat(500)] {
        let (shown, code) = on_terminal(&[("MESSAGE", &message)], &[]);
        assert_eq!(code, 0, "{shown:#?}");
        assert_readable(&shown, &["printed by the second"]);
        assert!(shown.len() < 16, "{shown:#?}");
    }
}

#[test]
fn it_does_not_stand_between_events() {
    let database = TestDatabase::new();
    let outcome: Outcome = prints().line(["execute", "--format", "json"]).on(&database).run().exits(0);
    let names: Vec<String> = outcome.json_lines().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    let expected = ["run_started", "migration_started", "progress", "migration_executed", "migration_started"];
    assert_eq!(names[..5], expected, "{names:?}");
    assert_eq!(names.last().unwrap(), "run_ended");
    let printed = ["printed to stdout\n", "printed to stderr\n", "printed by a child\n", "note: said\n", "without an end"];
    assert_has(&outcome.stderr, &printed);
}

#[test]
fn without_a_terminal_it_goes_where_it_was_printed() {
    let database = TestDatabase::new();
    let outcome = prints().line(["execute"]).on(&database).run().exits(0);
    assert_eq!(outcome.stdout, "printed to stdout\nprinted by a child\ntwo\nlines\nwithout an end");
    assert_has(&outcome.stderr, &["printed to stderr\n"]);
}
