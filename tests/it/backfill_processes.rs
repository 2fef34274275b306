//! Several processes work on one backfill, and any of them may be killed or frozen. With `exactly_once`, too.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{Document, doc};

use super::support::recover::{Frozen, wait_for_lease_to_expire};
use super::support::{Outcome, ReplicaSet, Scene, assert_has, backfilling, faulty_server, signal};

/// `0001_shout` may write a document twice, `0002_once` writes it once.
const BOTH: [&str; 2] = ["0001_shout", "0002_once"];

fn scene(uri: &str, documents: i32) -> Scene {
    let scene = Scene::new(backfilling(), uri);
    scene.database.insert("users", (0..documents).map(|n| doc! { "_id": n, "name": format!("user {n}") }));
    scene
}

/// What the environment of each process has: ranges are small, and there are many.
fn environment() -> BTreeMap<&'static str, &'static str> {
    [("CARGO_MIGRATIONS_RANGE", "250"), ("IN_FLIGHT", "2"), ("PAUSE_US", "400")].into()
}

fn start(scene: &Scene, args: &str, more: &[(&str, &str)]) -> Child {
    let line = scene.line(args.split_whitespace());
    environment().into_iter().chain(more.iter().copied()).fold(line, |line, (name, value)| line.env(name, value)).spawn()
}

