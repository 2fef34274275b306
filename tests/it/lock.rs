//! The lock: one run at a time, waiting, unlocking, and what is shown about its holder.

use std::process::Child;
use std::time::{Duration, Instant};

use cargo_migrations::mongodb::bson::{Bson, doc};

use super::support::{
    Line, Scene, TestDatabase, assert_has, block_on, blocked, blog, plugin, pty, server_uri, signal_group, simple,
};

/// A run that holds the lock, in a migration that takes its time.
fn holder(database: &TestDatabase, ms: u32) -> Child {
    blog().run("ignore:1", database).exits(0);
    let child = blog().line(["execute:6"]).on(database).env("SLOW_MS", ms.to_string()).spawn();
    let since = Instant::now();
    while !database.trace().iter().any(|did| did == "slow begins") {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    child
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn of_two_hundred_processes_started_at_once_exactly_one_runs_each_migration() {
    let database = TestDatabase::new();
    // Two hundred at once keep the machine busy: the first contact may take its time.
    let uri = format!("{}&serverSelectionTimeoutMS=120000", server_uri());
    let children: Vec<Child> = (0..200)
        .map(|index| {
            let args: &[&str] = if index % 2 == 0 { &["execute", "--wait", "300s"] } else { &["execute"] };
            let line = Line::new(simple().path("manager"), simple().root()).args(args).on(&database);
            line.env("MONGO_URI", &uri).spawn()
        })
        .collect();
    for (index, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => {}
            Some(3) if index % 2 == 1 => assert_has(&stderr, &["error: another run has the lock on"]),
            code => panic!("{code:?}: {stderr}"),
        }
    }
    let mut trace = database.trace();
    trace.sort();
    assert_eq!(trace, ["up 0001", "up 0002", "up 0010"]);
    assert_eq!(database.registered(), ["0001_a.rs", "0002_b.rs", "0010_c.rs"]);
}

#[test]
fn a_second_run_is_refused_at_once_and_told_who_is_at_work() {
    let database = TestDatabase::new();
    let child = holder(&database, 20_000);
    for line in ["execute", "execute:2", "ignore:2", "rollback:1", "execute --wait 300ms"] {
        let outcome = blog().run(line, &database).exits(3);
        let pid = format!("pid {}", child.id());
        assert_has(
            &outcome.stderr,
            &[
                "error: another run has the lock on",
                "held by tester@",
                &pid,
                "running 0006_slow for",
                "renewed",
                "if that process should be gone, see `cargo migrations unlock`",
            ],
        );
        // A run that has waited needs no such advice.
        let is_advised = outcome.stderr.contains("hint: wait for it with `--wait 60s`, or, ");
        assert_eq!(is_advised, !line.contains("--wait"), "{}", outcome.stderr);
    }
    assert_eq!(database.registered(), ["0001_first.rs"]);
    let status = blog().run("show_status", &database).exits(0);
    assert_has(&status.stdout, &["unregistered (running)"]);
    assert_has(&status.stderr, &["Running tester@"]);
    let status = blog().run("--format json", &database).exits(0).json();
    assert_eq!(status["migrations"][5]["state"], "unregistered", "{status}");
    assert_eq!(status["migrations"][5]["running"], true);
    let history = blog().run("history", &database).exits(0);
    assert_has(&history.stdout, &["running"]);
    end(child);
}

#[test]
fn waiting_for_the_lock_ends_when_it_is_free() {
    let database = TestDatabase::new();
    let child = holder(&database, 2_500);
    let outcome = blog().run("execute:2 --wait 60s", &database).exits(0);
    assert_has(&outcome.stderr, &["Waiting for the lock, which is held by tester@"]);
    assert_eq!(database.registered(), ["0001_first.rs", "0002_kinds.rs", "0006_slow.rs"]);
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn a_killed_runs_lease_ends_by_itself_in_ten_seconds() {
    let database = TestDatabase::new();
    end(holder(&database, 60_000));
    let killed = Instant::now();
    blog().run("execute:2", &database).exits(3);
    let outcome = blog().run("execute --wait 60s", &database).exits(3);
    assert!(killed.elapsed() > Duration::from_secs(5), "{:?}", killed.elapsed());
    assert_has(
        &outcome.stderr,
        &["error: 0006_slow was interrupted (up, by tester@", "execute:0006_slow", "ignore:0006_slow", "it has no `down`"],
    );
    let status = blog().run("--check", &database).exits(4);
    assert_has(&status.stdout, &["interrupted"]);
    assert_has(&status.stderr, &["0006_slow was interrupted", "4 unregistered, 1 interrupted on"]);
    blog().run("ignore:6", &database).exits(0);
    blog().run("execute", &database).exits(0);
    assert!(database.trace().iter().filter(|did| *did == "slow begins").count() == 1);
}

#[test]
fn unlock_shows_asks_and_frees() {
    let database = TestDatabase::new();
    let outcome = blog().run("unlock", &database).exits(0);
    assert_has(&outcome.stderr, &["the lock on ", " is free"]);
    let child = holder(&database, 6_000);
    let lock = |id: &str| {
        let lock = database.documents("migrations_lock");
        lock.into_iter().find(|document| document.get_str("_id").ok() == Some(id)).unwrap()
    };
    let number = lock("fence").get_i64("number").unwrap();
    let outcome = blog().run("unlock", &database).exits(3);
    assert_has(
        &outcome.stderr,
        &["held by tester@", "running 0006_slow", "error: confirmation is needed, but there is no terminal"],
    );
    let (screen, code) = pty(&plugin(), blog().root(), &["unlock"], &database, &[("[y/N]", "n\n")]);
    assert_eq!(code, 3, "{screen}");
    assert_has(&screen, &["Free the lock on", "[y/N]", "not confirmed. Nothing was changed"]);
    assert!(lock("lease").get_str("owner").is_ok());
    let (screen, code) = pty(&plugin(), blog().root(), &["unlock"], &database, &[("[y/N]", "y\n")]);
    assert_eq!(code, 0, "{screen}");
    assert_eq!(lock("lease").get("owner"), Some(&Bson::Null));
    assert!(lock("fence").get_i64("number").unwrap() > number, "the fence grows");
    // The run that lost it comes to its end, and registers nothing.
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_has(
        &String::from_utf8_lossy(&output.stderr),
        &["error: this run lost its lock (it was freed by `unlock`)", "before its next write to the registry"],
    );
    assert_eq!(database.registered(), ["0001_first.rs"]);
    let outcome = blog().run("execute:2 execute:4 execute", &database).exits(3);
    assert_has(&outcome.stderr, &["0006_slow was interrupted"]);
}

#[test]
fn what_a_lock_holds_is_what_the_contract_says() {
    let database = TestDatabase::new();
    let child = holder(&database, 1_500);
    let lock = database.documents("migrations_lock");
    let lease = lock.iter().find(|document| document.get_str("_id").ok() == Some("lease")).unwrap();
    for field in ["owner", "user", "host", "command"] {
        assert!(lease.get_str(field).is_ok_and(|text| !text.is_empty()), "{field} in {lease}");
    }
    assert_eq!(lease.get_i64("pid").unwrap(), i64::from(child.id()));
    let (renewed, expires) = (lease.get_datetime("renewed_at").unwrap(), lease.get_datetime("expires_at").unwrap());
    assert_eq!(expires.timestamp_millis() - renewed.timestamp_millis(), 10_000);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(database.documents("migrations_lock").len(), 2, "never deleted");
}

#[test]
fn a_lock_whose_documents_were_deleted_starts_above_all_that_was() {
    let database = TestDatabase::new();
    simple().run("execute:1 execute:2", &database).exits(0);
    let numbers = || -> Vec<i64> {
        database.documents("migrations_log").iter().map(|event| event.get_i64("fence").unwrap()).collect()
    };
    let highest = numbers().into_iter().max().unwrap();
    block_on(async { database.collection("migrations_lock").delete_one(doc! { "_id": "lease" }).await.unwrap() });
    simple().run("rollback:2", &database).exits(0);
    assert!(*numbers().last().unwrap() > highest);
    block_on(async { database.collection("migrations_lock").drop().await.unwrap() });
    simple().run("rollback:1", &database).exits(0);
    assert!(*numbers().last().unwrap() > highest + 1);
    block_on(async { database.collection("migrations_lock").delete_one(doc! { "_id": "fence" }).await.unwrap() });
    simple().run("execute", &database).exits(0);
    simple().run("--check", &database).exits(0);
}

#[test]
fn a_lock_that_was_edited_is_repaired_by_unlock() {
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    let edit = |id: &str, field: &str, value: Bson| {
        let edit = doc! { "$set": { field: value } };
        block_on(async { database.collection("migrations_lock").update_one(doc! { "_id": id }, edit).await.unwrap() });
    };
    // A shell stores numbers as doubles. Nothing needs a repair.
    edit("lease", "term", Bson::Double(7.0));
    simple().run("rollback:1", &database).exits(0);
    for (id, field) in [("lease", "term"), ("fence", "number")] {
        edit(id, field, "many".into());
        let wrong = format!("the field `{field}` of the document `{id}` in `migrations_lock` is not an integer");
        let outcome = simple().run("execute:1", &database).exits(1);
        assert_has(&outcome.stderr, &["the lock could not be taken", &wrong, "unlock` repairs it"]);
        simple().run("unlock", &database).exits(3);
        let outcome = simple().run("unlock --yes", &database).exits(0);
        assert_has(&outcome.stderr, &[&wrong, "Repaired the lock on"]);
        simple().run("execute:1 rollback:1", &database).exits(0);
    }
    let log = database.documents("migrations_log");
    let numbers: Vec<i64> = log.iter().map(|event| event.get_i64("fence").unwrap()).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
}

#[test]
fn a_run_that_lost_its_lock_says_what_was_deleted() {
    let runs: Vec<_> = ["lease", "fence", "all"]
        .into_iter()
        .map(|what| {
            let database = TestDatabase::new();
            let child = holder(&database, 8_000);
            block_on(async {
                let lock = database.collection("migrations_lock");
                if what == "all" {
                    lock.drop().await.unwrap();
                    database.collection("migrations_log").drop().await.unwrap();
                } else {
                    lock.delete_one(doc! { "_id": what }).await.unwrap();
                }
            });
            (what, database, child)
        })
        .collect();
    for (what, database, child) in runs {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{what}: {stderr}");
        let why = match what {
            "all" => "(the collections `migrations_lock` and `migrations_log` are gone".to_owned(),
            id => format!("(the document `{id}` in `migrations_lock` was deleted)"),
        };
        assert_has(&stderr, &["error: this run lost its lock", &why]);
        assert_eq!(database.registered(), ["0001_first.rs"], "{what}");
    }
}

#[test]
fn an_interrupted_migration_whose_file_is_gone_still_needs_a_decision() {
    let database = TestDatabase::new();
    // It has the same code as the first one of the other workspace, which the holder registers.
    simple().run("ignore:1", &database).exits(0);
    end(holder(&database, 60_000));
    // Another branch's manager, which has no such file.
    let outcome = simple().run("execute --wait 60s", &database).exits(3);
    assert_has(
        &outcome.stderr,
        &["0006_slow was interrupted (up, by tester@", "and its file is gone\nhint: bring the file back"],
    );
    let outcome = simple().run("show_status", &database).exits(0);
    assert_has(&outcome.stderr, &["its file is gone"]);
    // A warning keeps its hint.
    let quiet = simple().run("show_status --quiet", &database).exits(0);
    assert_has(&quiet.stderr, &["and its file is gone\nhint: bring the file back"]);
    blog().run("ignore:6", &database).exits(0);
    simple().run("execute", &database).exits(0);
}

/// A run of that migration, and the scene that it plays in. The lease is a second and a half, and the migration blocks for five.
fn blocked_run(migration: &str, options: &str) -> (Scene, Child) {
    let scene = Scene::new(blocked(), &format!("{}{options}", server_uri()));
    let child = scene.line([migration]).spawn();
    let since = Instant::now();
    while scene.database.trace().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    (scene, child)
}

#[test]
fn the_lock_is_renewed_while_a_migration_uses_every_connection_or_blocks_every_thread() {
    for (migration, options) in [("execute:1", "&maxPoolSize=1"), ("execute:2", "")] {
        let (scene, child) = blocked_run(migration, options);
        // More than two leases later the run still has the lock.
        std::thread::sleep(Duration::from_millis(3500));
        let outcome = scene.run(migration).exits(3);
        assert_has(&outcome.stderr, &["error: another run has the lock on"]);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!((scene.database.trace().len(), scene.database.registered().len()), (1, 1), "{migration}");
    }
}

#[test]
fn signals_are_heard_while_a_migration_blocks_every_thread() {
    let (scene, child) = blocked_run("execute:2", "");
    signal_group(&child, "HUP");
    std::thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    signal_group(&child, "INT");
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(asked.elapsed() < Duration::from_secs(4), "it did not wait for the threads");
    assert_has(&stderr, &["stopping after the migration under way"]);
    assert!(scene.database.registered().is_empty());
}
