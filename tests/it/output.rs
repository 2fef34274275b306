//! What people see: colour, and progress on a terminal.

use cargo_migrations::mongodb::bson::{DateTime, doc};

use super::support::{TestDatabase, assert_has, blog, plugin, pty, pty_with, server_uri, simple};

const RED_ERROR: &str = "\u{1b}[1m\u{1b}[31merror";

#[test]
fn colour_as_cargo_does_it() {
    let database = TestDatabase::new();
    let run = |args: &[&str], variables: &[(&str, &str)]| {
        let mut line = simple().line(args.iter().copied()).on(&database);
        for (name, value) in variables {
            line = line.env(name, value);
        }
        line.run().stderr
    };
    let has_color = |stderr: String| {
        assert!(stderr.contains("error"), "{stderr}");
        stderr.contains(RED_ERROR)
    };
    assert!(!has_color(run(&["nonsense"], &[])), "no terminal, no colour");
    assert!(has_color(run(&["nonsense", "--color", "always"], &[])));
    assert!(has_color(run(&["nonsense"], &[("CARGO_TERM_COLOR", "always")])));
    assert!(!has_color(run(&["nonsense", "--color", "never"], &[("CARGO_TERM_COLOR", "always")])), "the flag wins");
    assert!(has_color(run(&["nonsense", "--color", "always"], &[("NO_COLOR", "1")])), "the flag wins");
    assert!(!has_color(run(&["nonsense", "--color", "auto"], &[("CARGO_TERM_COLOR", "always")])));
    let table = simple().line(["--color", "always"]).on(&database).run().exits(0).stdout;
    assert_has(&table, &["\u{1b}[31munregistered\u{1b}[0m"]);
}

#[test]
fn on_a_terminal_a_bar_shows_the_current_migration_and_its_own_progress() {
    let database = TestDatabase::new();
    let (screen, code) = pty(&plugin(), blog().root(), &["execute"], &database, &[]);
    assert_eq!(code, 0, "{screen}");
    assert_has(&screen, &["0001_first", "] 0/6: 0001_first", "Executed", "0002_kinds", "counting", "\u{1b}["]);
    let (screen, code) = pty(&plugin(), blog().root(), &["execute"], &database, &[]);
    assert_eq!(code, 0);
    assert_has(&screen, &["nothing to execute"]);
    let (screen, code) = pty(&plugin(), blog().root(), &["nonsense"], &database, &[]);
    assert_eq!(code, 2);
    assert_has(&screen, &[RED_ERROR]);
}

#[test]
fn no_color_and_quiet_are_respected_on_a_terminal() {
    let database = TestDatabase::new();
    let (screen, code) = pty(&plugin(), simple().root(), &["execute", "--quiet", "--color", "never"], &database, &[]);
    assert_eq!((screen.as_str(), code), ("", 0), "quiet: results, warnings and errors only");
    let (screen, _) = pty(&plugin(), simple().root(), &["--color", "never"], &database, &[]);
    assert!(!screen.contains("\u{1b}["), "{screen:?}");
}

#[test]
fn a_terminal_on_which_bars_cannot_be_drawn_or_are_not_wanted_gets_plain_lines() {
    let on_terminal = |further: &[(&str, &str)]| {
        let database = TestDatabase::new();
        let mut variables = vec![("MONGO_URI", server_uri()), ("MONGO_DATABASE", database.name())];
        variables.extend(further);
        let args = ["execute", "--color", "never"];
        let (screen, code) = pty_with(&blog().path("manager"), blog().root(), &args, &variables, &[]);
        assert_eq!(code, 0, "{further:?}: {screen}");
        screen
    };
    for further in [("TERM", "dumb"), ("TERM", ""), ("CI", "true"), ("CARGO_TERM_PROGRESS_WHEN", "never")] {
        let screen = on_terminal(&[further]);
        assert_has(&screen, &["   Executing 0001_first (1 of 6)\r\n", "    Progress 3/3 (100%) counting\r\n"]);
        assert!(!screen.contains('\u{1b}'), "{further:?}: {screen:?}");
    }
    assert_has(&on_terminal(&[("CI", "true"), ("CARGO_TERM_PROGRESS_WHEN", "always")]), &["] 0/6: 0001_first"]);
}