fn run(scene: &Scene, args: &str, more: &[(&str, &str)]) -> Outcome {
    let line = scene.line(args.split_whitespace());
    environment().into_iter().chain(more.iter().copied()).fold(line, |line, (name, value)| line.env(name, value)).run()
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Waits until the backfill's document has what is wanted.
fn wait_until(scene: &Scene, what: &str, is_so: impl Fn(&Document) -> bool) {
    let since = Instant::now();
    loop {
        let found = scene.database.documents("migrations_backfill");
        if found.iter().any(|document| document.contains_key("workers") && is_so(document)) {
            return;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{what}: {found:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn workers(document: &Document) -> usize {
    document.get_document("workers").unwrap().len()
}

/// Every document is right. With `exactly_once` each was written once, and the totals are exact.
#[track_caller]
fn all_is_right(scene: &Scene, migration: &str, documents: usize) {
    let users = scene.database.documents("users");
    assert_eq!(users.len(), documents);
    for user in &users {
        assert_eq!(user.get_str("shout").unwrap(), user.get_str("name").unwrap().to_uppercase());
        if migration == "0002_once" {
            assert_eq!(user.get_i32("times").unwrap(), 1, "{user}");
        }
    }
    if migration == "0002_once" {
        let mut audited: Vec<i32> =
            scene.database.documents("audit").iter().map(|entry| entry.get_i32("user").unwrap()).collect();
        audited.sort_unstable();
        assert_eq!(audited, (0..i32::try_from(documents).unwrap()).collect::<Vec<_>>());
    }
    assert!(scene.database.registered().contains(&format!("{migration}.rs")));
    assert_eq!(scene.database.documents("migrations_backfill"), Vec::<Document>::new());
    let log = scene.database.documents("migrations_log");
    let totals = log.iter().rev().find_map(|event| event.get_array("backfills").ok()).unwrap()[0].as_document().unwrap();
    assert_eq!(totals.get_i64("read").unwrap(), i64::try_from(documents).unwrap(), "{totals}");
}

#[test]
fn exactly_once_killed_again_and_again() {
    let kills = if std::env::var("CARGO_MIGRATIONS_FAULTS").is_ok_and(|which| which == "all") { 50 } else { 15 };
    let set = ReplicaSet::start();
    let scene = scene(&set.uri(), 4000);
    let mut random = u64::from(std::process::id()) | 1;
    let mut killed = 0;
    let more = [("PAUSE_US", "0"), ("IN_FLIGHT", "3")];
    while killed < kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = format!("KILL:{}", 8 + random % 24);
        let outcome = run(&scene, "execute:2", &[more[0], more[1], ("CARGO_MIGRATIONS_CRASH_AT", &at)]);
        if outcome.code == 0 {
            break;
        }
        assert_eq!(outcome.code, -1, "{outcome:?}");
        killed += 1;
        wait_for_lease_to_expire(&scene);
    }
    assert!(killed > 3, "{killed}");
    if scene.database.registered().is_empty() {
        run(&scene, "execute:2", &more).exits(0);
    }
    all_is_right(&scene, "0002_once", 4000);
}

#[test]
fn three_of_four_processes_are_killed() {
    for migration in BOTH {
        let mut scene = scene(&faulty_server().uri(), 6000);
        scene.lease_ms = 3000;
        let first = start(&scene, &format!("execute:{migration}"), &[]);
        wait_until(&scene, "the backfill begins", |document| workers(document) == 1);
        let joined: Vec<Child> = (0..3).map(|_| start(&scene, "backfill:join", &[])).collect();
        wait_until(&scene, "three have joined", |document| workers(document) == 4);
        // Each works on a range of its own.
        for (index, mut child) in joined.into_iter().enumerate() {
            std::thread::sleep(Duration::from_millis(100 * index as u64));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let (code, stderr) = ended(first);
        assert_eq!(code, Some(0), "{stderr}");
        all_is_right(&scene, migration, 6000);
    }
}

#[test]
fn the_first_process_is_killed_and_those_that_joined_stop() {
    for migration in BOTH {
        let mut scene = scene(&faulty_server().uri(), 6000);
        scene.lease_ms = 2000;
        let mut first = start(&scene, &format!("execute:{migration}"), &[]);
        wait_until(&scene, "the backfill begins", |document| workers(document) == 1);
        let joined: Vec<Child> = (0..2).map(|_| start(&scene, "backfill:join", &[("PAUSE_US", "2000")])).collect();
        wait_until(&scene, "two have joined", |document| workers(document) == 3);
        first.kill().unwrap();
        first.wait().unwrap();
        for child in joined {
            let (code, stderr) = ended(child);
            assert_eq!(code, Some(1), "{stderr}");
            assert_has(&stderr, &["is gone, so this process has stopped", "hint: "]);
        }
        assert!(scene.database.registered().is_empty());
        wait_for_lease_to_expire(&scene);
        let outcome = run(&scene, &format!("execute:{migration}"), &[("PAUSE_US", "0")]).exits(0);
        assert_has(&outcome.stderr, &["the backfill of `users` goes on: "]);
        all_is_right(&scene, migration, 6000);
    }
}

#[test]
fn processes_that_join_help_to_the_end() {
    for migration in BOTH {
        let scene = scene(&faulty_server().uri(), 6000);
        let first = start(&scene, &format!("execute:{migration}"), &[]);
        wait_until(&scene, "the backfill begins", |document| workers(document) == 1);
        let joined: Vec<Child> = (0..3).map(|_| start(&scene, "backfill:join", &[])).collect();
        let (code, stderr) = ended(first);
        assert_eq!(code, Some(0), "{stderr}");
        let mut helped = 0;
        for child in joined {
            let (code, stderr) = ended(child);
            // One that comes too late finds nothing to join.
            if code == Some(2) {
                assert_has(&stderr, &["is under way, so there is none to join"]);
                continue;
            }
            assert_eq!(code, Some(0), "{stderr}");
            assert_has(&stderr, &["Joining users of ", "Done users of ", "this process has read "]);
            helped += usize::from(!stderr.contains("has read 0 documents"));
        }
        assert!(helped > 0, "at least one has helped");
        all_is_right(&scene, migration, 6000);
    }
}

#[test]
fn a_process_that_was_frozen_past_its_lease_marks_nothing_when_it_wakes_up() {
    for migration in BOTH {
        let mut scene = scene(&faulty_server().uri(), 3000);
        scene.lease_ms = 1500;
        let first = start(&scene, &format!("execute:{migration}"), &[("PAUSE_US", "2000")]);
        wait_until(&scene, "the backfill begins", |document| workers(document) == 1);
        let joined =
            environment().into_iter().fold(scene.line(["backfill:join"]), |line, (name, value)| line.env(name, value));
        // After a batch is committed, before its range is marked.
        let at = "STOP:2";
        let mut joined = Frozen(joined.env("CARGO_MIGRATIONS_CRASH_AT", at).spawn());
        // The first one takes over what the frozen one has, and ends.
        let (code, stderr) = ended(first);
        assert_eq!(code, Some(0), "{stderr}");
        all_is_right(&scene, migration, 3000);
        joined.wake();
        let status = joined.0.wait().unwrap();
        assert!(matches!(status.code(), Some(0..=2)), "{status}");
        let before: Vec<Document> = scene.database.documents("users");
        all_is_right(&scene, migration, 3000);
        assert_eq!(scene.database.documents("users"), before);
    }
}

#[test]
fn a_run_that_was_frozen_while_it_began_does_not_begin_after_the_one_that_follows() {
    for migration in BOTH {
        let points = scene(&faulty_server().uri(), 500).trace(&format!("execute:{}", &migration[3..4]));
        // With nothing stored, and with a transaction that is not committed.
        let cut = points.iter().position(|name| name == "ranges cut").unwrap();
        for point in [cut, cut + 1] {
            let mut scene = scene(&faulty_server().uri(), 500);
            scene.lease_ms = 1500;
            let line = format!("execute:{}", &migration[3..4]);
            let mut first = Frozen::at(&scene, &line, point);
            wait_for_lease_to_expire(&scene);
            scene.run(&line).exits(0);
            all_is_right(&scene, migration, 500);
            let calls = scene.witness_length();
            first.wake();
            assert_eq!(first.0.wait().unwrap().code(), Some(1), "{migration} at {}", points[point]);
            assert_eq!(scene.witness_length(), calls, "{migration} at {}", points[point]);
            all_is_right(&scene, migration, 500);
            assert!(scene.database.documents("migrations_backfill").is_empty(), "{migration} at {}", points[point]);
        }
    }
}

#[test]
fn another_program_cannot_join() {
    let scene = scene(&faulty_server().uri(), 3000);
    let outcome = scene.run("backfill:join").exits(2);
    assert_has(&outcome.stderr, &["is under way, so there is none to join", "hint: "]);
    let mut first = start(&scene, "execute:1", &[("PAUSE_US", "3000")]);
    wait_until(&scene, "the backfill begins", |document| workers(document) == 1);
    let other = doc! { "$set": { "checksum": "another" } };
    let backfills = scene.database.collection("migrations_backfill");
    super::support::block_on(async {
        backfills.update_one(doc! { "workers": { "$exists": true } }, other).await.unwrap();
    });
    let outcome = scene.run("backfill:join").exits(2);
    assert_has(&outcome.stderr, &["belongs to `0001_shout`, and the file of that here is another one", "hint: "]);
    signal(&first, "TERM");
    first.wait().unwrap();
}

#[test]
fn primaries_that_step_down_do_not_end_a_backfill() {
    let set = ReplicaSet::start();
    for migration in BOTH {
        let mut scene = scene(&set.uri(), 6000);
        scene.lease_ms = 10_000;
        let first = start(&scene, &format!("execute:{migration}"), &[("PAUSE_US", "1500")]);
        wait_until(&scene, "the backfill begins", |document| workers(document) == 1);
        for _ in 0..2 {
            set.step_down();
            set.primary();
            std::thread::sleep(Duration::from_millis(500));
        }
        let (code, stderr) = ended(first);
        assert_eq!(code, Some(0), "{stderr}");
        all_is_right(&scene, migration, 6000);
    }
}

#[test]
fn what_a_killed_process_has_open_does_not_lock_documents_any_longer_than_until_the_next_run() {
    let set = ReplicaSet::start();
    let client = super::support::block_on(Client::with_uri_str(set.uri())).unwrap();
    let admin =
        |command: Document| super::support::block_on(async { client.database("admin").run_command(command).await.unwrap() });
    // The server does not end it by itself while this test runs.
    admin(doc! { "setParameter": 1, "transactionLifetimeLimitSeconds": 100_000 });
    for migration in BOTH {
        let scene = scene(&set.uri(), 1000);
        let points = scene.trace(&format!("execute:{migration}"));
        let at = points.iter().position(|point| point == "batch in transaction").unwrap();
        let scene = self::scene(&set.uri(), 1000);
        let killed =
            scene.line([&*format!("execute:{migration}")]).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{at}")).run();
        assert_eq!(killed.code, -1, "{killed:?}");
        let open = admin(doc! { "serverStatus": 1 });
        assert!(open.get_document("transactions").unwrap().get_i64("currentOpen").unwrap() > 0);
        wait_for_lease_to_expire(&scene);
        scene.run(&format!("execute:{migration}")).exits(0);
        all_is_right(&scene, migration, 1000);
        let open = admin(doc! { "serverStatus": 1 });
        assert_eq!(open.get_document("transactions").unwrap().get_i64("currentOpen").unwrap(), 0);
    }
}
