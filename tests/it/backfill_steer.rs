//! `backfill`: what it shows, and how the backfills of other processes are steered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cargo_migrations::mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::Value;

use super::support::{Outcome, TestDatabase, assert_has, block_on, places, plugin, pty_with, screen, server_uri, simple};

const COLLECTION: &str = "migrations_backfill";

/// A backfill of `users` by a migration of that stem: 4,000 documents in 8 ranges. Its process is gone.
fn backfill(stem: &str) -> Document {
    doc! {
        "_id": format!("migrations/{stem}/up/users"), "registry": "migrations", "migration": stem, "direction": "up",
        "label": null, "collection": "users", "kind": "each", "what": "", "checksum": "", "exactly_once": false,
        "rerun_safe": false, "estimate": 4000_i64, "ranges": 8, "cut": "c1", "started_at": DateTime::now(), "fence": 1_i64, "run": "r",
        "owner": "w1", "done": false, "control": { "paused": false, "throttle": null, "by": null, "at": null },
        "now": DateTime::now(), "workers": {},
    }
}

/// A backfill with these fields in place of its own.
fn with(stem: &str, fields: Document) -> Document {
    let mut backfill = backfill(stem);
    backfill.extend(fields);
    backfill
}

/// The ranges of that backfill that are done, each with 500 documents.
fn ranges_done(stem: &str, count: i32) -> Vec<Document> {
    let range = |number: i32| {
        let id = format!("migrations/{stem}/up/users");
        doc! {
            "_id": format!("{id}/c1/{number}"), "backfill": id, "cut": "c1", "number": number, "fence": 1_i64, "worker": null,
            "done": number < count, "counts": { "read": if number < count { 500_i64 } else { 0 }, "failed": 0_i64 },
        }
    };
    (0..8).map(range).collect()
}

/// A worker whose lease ends in so many seconds.
fn worker(seconds: i64, is_paused: bool) -> Document {
    doc! {
        "where": "web-1", "who": "ada", "pid": 4711_i64,
        "until": DateTime::from_millis(DateTime::now().timestamp_millis() + seconds * 1000),
        "read": 1600_i64, "rate": 120.0, "in_flight": 3, "most": 8, "why": "majority write 240 ms > 120 ms",
        "is_paused": is_paused,
    }
}

fn control(database: &TestDatabase, stem: &str) -> Document {
    let filter = doc! { "_id": format!("migrations/{stem}/up/users") };
    let found = block_on(database.collection(COLLECTION).find_one(filter).into_future()).unwrap().unwrap();
    found.get_document("control").unwrap().clone()
}

/// A process that works on a backfill as far as its heartbeats go: with each it learns what is wanted.
struct Beating {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Vec<&'static str>>>,
}

impl Beating {
    fn start(database: &TestDatabase, stem: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (asked, collection, stem) = (Arc::clone(&stop), database.collection(COLLECTION), stem.to_owned());
        let thread = std::thread::spawn(move || {
            let filter = doc! { "_id": format!("migrations/{stem}/up/users") };
            let (mut is_paused, mut seen) = (false, vec!["works"]);
            while !asked.load(Ordering::Relaxed) {
                let until = doc! { "$dateAdd": { "startDate": "$$NOW", "unit": "second", "amount": 5 } };
                let beat = doc! { "$set": { "now": "$$NOW", "workers.w1.until": until, "workers.w1.is_paused": is_paused } };
                let found = block_on(collection.find_one_and_update(filter.clone(), vec![beat]).into_future()).unwrap();
                let wanted = found.unwrap().get_document("control").unwrap().get_bool("paused").unwrap();
                if wanted != is_paused {
                    is_paused = wanted;
                    seen.push(if wanted { "waits" } else { "works" });
                }
                std::thread::sleep(Duration::from_millis(300));
            }
            seen
        });
        Self { stop, thread: Some(thread) }
    }

    /// What it has done, in order.
    fn end(mut self) -> Vec<&'static str> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn run(args: &str, database: &TestDatabase) -> Outcome {
    simple().run(args, database)
}

