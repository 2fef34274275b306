//! Transactional migrations, and transactions within others.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::doc;

use super::support::{Line, TestDatabase, Workspace, assert_has, block_on, faulty_server, signal, standalone_server};

/// One migration that does what DO says, and one with a transaction in it.
fn workspace() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::kept("it-transactions");
        workspace.copy_fixture("transactions");
        workspace.built_manager();
        workspace
    })
}

fn line(task: &str, database: &TestDatabase, uri: &str, what: &str) -> Line {
    let args = task.split_whitespace();
    Line::new(workspace().path("manager"), workspace().root()).args(args).on(database).env("MONGO_URI", uri).env("DO", what)
}

#[test]
fn it_takes_effect_and_is_registered_or_neither() {
    let database = TestDatabase::new();
    let uri = super::support::server_uri();
    for (what, why) in [("fail", "changed its mind"), ("panic", "it panicked: out of ink")] {
        let outcome = line("execute:1", &database, uri, what).run().exits(1);
        assert_has(&outcome.stderr, &["the migration 0001_whole failed", "had no effect since it is transactional", why]);
        assert!(database.documents("notes").is_empty() && database.registered().is_empty());
        let status = line("show_status --format json", &database, uri, "").run().exits(0).json();
        assert_eq!(status["migrations"][0]["state"], "failed");
    }
    // A failed one runs again by itself, as in migopy.
    line("execute:1", &database, uri, "new").run().exits(0);
    assert_eq!(database.documents("notes").len(), 3);
    assert_eq!(database.registered(), ["0001_whole.rs"]);
    assert!(database.collections().contains(&"fresh".to_owned()));
    let outcome = line("rollback:1", &database, uri, "fail").run().exits(1);
    assert_has(&outcome.stderr, &["the rollback of 0001_whole failed, and it is still registered", "would rather not"]);
    assert_eq!((database.documents("notes").len(), database.registered().len()), (3, 1));
    line("rollback:1", &database, uri, "").run().exits(0);
    assert_eq!((database.documents("notes").len(), database.registered().len()), (0, 0));
}

#[test]
fn it_can_write_a_note() {
    let database = TestDatabase::new();
    let outcome = line("execute:1", &database, super::support::server_uri(), "note").run().exits(0);
    assert_has(&outcome.stderr, &["note: 3 notes\n"]);
}

#[test]
fn part_of_a_migration_in_a_transaction() {
    let database = TestDatabase::new();
    let uri = super::support::server_uri();
    database.insert("accounts", [doc! { "_id": "ada", "n": 100 }, doc! { "_id": "bob", "n": 0 }]);
    let outcome = line("execute:2", &database, uri, "fail").run().exits(1);
    assert_has(&outcome.stderr, &["the migration 0002_part failed", "no funds"]);
    let balances = || -> Vec<i32> { database.documents("accounts").iter().map(|a| a.get_i32("n").unwrap()).collect() };
    assert_eq!(balances(), [100, 0]);
    assert_eq!(database.documents("steps").len(), 1, "what stands outside of the transaction is done");
    line("execute:2", &database, uri, "").run().exits(0);
    assert_eq!(balances(), [50, 50]);
}

#[test]
fn it_runs_again_when_the_server_asks_for_that() {
    let database = TestDatabase::new();
    database.insert("old", [doc! { "_id": 1, "n": 0 }]);
    line("execute:1", &database, super::support::server_uri(), "conflict").run().exits(0);
    assert_eq!(database.documents("old")[0].get_i32("n").ok(), Some(11), "its own write and the other's");
    assert_eq!(database.documents("notes").len(), 3, "the first try left nothing");
    let started =
        database.documents("migrations_log").iter().filter(|e| e.get_str("event").ok() == Some("migration_started")).count();
    assert_eq!(started, 1);
}

#[test]
fn a_call_of_exit_is_a_failure() {
    let database = TestDatabase::new();
    let outcome = line("execute:1", &database, super::support::server_uri(), "exit").run().exits(1);
    assert_has(
        &outcome.stderr,
        &["error: the process was ended by a call of `exit` in the middle of a run", "\nhint: return"],
    );
    assert!(database.documents("notes").is_empty() && database.registered().is_empty());
}

#[test]
fn an_error_that_hides_the_drivers_is_read_all_the_same() {
    let database = TestDatabase::new();
    let uri = super::support::server_uri();
    let outcome = line("execute:3", &database, uri, "duplicate").run().exits(1);
    assert_has(&outcome.stderr, &["the migration 0003_hidden failed", "E11000 duplicate key error", "(code 11000)"]);
    let log = format!("{:?}", database.documents("migrations_log"));
    for text in [&outcome.stderr, &log] {
        assert!(!text.contains("labels: {") && !text.contains("RawDocumentBuf"), "{text}");
    }
    database.insert("old", [doc! { "_id": 1, "n": 0 }]);
    line("execute:3", &database, uri, "conflict").run().exits(0);
    assert_eq!(database.documents("old")[0].get_i32("n").ok(), Some(11), "its own write and the other's");
    assert_eq!(database.registered(), ["0003_hidden.rs"]);
}