#[test]
fn elsewhere_progress_is_plain_lines() {
    let database = TestDatabase::new();
    let outcome = blog().run("execute", &database).exits(0);
    assert_has(&outcome.stderr, &["   Executing 0001_first (1 of 6)\n", "    Progress 3/3 (100%) counting\n"]);
    assert!(!outcome.stderr.contains('\u{1b}'));
    // What takes less than five seconds has only its end reported.
    assert_eq!(outcome.stderr.matches(" Progress ").count(), 1, "{}", outcome.stderr);
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let database = TestDatabase::new();
    // Once as a table, as a text, and as JSON, and where it is not the last thing that is done.
    for args in ["show_status", "help", "--help", "--format json", "execute:1 --format json", "show_status execute"] {
        let script = format!("exec \"{}\" {args} > /dev/full", simple().path("manager").display());
        let line = super::support::Line::new("sh", simple().root()).args(["-c", &script]).on(&database);
        let outcome = line.run().exits(1);
        assert_has(&outcome.stderr, &["No space left on device", "hint: check where stdout goes"]);
        assert_eq!(outcome.stderr.matches("error: ").count(), 1, "{args}: {}", outcome.stderr);
    }
    assert_eq!(database.registered().len(), 3, "the tasks have run all the same");
    // The plugin's own help and version, too.
    for args in ["--help", "--version"] {
        let script = format!("exec \"{}\" migrations {args} > /dev/full", plugin().display());
        let outcome = super::support::Line::new("sh", simple().root()).args(["-c", &script]).run().exits(1);
        assert_has(&outcome.stderr, &["No space left on device", "hint: check where stdout goes"]);
    }
    // A failed line keeps its own error and exit code.
    let script = format!("exec \"{}\" --format json execute:99 > /dev/full", simple().path("manager").display());
    let line = super::support::Line::new("sh", simple().root()).args(["-c", &script]).on(&database);
    assert_eq!(line.run().exits(2).stderr.matches("error: ").count(), 1);
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let database = TestDatabase::new();
    let script = format!("\"{}\" help | head -n 1", plugin().display());
    let outcome = super::support::Line::new("sh", simple().root()).args(["-c", &script]).on(&database).run().exits(0);
    assert_eq!(outcome.stdout, "Usage: cargo migrations [FLAGS] [TASK...]\n");
}

#[test]
fn a_table_fits_the_terminal_and_a_pipe_gets_all_of_it() {
    let database = TestDatabase::new();
    let name = |at: usize| format!("000{at}_{}_{at}.rs", "long_".repeat(20));
    let entry = |at| doc! { "name": name(at), "registered_at": DateTime::from_millis(0), "duration_ms": 5 };
    database.insert("migrations", [entry(4), entry(5)]);
    let variables = [("MONGO_URI", server_uri()), ("MONGO_DATABASE", database.name()), ("PTY_COLUMNS", "80")];
    let (shown, code) =
        pty_with(&simple().path("manager"), simple().root(), &["--quiet", "--color", "never"], &variables, &[]);
    assert_eq!(code, 0, "{shown}");
    let table: Vec<&str> = shown.lines().take_while(|line| !line.starts_with("warning")).collect();
    assert!(table.len() >= 6 && table.iter().all(|line| line.chars().count() <= 80), "{shown}");
    assert_has(&shown, &["0001_a ", "0004_long_", "_long__4  missing"]);
    let piped = simple().run("--quiet", &database).exits(0).stdout;
    assert_has(&piped, &[name(4).trim_end_matches(".rs"), name(5).trim_end_matches(".rs")]);
}
