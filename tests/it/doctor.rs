//! `doctor`: what it finds, what it says about it, and that it changes nothing. (What depends on rights is in `rights.rs`.)

use cargo_migrations::mongodb::bson::oid::ObjectId;
use cargo_migrations::mongodb::bson::{DateTime, doc};
use serde_json::Value;

use super::support::{Line, TestDatabase, assert_has, block_on, blog, simple, standalone_server};

/// Runs `doctor` on the database, and returns its findings as `STATE TEXT | REMEDY`, by check.
fn findings(line: Line, code: i32) -> impl Fn(&str) -> String {
    let outcome = line.run().exits(code);
    let json = outcome.json();
    let wrong = json["findings"].as_array().unwrap().iter().filter(|finding| finding["state"] == "wrong").count();
    assert_eq!((&json["wrong"], code == 4), (&wrong.into(), wrong > 0));
    move |check: &str| {
        let of_check = json["findings"].as_array().unwrap().iter().filter(|finding| finding["check"] == check);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lines = of_check.map(|finding| {
            format!("{} {} | {}\n", text(&finding["state"]), text(&finding["text"]), text(&finding["remedy"]))
        });
        lines.collect()
    }
}

fn doctor(database: &TestDatabase) -> Line {
    // Dumps of other tests may be in the workspace.
    let dumps = std::env::temp_dir().join(format!("no-dumps-{}", database.name()));
    Line::new(simple().path("manager"), simple().root())
        .args(["doctor", "--format", "json"])
        .on(database)
        .env("MONGO_DUMP_DIRECTORY", dumps)
}

#[test]
fn where_all_is_well_it_says_so_and_changes_nothing() {
    let database = TestDatabase::new();
    let of = findings(doctor(&database), 0);
    assert!(database.collections().is_empty());
    assert_has(&of("server"), &["ok MongoDB "]);
    assert_has(&of("compatibility"), &["ok feature compatibility version "]);
    assert_has(&of("topology"), &["ok replica set ", ", 1 member with data, primary 127.0.0.1:"]);
    assert_has(&of("majority"), &["ok a majority of the replica set confirms writes"]);
    assert_has(&of("rights"), &["ok the connection has no login"]);
    assert_has(&of("clock"), &["ok the clock of this machine agrees", "ok no run is in the log"]);
    assert_has(&of("lock"), &["ok free"]);
    assert_has(&of("migrations"), &["ok 0 migrations registered, 3 unregistered: `0001_a`, `0002_b`, `0010_c`"]);
    assert_has(&of("oplog"), &["ok the last "]);
    assert_has(&of("time-outs"), &["ok none"]);
    assert_has(&of("leftovers"), &["ok no unfinished dumps in ", "ok no collections that a restore has loaded"]);
    assert_has(&of("mongod"), &["version "]);
    assert_has(&of("tool"), &["ok cargo-migrations ", "run by tester@"]);

    simple().run("execute", &database).exits(0);
    let of = findings(doctor(&database), 0);
    assert_has(&of("migrations"), &["ok 3 migrations registered, and none unregistered"]);
    assert_has(&of("clock"), &["(the host of the last run) agrees with the server's within 5 s"]);
}