/// The one event of a line.
#[track_caller]
fn event(outcome: &Outcome) -> Value {
    let mut events = outcome.json_lines();
    assert_eq!(events.len(), 1, "{}", outcome.stdout);
    events.remove(0)
}

#[test]
fn where_nothing_is_under_way_one_sentence_says_so_and_there_is_nothing_to_steer() {
    let database = TestDatabase::new();
    let outcome = run("backfill", &database).exits(0);
    assert_eq!(outcome.stdout, "");
    assert_has(&outcome.stderr, &[&format!("Backfills none is under way on {}", database.name())]);
    let json = run("backfill --format json", &database).exits(0).json();
    assert_eq!((&json["database"], &json["backfills"]), (&database.name().into(), &serde_json::json!([])));
    database.insert(COLLECTION, [with("0001_a", doc! { "done": true }), with("0002_b", doc! { "registry": "others" })]);
    for task in ["pause", "resume", "throttle=5", "throttle=off", "pause,only=1"] {
        let outcome = run(&format!("backfill:{task}"), &database).exits(2);
        assert_has(&outcome.stderr, &["error: no backfill on", "is under way", "hint: `cargo migrations backfill` shows"]);
    }
    let outcome = run("backfill:pause,only=2", &database).exits(2);
    assert_has(&outcome.stderr, &["no backfill of a migration `2` is stored", "those that are stored belong to `0001_a`"]);
    assert!(!database.collections().contains(&"migrations_lock".to_owned()), "looking creates nothing");
}