#[test]
fn a_standalone_server_is_told_before_anything_runs() {
    let uri = standalone_server().uri();
    let database = TestDatabase::on(&uri);
    let outcome = line("execute", &database, &uri, "").run().exits(2);
    assert_has(
        &outcome.stderr,
        &["error: 0001_whole is transactional (`up` takes `&mut Transaction`)", "standalone", "--replSet"],
    );
    assert!(database.collections().is_empty());
    let outcome = line("execute:2", &database, &uri, "").run().exits(1);
    assert_has(&outcome.stderr, &["the migration 0002_part failed", "the server is standalone, which has no transactions"]);
    line("ignore:1", &database, &uri, "").run().exits(0);
    let outcome = line("rollback:1", &database, &uri, "").run().exits(2);
    assert_has(&outcome.stderr, &["`down` takes `&mut Transaction`"]);
}

#[test]
fn the_limit_that_was_met_is_told_and_what_to_do_instead() {
    let uri = faulty_server().uri();
    let database = TestDatabase::on(&uri);
    database.insert("old", [doc! { "_id": 1, "n": 0 }]);
    for (what, expected) in [
        (
            "index",
            &["does not do this within a transaction", "create new indexes on existing collection", "`&Database` or `&Db`"],
        ),
        ("modify", &["does not do this within a transaction", "collMod", "`&Database` or `&Db`"]),
        ("large", &["larger than the server accepts", "16 MiB", "take `&Db` instead of `&mut Transaction`"]),
    ] {
        let since = Instant::now();
        let outcome = line("execute:1", &database, &uri, what).run().exits(1);
        assert_has(&outcome.stderr, expected);
        assert!(since.elapsed() < Duration::from_secs(60), "{what}: it is not tried again");
        assert!(database.documents("notes").is_empty() && database.registered().is_empty());
    }
    // This server gives a transaction three seconds.
    let outcome = line("execute:1", &database, &uri, "slow").env("SLOW_MS", "8000").run().exits(1);
    assert_has(&outcome.stderr, &["the transaction ran for", "transactionLifetimeLimitSeconds", "take `&Db`"]);
    assert!(database.documents("notes").is_empty() && database.registered().is_empty());
}

#[test]
fn ctrl_c_aborts_it_and_a_plain_execute_runs_it_again() {
    let database = TestDatabase::new();
    let uri = super::support::server_uri();
    let child = line("execute", &database, uri, "slow").env("SLOW_MS", "20000").spawn();
    wait_until_running(&database);
    let asked = Instant::now();
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(asked.elapsed() < Duration::from_secs(15), "it was aborted, not let end");
    assert_has(&stderr, &["a transactional one is aborted", "stopped as asked"]);
    assert!(database.documents("notes").is_empty() && database.registered().is_empty());
    let status = line("show_status --format json", &database, uri, "").run().exits(0).json();
    assert_eq!(status["migrations"][0]["state"], "unregistered");
    let log = database.documents("migrations_log");
    let ends: Vec<_> = log.iter().filter_map(|event| event.get_str("outcome").ok()).collect();
    assert_eq!(ends, ["aborted", "aborted"], "of the migration and of the run");
    // The lock is free at once.
    line("execute", &database, uri, "").run().exits(0);
}

#[test]
fn a_killed_one_is_interrupted_and_runs_again_by_itself() {
    let database = TestDatabase::new();
    let uri = super::support::server_uri();
    let mut child = line("execute", &database, uri, "slow").env("SLOW_MS", "20000").spawn();
    wait_until_running(&database);
    child.kill().unwrap();
    child.wait().unwrap();
    let outcome = line("execute --wait 60s", &database, uri, "").run().exits(0);
    assert_has(&outcome.stderr, &["Executed 0001_whole"]);
    assert_eq!(database.documents("notes").len(), 3);
    let history = line("history:1", &database, uri, "").run().exits(0);
    assert_has(&history.stdout, &["interrupted", "done"]);
}

#[test]
fn a_second_ctrl_c_leaves_a_migration_interrupted_and_frees_the_lock() {
    let database = TestDatabase::new();
    let uri = super::support::server_uri();
    let child = line("execute:2", &database, uri, "patient").spawn();
    wait_until_running(&database);
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(400));
    let asked = Instant::now();
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_has(&String::from_utf8_lossy(&output.stderr), &["ended by a signal"]);
    let status = line("show_status --format json", &database, uri, "").run().exits(0).json();
    assert_eq!(status["migrations"][1]["state"], "interrupted");
    // At once: the next run need not wait until the lease expires.
    line("ignore:2", &database, uri, "").run().exits(0);
}

fn wait_until_running(database: &TestDatabase) {
    let since = Instant::now();
    while !database.documents("migrations_log").iter().any(|event| event.get_str("event").ok() == Some("migration_started"))
    {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not begin");
        std::thread::sleep(Duration::from_millis(30));
    }
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn an_answer_to_the_commit_that_fails_for_a_while_is_asked_for_again() {
    // On a server of its own: a fault is injected for all clients of a server.
    let server = block_on(Throwaway::replica_set_with(&["--setParameter", "enableTestCommands=1"])).unwrap();
    let uri = server.uri();
    for (label, code) in [("UnknownTransactionCommitResult", 91), ("TransientTransactionError", 251)] {
        let database = TestDatabase::on(&uri);
        let fault = doc! {
            "configureFailPoint": "failCommand",
            "mode": { "times": 4 },
            "data": { "failCommands": ["commitTransaction"], "errorCode": code, "errorLabels": [label], "appName": "cargo-migrations" },
        };
        block_on(async {
            Client::with_uri_str(&uri).await.unwrap().database("admin").run_command(fault).await.unwrap();
        });
        line("execute:1", &database, &uri, "").run().exits(0);
        assert_eq!(database.documents("notes").len(), 3, "{label}");
        assert_eq!(database.registered(), ["0001_whole.rs"]);
    }
}