#[test]
fn what_is_wrong_is_named_with_its_remedy() {
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    let log = database.documents("migrations_log");
    // An attempt that ended nowhere, on a host whose clock is an hour fast.
    let started = log.iter().find(|event| event.get_str("event").unwrap() == "migration_started").unwrap().clone();
    let fast = DateTime::from_millis(DateTime::now().timestamp_millis() + 3_600_000);
    let hour = u32::try_from(fast.timestamp_millis() / 1000).unwrap().to_be_bytes();
    let id = ObjectId::from_bytes([hour[0], hour[1], hour[2], hour[3], 0, 0, 0, 0, 0, 0, 0, 1]);
    let (mut run, mut attempt) = (log[0].clone(), started);
    run.extend(doc! { "_id": id, "fence": 7_i64, "seq": 1_i64, "at": DateTime::now() });
    let of_two = doc! {
        "_id": ObjectId::new(), "name": "0002_b.rs", "number": "0002", "run": "another", "fence": 7_i64, "seq": 2_i64, "was_registered": false,
    };
    attempt.extend(of_two);
    database.insert("migrations_log", [run, attempt]);
    // The last event that said that nothing is open is older.
    block_on(async {
        let lock = database.collection("migrations_lock");
        lock.update_one(doc! { "_id": "lease" }, doc! { "$set": { "term": 9_i64, "owner": 7 } }).await.unwrap();
    });
    database.insert("migrations_restore.7.0.posts", [doc! {}]);
    let dumps = tempfile::tempdir().unwrap();
    std::fs::create_dir(dumps.path().join("2026-02-01_00_00_00_000.partial")).unwrap();
    let uri = format!("{}&serverSelectionTimeoutMS=3000&connectTimeoutMS=900", super::support::server_uri());
    let line = doctor(&database)
        .env("MONGO_DUMP_DIRECTORY", dumps.path())
        .env("MONGO_URI", uri)
        .env("CARGO_MIGRATIONS_MONGOD", "/bin/false");
    let of = findings(line, 4);
    assert_has(&of("lock"), &["wrong the field `owner` of the document `lease`", "unlock` repairs it"]);
    assert_has(&of("migrations"), &["wrong 0002_b was interrupted (up, by tester@", "| check the data, then use `"]);
    assert_has(&of("clock"), &["(the host of the last run) is ", " min fast, compared", "| let NTP set both clocks"]);
    assert_has(&of("time-outs"), &["wrong serverSelectionTimeoutMS=3000", "wrong connectTimeoutMS=900", "2000 or more"]);
    assert_has(&of("leftovers"), &["note unfinished dumps in ", "2026-02-01_00_00_00_000.partial", "| if no dump is being"]);
    assert_has(
        &of("leftovers"),
        &[
            "note collections that a restore has loaded and not put into place: `migrations_restore.7.0.posts`",
            " unlock:restore`",
        ],
    );
    assert_has(&of("mongod"), &["wrong /bin/false cannot be run"]);
}

#[test]
fn a_failed_migration_and_people_get_a_line_each_and_exit_4() {
    let database = TestDatabase::new();
    blog().line(["execute"]).on(&database).env("NO_CHEESE", "1").run().exits(1);
    let outcome = blog().run("doctor", &database).exits(4);
    let line = outcome.stdout.lines().find(|line| line.starts_with("migrations")).unwrap();
    assert_has(line, &["wrong", "0003_own_error failed: ", "(fix it and run `cargo migrations execute` again)"]);
    assert_has(&outcome.stderr, &["error: migrations: 0003_own_error failed: ", "hint: migrations: fix it and run "]);
}

#[test]
fn a_standalone_server_and_one_that_is_not_there() {
    let standalone = standalone_server();
    let database = TestDatabase::on(&standalone.uri());
    let of = findings(doctor(&database).env("MONGO_URI", standalone.uri()), 0);
    assert_has(&of("topology"), &["note standalone server", "| make it a replica set of one"]);
    assert_has(&of("transactions"), &["note a standalone server has none"]);

    let of = findings(doctor(&database).env("MONGO_URI", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=500"), 4);
    assert_has(&of("server"), &["wrong no server could be reached: 127.0.0.1:1 (connection refused)", "| check the host"]);
    assert_has(&of("mongod"), &["version "]);
}

#[test]
fn a_registry_of_another_tool_is_found() {
    let database = TestDatabase::new();
    database.insert("migrations", [doc! { "fileName": "1-a.js" }]);
    let of = findings(doctor(&database), 4);
    assert_has(
        &of("registry"),
        &["wrong the registry `migrations`", "as migrate-mongo writes them", "MIGRATIONS_COLLECTION"],
    );
    assert_eq!(database.collections(), ["migrations"]);
}
