//! What is stored about backfills goes away with the migration that it is about, in whatever way that is decided: a later attempt must
//! not go on where one that has been undone had come to.

use cargo_migrations::mongodb::bson::{DateTime, Document, doc};

use super::support::{DumpStage, Scene, TestDatabase, crash_rerun, server_uri, standalone_server};

/// The log has an attempt that did not come to its end, and a backfill of it is half done, as is one of `0003_rerun_too`.
fn half_done(uri: &str, name: &str, direction: &str, outcome: Option<&str>) -> Scene {
    let scene = Scene::new(crash_rerun(), uri);
    leave(&scene.database, name, direction, outcome);
    scene
}

fn leave(database: &TestDatabase, name: &str, direction: &str, outcome: Option<&str>) {
    let was_registered = direction == "down";
    let mut event = doc! {
        "registry": "migrations", "event": "migration_started", "run": "r", "fence": 0_i64, "seq": 2_i64,
        "at": DateTime::from_millis(1_770_000_000_000), "subtask": "execute", "name": name, "direction": direction,
        "transactional": false, "was_registered": was_registered,
        "before": if was_registered { "registered" } else { "unregistered" }, "who": "deploy", "where": "web-2",
    };
    if was_registered {
        database.insert("migrations", [doc! { "name": name }]);
    }
    if let Some(outcome) = outcome {
        event.extend(doc! { "event": "migration_ended", "outcome": outcome });
    }
    database.insert("migrations_log", [event]);
    let stem = name.trim_end_matches(".rs");
    for stem in [stem, "0003_rerun_too"] {
        let id = format!("migrations/{stem}/{direction}/users");
        let range = format!("{id}/a/0");
        database.insert("migrations_backfill", [doc! { "_id": &id, "fence": 0_i64, "done": false, "cut": "a" }]);
        database
            .insert("migrations_backfill", [doc! { "_id": range, "backfill": id, "number": 0, "cut": "a", "done": true }]);
    }
}

/// The migrations about which something is stored.
fn stored(database: &TestDatabase) -> Vec<String> {
    let stem = |document: &Document| document.get_str("_id").unwrap().split('/').nth(1).unwrap().to_owned();
    let mut stems: Vec<String> = database.documents("migrations_backfill").iter().map(stem).collect();
    stems.sort();
    stems.dedup();
    stems
}

const BOTH: [&str; 2] = ["0003_rerun", "0003_rerun_too"];
const OTHER: [&str; 1] = ["0003_rerun_too"];

#[test]
fn whatever_decides_an_attempt_removes_what_it_has_left() {
    for uri in [server_uri().to_owned(), standalone_server().uri()] {
        let lines: [(&str, &str, Option<&str>); 13] = [
            // Its `up` has no backfill any more.
            ("execute", "up", None),
            ("execute:3", "up", None),
            ("execute", "up", Some("failed")),
            ("ignore:3", "up", None),
            ("ignore", "up", Some("failed")),
            ("baseline:3", "up", Some("failed")),
            ("rollback:3", "up", None),
            ("rollback:3", "up", Some("failed")),
            ("redo:3", "up", None),
            ("execute:3", "down", None),
            ("rollback:3", "down", None),
            ("rollback:3", "down", Some("failed")),
            ("redo:3", "down", Some("failed")),
        ];
        for (line, direction, outcome) in lines {
            let scene = half_done(&uri, "0003_rerun.rs", direction, outcome);
            assert_eq!(stored(&scene.database), BOTH);
            scene.run(line).exits(0);
            assert_eq!(stored(&scene.database), OTHER, "{line} after {direction}, {outcome:?}");
        }
    }
}

#[test]
fn adopting_and_forgetting_remove_it_too() {
    let scene = half_done(server_uri(), "0003_rerun.rs", "up", Some("failed"));
    scene.database.insert("changelog", [doc! { "fileName": "0003_rerun.js", "appliedAt": DateTime::now() }]);
    scene.run("adopt:migrate-mongo --yes").exits(0);
    assert_eq!(stored(&scene.database), OTHER);
    for (direction, outcome) in [("up", None), ("down", None), ("down", Some("failed"))] {
        let scene = half_done(server_uri(), "0009_gone.rs", direction, outcome);
        assert_eq!(stored(&scene.database), ["0003_rerun_too", "0009_gone"]);
        scene.run("forget:9 --yes").exits(0);
        assert_eq!(stored(&scene.database), OTHER, "{direction}, {outcome:?}");
    }
}

#[test]
fn what_decides_nothing_leaves_it_there() {
    // An attempt that fails again may be gone on with.
    let scene = half_done(server_uri(), "0003_rerun.rs", "up", None);
    scene.run("execute:to=2").exits(3);
    scene.run("execute:1").exits(0);
    scene.run("plan").exits(0);
    assert_eq!(stored(&scene.database), BOTH);
}

/// Other documents are in the place of those that are done.
#[test]
fn restored_documents_are_done_again() {
    for (dump, part, is_forgotten) in [
        ("dbdump:only=users", "", true),
        ("dbdump", ",only=users", true),
        ("dbdump", ",only=posts", false),
        ("dbdump", "", false),
        ("dbdump:consistent=no", "", true),
    ] {
        let stage = DumpStage::new();
        stage.database.insert("posts", [doc! { "_id": 1 }]);
        stage.database.insert("users", [doc! { "_id": 1 }]);
        let id = "migrations/0001_a/up/users";
        let backfill = doc! { "_id": id, "collection": "users", "cut": "1", "fence": 1_i64, "done": false };
        let range = doc! { "_id": format!("{id}/1/0"), "backfill": id, "cut": "1", "done": true };
        stage.database.insert("migrations_backfill", [backfill, range]);
        stage.run(dump).exits(0);
        let name = stage.dumps().pop().unwrap();
        stage.run(&format!("restore:{name}{part} --yes")).exits(0);
        let left = stage.database.documents("migrations_backfill").len();
        assert_eq!(left, if is_forgotten { 0 } else { 2 }, "{dump} {part}");
    }
}
