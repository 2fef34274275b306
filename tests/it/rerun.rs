//! Migrations whose file says that `up` may run again from its beginning: what is said about them once they were interrupted, and what
//! runs them again. `crashes.rs` kills them at every point.

use std::sync::{Arc, Mutex};

use cargo_migrations::mongodb::bson::{DateTime, doc};
use cargo_migrations::prelude::*;
use cargo_migrations::{Embedded, Migration, Runner};

use super::support::recover::wait_for_lease_to_expire;
use super::support::{Scene, TestDatabase, assert_has, backfilling, block_on, crash_rerun, faulty_server, server_uri};

/// The log has the start of an `up`, and no end.
fn interrupt(database: &TestDatabase, name: &str) {
    let at = DateTime::from_millis(1_770_000_000_000);
    database.insert(
        "migrations_log",
        [doc! {
            "registry": "migrations", "event": "migration_started", "run": "r", "fence": 0_i64, "seq": 2_i64, "at": at,
            "subtask": "execute", "name": name, "direction": "up", "transactional": false, "was_registered": false,
            "before": "unregistered", "who": "deploy", "where": "web-2",
        }],
    );
}

fn interrupted() -> Scene {
    let scene = Scene::new(crash_rerun(), server_uri());
    interrupt(&scene.database, "0003_rerun.rs");
    scene
}

const WAS: &str = "0003_rerun was interrupted (up, by deploy@web-2, 2026-02-02 02:40:00Z)";

#[test]
fn what_shows_states_says_that_it_runs_again() {
    let scene = interrupted();
    let hint = "`manager execute`, which runs 0003_rerun again by itself";
    let status = scene.run("show_status").exits(0);
    assert_has(&status.stderr, &[&format!("{WAS}, and its file says that running it again is safe\n"), hint]);
    let checked = scene.run("show_status --check").exits(4);
    assert_has(&checked.stderr, &["error: 3 migrations are unregistered, failed or interrupted\nhint: run `"]);
    let doctor = scene.run("doctor");
    assert_has(&doctor.stdout, &["note", WAS, hint]);
    let plan = scene.run("plan").exits(0);
    assert_has(&plan.stdout, &["0003_rerun  interrupted"]);
    assert!(!plan.stderr.contains("refused"), "{plan:?}");
    scene.run("plan --strict").exits(0);
}

#[test]
fn a_plain_execute_says_so_and_runs_it_also_if_it_is_strict() {
    let scene = interrupted();
    let outcome = scene.run("execute --strict").exits(0);
    let sentence = format!("note: {WAS}, and runs again from its beginning: its file says that this is safe\n");
    assert_has(&outcome.stderr, &[&sentence, "Finished"]);
    assert!(!outcome.stderr.contains("warning"), "{outcome:?}");
    let history = scene.run("history:3").exits(0);
    assert_has(&history.stdout, &["interrupted", "done"]);
    let as_json = interrupted().run("execute --format json").exits(0);
    assert_has(&as_json.stderr, &[&sentence]);
}

#[test]
fn what_would_leave_it_half_done_is_refused() {
    let scene = interrupted();
    for line in ["execute:to=2", "ignore", "baseline:3", "rollback:to=0", "to:0 --yes"] {
        let outcome = scene.run(line).exits(3);
        assert_has(
            &outcome.stderr,
            &[WAS, "it is not known how far it got", "to run it again, which its file says is safe"],
        );
    }
    // A person who names it decides.
    scene.run("ignore:3").exits(0);
    assert_has(&scene.run("show_status --format json").stdout, &[r#""state":"ignored""#]);
}

#[test]
fn a_service_runs_it_again_and_reports_it() {
    let database = TestDatabase::new();
    let config = || Config::new().mongo_uri(server_uri()).mongo_database(database.name());
    let migrations = |rerun| {
        let up = async |db: &Db| -> Result<()> {
            db.collection::<Document>("ran").insert_one(doc! {}).await?;
            Ok(())
        };
        Embedded::from_migrations([Migration::new("0001_a.rs", up).with_rerun(rerun)])
    };
    interrupt(&database, "0001_a.rs");
    let error = block_on(Runner::new(config(), migrations(Rerun::Unknown)).execute()).unwrap_err();
    assert_eq!(error.kind(), cargo_migrations::ErrorKind::Undecided);
    let messages = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&messages);
    let runner = Runner::new(config(), migrations(Rerun::Safe))
        .on_message(move |message| heard.lock().unwrap().push((message.is_warning, message.text.clone())));
    assert_eq!(block_on(runner.execute()).unwrap(), ["0001_a"]);
    let sentence = "and runs again from its beginning: its file says that this is safe";
    let messages = messages.lock().unwrap();
    assert!(messages.iter().any(|(is_warning, text)| !is_warning && text.ends_with(sentence)), "{messages:?}");
    assert_eq!(database.documents("ran").len(), 1);
}

#[test]
fn its_backfills_go_on_where_they_were() {
    let new = || {
        let scene = Scene::new(backfilling(), &faulty_server().uri());
        scene.database.insert("users", (0..5000).map(|n| doc! { "_id": n, "name": format!("user {n}") }));
        scene
    };
    let points = new().trace("execute:1");
    let marked = points.iter().position(|point| point == "range marked").unwrap();
    let scene = new();
    scene.line(["execute"]).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{marked}")).run();
    wait_for_lease_to_expire(&scene);
    let outcome = scene.run("execute:to=1").exits(0);
    let again = "note: 0001_shout was interrupted (up, by tester@";
    assert_has(&outcome.stderr, &[again, "the backfill of `users` goes on: 0 of 1 ranges are left"]);
    assert_eq!((scene.witness_length(), scene.database.registered().len()), (5000, 1));
}
