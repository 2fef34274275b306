//! Ctrl-C and SIGTERM: what ends by itself, and what is ended.

use std::io::Read as _;
use std::time::{Duration, Instant};

use super::builtins::places_line;
use super::support::{TestDatabase, assert_has, blog, signal_group, wait_for_trace};

#[test]
fn ctrl_c_lets_the_migration_under_way_end_and_be_registered() {
    let database = TestDatabase::new();
    blog().run("ignore:5 execute:1", &database).exits(0);
    let child = blog().line(["execute"]).on(&database).env("SLOW_MS", "2500").spawn();
    wait_for_trace(&database, "slow begins");
    signal_group(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(database.trace().last().unwrap(), "slow ends");
    assert_eq!(database.registered().len(), 6);
}

#[test]
fn ctrl_c_stops_before_the_next_migration_with_130() {
    let workspace = blog();
    // Two tasks: the second is the one that is not to start.
    let database = TestDatabase::new();
    let child = workspace.line(["execute:6", "execute"]).on(&database).env("SLOW_MS", "2500").spawn();
    wait_for_trace(&database, "slow begins");
    signal_group(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert_has(&String::from_utf8_lossy(&output.stderr), &["stopping after the migration under way"]);
    assert_eq!(database.registered(), ["0006_slow.rs"]);
}

#[test]
fn a_second_ctrl_c_ends_it_now() {
    let database = TestDatabase::new();
    let mut child = blog().line(["execute:6"]).on(&database).env("SLOW_MS", "60000").spawn();
    wait_for_trace(&database, "slow begins");
    signal_group(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    signal_group(&child, "INT");
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(status.code(), Some(130), "{stderr}");
    assert!(asked.elapsed() < Duration::from_secs(30), "it did not wait for the migration");
    assert!(database.registered().is_empty());
}

#[test]
fn a_migration_that_asks_whether_to_stop_can_end_early_and_runs_again() {
    let database = TestDatabase::new();
    let line = |ms: &str| places_line("execute").on(&database).env("HASTY", "1").env("SLOW_MS", ms);
    let child = line("60000").spawn();
    wait_for_trace(&database, "slow begins");
    signal_group(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_has(
        &stderr,
        &["stopping after the migration under way", "the migration 0002_slow failed", "it stopped half way"],
    );
    assert_eq!(database.registered(), ["0001_a.rs"]);
    line("20").run().exits(0);
    assert_eq!(database.registered().len(), 3);
}

#[test]
fn a_subtask_that_asks_whether_to_stop_has_the_time_to_end_by_itself() {
    let database = TestDatabase::new();
    let child = places_line("mytask:sweep execute").on(&database).spawn();
    wait_for_trace(&database, "sweeping");
    signal_group(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert_has(
        &stderr,
        &[
            "note: sweeping\n",
            "warning: mytask was asked to stop, and ends by itself\nhint: press Ctrl-C again to stop now\n",
            "error: stopped as asked\n",
        ],
    );
    assert_eq!(database.trace().last().unwrap(), "swept");
    assert!(database.registered().is_empty(), "the next task has not run");
}
