//! `plan`: what a task would do. It writes nothing.

use cargo_migrations::mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};

use super::corrections::edited;
use super::support::recover::Frozen;
use super::support::{Scene, TestDatabase, assert_has, block_on, blog, crash, faulty_server, simple, standalone_server};

/// `down 0010_c registered`
fn steps(plan: &Value) -> Vec<String> {
    let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    let line = |step: &Value| {
        format!("{} {} {}", text(step, "direction"), text(step, "name").trim_end_matches(".rs"), text(step, "state"))
    };
    plan["steps"].as_array().unwrap().iter().map(line).collect()
}

fn warnings(plan: &Value) -> String {
    plan["warnings"].as_array().unwrap().iter().map(|warning| format!("{}\n", warning.as_str().unwrap())).collect()
}

fn plan(line: &str, database: &TestDatabase) -> Value {
    simple().run(&format!("{line} --format json"), database).exits(0).json()
}

#[test]
fn on_a_database_where_nothing_was_ever_registered() {
    let database = TestDatabase::new();
    let outcome = simple().run("plan", &database).exits(0);
    assert_data_eq!(
        outcome.stdout_of(&database),
        str![[r#"
STEP     NAME    STATE         TRANSACTION  REHEARSED  DESCRIPTION
execute  0001_a  unregistered  no           -          Leave a trace of 0001.
execute  0002_b  unregistered  no           -          Leave a trace of 0002.
execute  0010_c  unregistered  no           -          Leave a trace of 0010.

"#]]
    );
    assert_data_eq!(
        outcome.stderr_of(&database),
        str![[r#"
    Database DATABASE on 127.0.0.1:PORT
        Plan execute 3 migrations on DATABASE

"#]]
    );
    let step = |name: &str, number: &str| {
        json!({
            "name": name, "direction": "up", "description": format!("Leave a trace of {number}."), "transactional": false,
            "state": "unregistered", "rehearsed": null,
        })
    };
    let expected = json!({
        "database": database.name(),
        "steps": [step("0001_a.rs", "0001"), step("0002_b.rs", "0002")],
        "warnings": [],
    });
    assert_eq!(plan("plan:execute,to=2", &database), expected);
    for line in ["plan:ignore", "plan:baseline,2", "plan:to,10", "plan:rollback,to=0", "plan:rollback:run=last"] {
        simple().run(line, &database).exits(0);
    }
    simple().run("plan --check", &database).exits(4);
    simple().run("plan:rollback,steps=3 --check", &database).exits(0);
    assert!(database.collections().is_empty());
}

#[test]
fn of_any_line() {
    let database = TestDatabase::new();
    simple().run("execute:1 execute:10", &database).exits(0);
    edited(&database, "0001_a.rs");
    database.insert("migrations", [doc! { "name": "0000_gone.rs" }]);
    for (line, expected) in [
        ("plan", &["up 0002_b unregistered"][..]),
        ("plan:execute", &["up 0002_b unregistered"]),
        ("plan:execute,2", &["up 0002_b unregistered"]),
        ("plan:execute:0002_b", &["up 0002_b unregistered"]),
        ("plan:execute,to=1", &[]),
        ("plan:rollback,10", &["down 0010_c registered"]),
        ("plan:rollback,to=1", &["down 0010_c registered"]),
        ("plan:rollback,steps=2", &["down 0010_c registered", "down 0001_a registered"]),
        ("plan:rollback,run=last", &["down 0010_c registered"]),
        ("plan:to,0002", &["down 0010_c registered", "up 0002_b unregistered"]),
        ("plan:redo,1", &["down 0001_a registered", "up 0001_a unregistered"]),
        ("plan:ignore", &["ignore 0002_b unregistered"]),
        ("plan:baseline,10", &["ignore 0002_b unregistered"]),
        ("plan:accept,1", &["accept 0001_a registered"]),
        ("plan:forget,0000_gone", &["forget 0000_gone missing"]),
    ] {
        let found = plan(line, &database);
        assert_eq!(steps(&found), expected, "{line}: {found}");
        let code = if expected.is_empty() { 0 } else { 4 };
        simple().run(&format!("{line} --check"), &database).exits(code);
    }
    let outcome = simple().run("plan:to,2", &database).exits(0);
    assert_has(&outcome.stdout, &["roll back  0010_c  registered", "execute    0002_b  unregistered"]);
    let outcome = simple().run("plan", &database).exits(0);
    assert_has(&outcome.stdout, &["0002_b  unregistered (out of order)"]);
    assert_has(
        &outcome.stderr,
        &["warning: out of order: `0002_b` has a lower number than `0010_c`", "Plan execute 1 migration"],
    );
    assert_has(
        &warnings(&plan("plan", &database)),
        &["out of order: `0002_b`", "`0001_a` was edited", "`0000_gone` is registered"],
    );
    assert_has(&simple().run("plan:redo,1", &database).exits(0).stdout, &["0001_a  registered (changed)"]);
    assert_eq!(database.trace().len(), 2);
}

#[test]
fn what_would_be_refused_and_why() {
    let database = TestDatabase::new();
    blog().run("execute:to=4", &database).exits(0);
    let refused = |line: &str| {
        let outcome = blog().run(&format!("{line} --format json"), &database).exits(0);
        blog().run(&format!("{line} --check"), &database).exits(4);
        outcome.json()
    };
    let found = refused("plan:rollback,to=2");
    assert_eq!(steps(&found), ["down 0004_no_down registered", "down 0003_own_error registered"]);
    let why = "`rollback:to=2` would be refused: 0004_no_down cannot be rolled back: it has no `pub async fn down`";
    assert_has(&warnings(&found), &[why]);
    assert_has(&warnings(&refused("plan:execute,1")), &["would be refused: 0001_first is already registered"]);
    assert_has(&warnings(&refused("plan:redo,5")), &["`redo:0005_panics` would be refused: 0005_panics is not registered"]);
    assert_has(&warnings(&refused("plan:forget,1")), &["would be refused: 0001_first has a file"]);
    assert_has(&warnings(&refused("plan:rollback,1 --strict")), &["would be refused: out of order: ", "`--strict`"]);
    let outcome = blog().run("plan:rollback,to=2", &database).exits(0);
    assert_has(&outcome.stderr, &["warning: `rollback:to=2` would be refused", "hint: write one in 0004_no_down.rs"]);
    assert!(!outcome.stderr.contains(" Plan "), "{}", outcome.stderr);
    database.insert(
        "migrations_log",
        [doc! {
            "registry": "migrations", "event": "migration_started", "run": "killed", "fence": 9_i64, "seq": 1_i64,
            "subtask": "execute", "name": "0005_panics.rs", "direction": "up", "who": "deploy", "where": "web-2",
        }],
    );
    let lease = doc! { "$set": { "term": 9_i64 } };
    block_on(async { database.collection("migrations_lock").update_one(doc! { "_id": "lease" }, lease).await.unwrap() });
    assert_has(
        &warnings(&refused("plan")),
        &["`execute` would be refused: 0005_panics was interrupted (up, by deploy@web-2"],
    );
    // On a standalone server.
    let scene = Scene::new(crash(), &standalone_server().uri());
    let found = scene.run("plan --format json").exits(0).json();
    assert_has(&warnings(&found), &["0002_tx is transactional (`up` takes `&mut Transaction`), and so are `0004_tx`"]);
    let transactional: Vec<_> =
        found["steps"].as_array().unwrap().iter().map(|step| step["transactional"].clone()).collect();
    assert_eq!(transactional, [false, true, false, true]);
    assert!(scene.database.collections().is_empty());
}

#[test]
fn a_line_that_is_wrong_is_an_error() {
    let database = TestDatabase::new();
    for (line, part) in [
        ("plan:nope", "there is no subtask or environment named `nope`"),
        ("plan:dbdump", "dbdump is not about migrations, so there is no plan for it"),
        ("plan:plan", "plan is not about migrations"),
        ("plan:to=3", "plan takes a task, and then its options"),
        ("plan:execute,to=77", "there is no migration `77`"),
        ("plan:execute,77", "there is no migration `77`"),
        ("plan:to", "to needs a migration's number"),
        ("plan:rollback,steps=0", "`0` is not a valid value for `steps=`"),
        ("plan:execute,nope=1", "execute takes no option `nope`"),
        ("execute plan:to,77", "there is no migration `77`"),
    ] {
        let outcome = simple().run(line, &database).exits(2);
        assert_has(&outcome.stderr, &[&format!("error: {part}"), "hint: "]);
    }
    assert!(database.collections().is_empty());
    // What a team added has no plan, and what it overrides has the built-in's.
    assert_has(&blog().run("plan:mytask", &database).exits(2).stderr, &["mytask is not about migrations"]);
    blog().run("plan:execute,to=1", &database).exits(0);
}

#[test]
fn who_has_the_lock_is_said_and_the_lock_is_left_alone() {
    let scene = Scene::new(crash(), &faulty_server().uri());
    let points = scene.trace("execute:1");
    let index = points.iter().position(|point| point == "run begun").unwrap();
    let _frozen = Frozen::at(&scene, "execute:3", index);
    let before = scene.database.documents("migrations_lock");
    let found = scene.run("plan --format json").exits(0).json();
    assert_has(&warnings(&found), &["tester@", " is at work: execute:0003_plain, for "]);
    assert_eq!(steps(&found).len(), 3);
    // Its lease is not renewed while it is frozen.
    assert_eq!(scene.database.documents("migrations_lock"), before);
}

/// What the server's profiler has seen.
fn profiled(database: &TestDatabase) -> Vec<Document> {
    let profile = database.documents("system.profile");
    profile.into_iter().filter(|entry| entry.get_str("ns").is_ok_and(|ns| !ns.ends_with("system.profile"))).collect()
}

/// Whether an operation writes.
fn writes(entry: &Document) -> bool {
    let op = entry.get_str("op").unwrap_or_default();
    let command = entry.get_document("command").cloned().unwrap_or_default();
    let text = command.to_string();
    let is_write = |name: &str| command.contains_key(name);
    matches!(op, "insert" | "update" | "remove")
        || ["insert", "update", "delete", "findAndModify", "createIndexes", "create", "drop", "collMod", "commitTransaction"]
            .into_iter()
            .any(is_write)
        || text.contains("$merge")
        || text.contains("$out")
}

#[test]
fn nothing_is_written_as_the_servers_profiler_says() {
    let database = TestDatabase::new();
    database.profile(2);
    simple().run("plan", &database).exits(0);
    assert!(!profiled(&database).is_empty(), "the profiler is at work");
    simple().run("execute:1 execute:10", &database).exits(0);
    assert!(profiled(&database).iter().any(writes), "it notices what a run writes");
    database.profile(0);
    block_on(async { database.collection("system.profile").drop().await.unwrap() });
    edited(&database, "0001_a.rs");
    database.insert("migrations", [doc! { "name": "0012_gone.rs" }]);
    let before: Vec<_> = database.collections();
    let stored = || ["migrations", "migrations_log", "migrations_lock", "trace"].map(|name| database.documents(name));
    let documents = stored();
    database.profile(2);
    for line in [
        "plan",
        "plan --check",
        "plan:execute,to=2 --strict",
        "plan:execute,2",
        "plan:rollback,to=0",
        "plan:rollback,steps=1",
        "plan:rollback,run=last",
        "plan:to,2",
        "plan:redo,1",
        "plan:ignore",
        "plan:baseline,2",
        "plan:accept,1",
        "plan:forget,12 --format json",
    ] {
        simple().run(line, &database);
    }
    let seen = profiled(&database);
    assert!(seen.len() >= 13, "{}", seen.len());
    let written: Vec<_> = seen.iter().filter(|entry| writes(entry)).collect();
    assert!(written.is_empty(), "{written:?}");
    database.profile(0);
    assert_eq!(stored(), documents);
    block_on(async { database.collection("system.profile").drop().await.unwrap() });
    assert_eq!(database.collections(), before);
}