#[test]
fn every_state_is_shown_to_people_and_programs() {
    let database = TestDatabase::new();
    let at = DateTime::from_millis(DateTime::now().timestamp_millis() - 200_000);
    let paused = doc! { "paused": true, "throttle": 50_i64, "by": "ada@web-1", "at": at };
    database.insert(
        COLLECTION,
        [
            with("0001_done", doc! { "done": true }),
            with("0002_running", doc! { "workers": { "w1": worker(60, false), "w2": worker(-60, false) } }),
            with("0003_stopped", doc! { "workers": { "w1": worker(-60, false) } }),
            with("0004_pausing", doc! { "control": paused.clone(), "workers": { "w1": worker(60, false) } }),
            with(
                "0005_paused",
                doc! { "control": paused.clone(), "workers": { "w1": worker(60, true), "w2": worker(60, true) } },
            ),
            // It was killed before it had seen the pause.
            with("0006_dead", doc! { "control": paused, "workers": { "w1": worker(-1, false) } }),
            with("0007_back", doc! { "direction": "down", "label": "second", "ranges": 0, "estimate": 0_i64 }),
        ],
    );
    database.insert(COLLECTION, ranges_done("0001_done", 8));
    database.insert(COLLECTION, ranges_done("0002_running", 2));
    // It has begun again, and what is left of before does not count.
    let earlier = ranges_done("0002_running", 8).into_iter().map(|mut range| {
        range.extend(doc! { "_id": range.get_str("_id").unwrap().replace("c1", "c0"), "cut": "c0" });
        range
    });
    database.insert(COLLECTION, earlier);
    database.insert(COLLECTION, ranges_done("0003_stopped", 4));

    let outcome = run("backfill", &database).exits(0);
    let rows: Vec<String> =
        outcome.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "MIGRATION BACKFILL STATE READ WORKERS NOW",
        // Two ranges of eight are done, and what is in flight is read as well.
        "0002_running users running 1600/4000 (40%) 1 120/s, 20.0s left, 3 of 8 in flight: majority write 240 ms > 120 ms",
        "0003_stopped users stopped 2000/4000 (50%) 0 its process is gone, and the next run goes on with it",
        "0004_pausing users pausing 1600/4000 (40%) 1 by ada@web-1, 3 min ago, at most 50/s",
        "0005_paused users paused 3200/4000 (80%) 2 by ada@web-1, 3 min ago, at most 50/s",
        "0006_dead users paused 0/4000 (0%) 0 by ada@web-1, 3 min ago, at most 50/s",
        "0007_back (down) second stopped 0/0 (0%) 0 its process is gone, and the next run goes on with it",
        "0001_done users done 4000/4000 (100%) 0 the migration goes on",
    ];
    assert_eq!(rows, expected);

    let json = run("backfill --format json", &database).exits(0).json();
    let states: Vec<&str> =
        json["backfills"].as_array().unwrap().iter().map(|backfill| backfill["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "stopped", "pausing", "paused", "paused", "stopped", "done"]);
    let running = &json["backfills"][0];
    assert_eq!(running["percent"], 40);
    assert_eq!((&running["ranges_done"], &running["ranges"], &running["estimate"]), (&2.into(), &8.into(), &4000.into()));
    assert_eq!((&running["left_ms"], &running["rate"]), (&20_000.into(), &120.0.into()));
    assert_eq!(running["workers"].as_array().unwrap().len(), 1, "the dead are left out");
    assert_eq!((&running["workers"][0]["where"], &running["workers"][0]["pid"]), (&"web-1".into(), &4711.into()));
    assert_eq!((&json["backfills"][2]["by"], &json["backfills"][2]["throttle"]), (&"ada@web-1".into(), &50.into()));

    let one = run("backfill:only=2 --format json", &database).exits(0).json();
    assert_eq!((one["backfills"].as_array().unwrap().len(), &one["backfills"][0]["migration"]), (1, &"0002_running".into()));
}

#[test]
fn it_fits_into_eighty_columns() {
    let database = TestDatabase::new();
    let fields =
        doc! { "workers": { "w1": worker(60, false) }, "collection": "customer_addresses_2", "estimate": 999_900_i64 };
    database.insert(COLLECTION, [with("0012_normalise_all_addresses", fields)]);
    let variables = [("MONGO_URI", server_uri()), ("MONGO_DATABASE", database.name()), ("PTY_COLUMNS", "80")];
    let (written, code) = pty_with(&simple().path("manager"), simple().root(), &["backfill"], &variables, &[]);
    assert_eq!(code, 0, "{written}");
    let shown: Vec<String> = screen(&written).into_iter().filter(|line| !line.contains("Database")).collect();
    assert!(shown.iter().all(|line| line.chars().count() <= 80), "{shown:#?}");
    assert_has(
        &shown.join("\n"),
        &[
            "0012_normal…l_addresses  customer_addresses_2  running  1600/1.00M (0%)",
            "    120/s, 2h 18m left, 3 of 8 in flight",
        ],
    );
}

#[test]
fn what_is_not_running_is_steered_for_its_next_run() {
    let database = TestDatabase::new();
    let others = [with("0005_e", doc! { "registry": "others" }), with("0006_f", doc! { "done": true })];
    database.insert(COLLECTION, [backfill("0001_a"), backfill("0002_b")].into_iter().chain(others));
    let before = [control(&database, "0005_e"), control(&database, "0006_f")];

    let outcome = run("backfill:pause", &database).exits(0);
    for stem in ["0001_a", "0002_b"] {
        let line = format!("Paused users of {stem}: it is not running, and its next run waits until it is resumed");
        assert_has(&outcome.stderr, &[&line]);
        let control = control(&database, stem);
        assert!(control.get_bool("paused").unwrap());
        assert!(control.get_str("by").unwrap().starts_with("tester@"), "{control}");
        assert!(control.get_datetime("at").is_ok(), "{control}");
    }
    let outcome = run("backfill:throttle=1000,only=0002_b --format json", &database).exits(0);
    let expected = serde_json::json!({
        "event": "backfill_steered", "database": database.name(), "migration": "0002_b", "direction": "up", "label": null,
        "collection": "users", "steered": "throttle", "throttle": 1000, "answer": "not_running",
    });
    assert_eq!(event(&outcome), expected);
    assert_eq!(control(&database, "0002_b").get_i64("throttle").unwrap(), 1000);
    assert!(control(&database, "0002_b").get_bool("paused").unwrap(), "a limit does not resume");
    assert!(control(&database, "0001_a").get("throttle") == Some(&Bson::Null));
    let outcome = run("backfill:throttle=off", &database).exits(0);
    assert_has(&outcome.stderr, &["Throttled users of 0002_b: without a limit, from its next run on"]);
    assert!(control(&database, "0002_b").get("throttle") == Some(&Bson::Null));
    let outcome = run("backfill:resume,only=1", &database).exits(0);
    assert_has(&outcome.stderr, &["Resumed users of 0001_a: it is not running, and the next run goes on with it"]);
    assert!(!control(&database, "0001_a").get_bool("paused").unwrap());
    assert!(control(&database, "0002_b").get_bool("paused").unwrap());
    // What is done, and what belongs to another registry, stays as it was.
    assert_eq!([control(&database, "0005_e"), control(&database, "0006_f")], before);
}

#[test]
fn it_waits_until_those_who_work_have_answered() {
    let database = TestDatabase::new();
    database.insert(COLLECTION, [backfill("0001_a")]);
    let beating = Beating::start(&database, "0001_a");
    let state = || run("backfill --format json", &database).exits(0).json()["backfills"][0]["state"].clone();
    while state() != "running" {}
    for (task, state_after) in
        [("pause", "paused"), ("throttle=7", "paused"), ("resume", "running"), ("pause", "paused"), ("resume", "running")]
    {
        let outcome = run(&format!("backfill:{task} --format json"), &database).exits(0);
        assert_eq!(event(&outcome)["answer"], "done", "{task}");
        assert_eq!(state(), state_after, "{task}");
    }
    let outcome = run("backfill:pause", &database).exits(0);
    assert_has(&outcome.stderr, &["Paused users of 0001_a\n"]);
    // The answer to a pause is that it waits, so it has seen each of them.
    assert_eq!(beating.end(), ["works", "waits", "works", "waits", "works", "waits"]);
}

#[test]
fn who_does_not_answer_is_an_error_and_an_old_answer_does_not_count() {
    let database = TestDatabase::new();
    // Both have waited before, and have not been heard of since. The lease of one runs out.
    let (long, short) = (doc! { "w1": worker(600, true) }, doc! { "w1": worker(3, true) });
    database.insert(COLLECTION, [with("0001_a", doc! { "workers": long }), with("0002_b", doc! { "workers": short })]);
    let outcome = run("backfill:pause", &database).exits(1);
    assert_has(
        &outcome.stderr,
        &[
            "warning: users of 0001_a has not answered yet",
            "error: within 10 seconds there was no answer from `0001_a`\n",
            "hint: `cargo migrations backfill` shows",
            "Paused users of 0002_b: it is not running",
        ],
    );
    assert!(control(&database, "0001_a").get_bool("paused").unwrap(), "it is to pause all the same");
}

#[test]
fn one_that_ends_in_the_meantime_says_so() {
    let database = TestDatabase::new();
    database.insert(COLLECTION, [with("0001_a", doc! { "workers": { "w1": worker(600, false) } })]);
    std::thread::scope(|scope| {
        let steering = scope.spawn(|| run("backfill:pause --format json", &database));
        while !control(&database, "0001_a").get_bool("paused").unwrap() {}
        block_on(database.collection(COLLECTION).delete_many(doc! {}).into_future()).unwrap();
        assert_eq!(event(&steering.join().unwrap().exits(0))["answer"], "ended");
    });
}

#[test]
fn several_databases_are_shown_and_steered_one_by_one() {
    let tenants = [TestDatabase::new(), TestDatabase::new()];
    let line = |args: &str| {
        let line = super::support::Line::new(plugin(), places().root()).args(args.split_whitespace());
        let listed = tenants.each_ref().map(TestDatabase::name).join(",");
        line.env("MONGO_URI", server_uri()).env("LISTED", listed).run()
    };
    tenants[1].insert(COLLECTION, [backfill("0001_a")]);
    let shown = line("listed backfill").exits(0);
    assert_has(&shown.stdout, &["0001_a", "stopped"]);
    let documents = line("listed backfill --format json").exits(0).json_lines();
    let counts: Vec<usize> = documents.iter().filter_map(|document| Some(document["backfills"].as_array()?.len())).collect();
    assert_eq!(counts, [0, 1]);
    // Where there is none, that is an error. The others are steered all the same.
    let outcome = line("listed backfill:pause").exits(1);
    assert_has(&outcome.stderr, &["backfill failed on 1 of 2 databases", "is under way"]);
    assert!(control(&tenants[1], "0001_a").get_bool("paused").unwrap());
}
