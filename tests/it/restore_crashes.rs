//! A restore that is killed at every point that it comes to. Until it renames, the database is as it was. After that, no migration
//! runs until another restore has succeeded, or a person has decided.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cargo_migrations::mongodb::bson::{DateTime, Document, doc};

use super::support::recover::{in_parallel, wait_for_lease};
use super::support::{DumpStage as Stage, Line, Workspace, assert_has, crash, crash_plain, server_uri, standalone_server};

const LEASE_MS: u32 = 1500;

/// What a server holds: checksums, and definitions.
type State = (BTreeMap<String, String>, BTreeMap<String, String>);

/// What is stored, without what a restore is loading.
fn state(stage: &Stage) -> State {
    let without = |mut all: BTreeMap<String, String>| {
        all.retain(|name, _| !name.starts_with("migrations_restore."));
        all
    };
    (without(stage.hashes()), without(stage.catalog()))
}

fn leftovers(stage: &Stage) -> Vec<String> {
    stage.database.collections().into_iter().filter(|name| name.starts_with("migrations_restore.")).collect()
}

fn line(stage: &Stage, workspace: &Workspace, args: &str) -> Line {
    Line::new(workspace.path("manager"), workspace.root())
        .args(args.split_whitespace())
        .env("MONGO_URI", &stage.uri)
        .env("MONGO_DATABASE", stage.database.name())
        .env("MONGO_DUMP_DIRECTORY", stage.folder.path())
        .env("WITNESS", stage.folder.path().join(".gitignore"))
        .env("CARGO_MIGRATIONS_LEASE_MS", LEASE_MS.to_string())
}

/// A database with a dump, and with other collections, documents and definitions since. Returns the state of the dump, and the
/// present one.
fn changed_since_its_dump(uri: &str, workspace: &Workspace) -> (Stage, State, State) {
    let stage = Stage::on(uri);
    let with_n = |ids: std::ops::Range<i32>| ids.map(|id| doc! { "_id": id, "n": id }).collect::<Vec<Document>>();
    let index = |name: &str| {
        stage.command(doc! { "createIndexes": name, "indexes": [{ "key": { "n": 1 }, "name": "n", "unique": true }] });
    };
    stage.database.insert("a", with_n(0..9));
    index("a");
    // More than one insert takes.
    stage.database.insert("b", (0..600).map(|id| doc! { "_id": id, "n": id, "text": "x".repeat(10_000) }));
    index("b");
    stage.database.insert("c", with_n(0..3));
    stage.command(doc! { "create": "view", "viewOn": "a", "pipeline": [] });
    stage.command(doc! { "create": "weather", "timeseries": { "timeField": "at" } });
    stage.database.insert("weather", [doc! { "at": DateTime::from_millis(1), "t": 1 }]);
    stage.database.insert("system.js", [doc! { "_id": "f", "value": "1" }]);
    line(&stage, workspace, "dbdump").run().exits(0);
    let dumped = state(&stage);

    for name in ["c", "weather", "view"] {
        stage.command(doc! { "drop": name });
    }
    stage.command(doc! { "create": "view", "viewOn": "later", "pipeline": [] });
    stage.command(doc! { "create": "c", "viewOn": "a", "pipeline": [] });
    stage.database.insert("a", with_n(20..22));
    stage.database.insert("later", with_n(0..4));
    stage.database.insert("system.js", [doc! { "_id": "g", "value": "2" }]);
    let changed = state(&stage);
    (stage, dumped, changed)
}

fn killed_at_every_point(uri: &str, workspace: &'static Workspace, options: &str) {
    let restore = format!("restore:latest{options} --yes");
    let (stage, dumped, _) = changed_since_its_dump(uri, workspace);
    let trace = stage.folder.path().join("trace");
    line(&stage, workspace, &restore).env("CARGO_MIGRATIONS_CRASH_TRACE", &trace).run().exits(0);
    assert_eq!(state(&stage), dumped);
    let trace = fs::read_to_string(trace).unwrap();
    let points: Vec<&str> = trace.lines().collect();
    // The first and the last of each name.
    let at = |name: &&str| {
        points.iter().position(|point| point == name).into_iter().chain(points.iter().rposition(|point| point == name))
    };
    let chosen: BTreeSet<usize> = points.iter().flat_map(at).collect();
    let chosen: Vec<usize> = chosen.into_iter().collect();
    assert!(chosen.len() > 15, "{points:?}");
    in_parallel(chosen.len(), |number| {
        let index = chosen[number];
        let (stage, dumped, changed) = changed_since_its_dump(uri, workspace);
        // The order of the points is another one each time: several collections are worked on at a time.
        let trace = stage.folder.path().join("trace");
        let killed = line(&stage, workspace, &restore)
            .env("CARGO_MIGRATIONS_CRASH_TRACE", &trace)
            .env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{index}"))
            .run();
        assert!(killed.code == -1 || killed.code == 0, "{killed:?}");
        let trace = fs::read_to_string(trace).unwrap();
        let has = |point: &str| trace.lines().any(|line| line == point);
        let has_changed = has("collection dropped") || has("collection renamed");
        let has_prepared = has("collections loaded");
        wait_for_lease(uri, stage.database.name(), LEASE_MS);

        let status = line(&stage, workspace, "show_status").run().exits(0);
        let is_reported = status.stderr.contains("was cut off");
        let now = state(&stage);
        if !has_prepared || !is_reported && now != dumped {
            assert_eq!(now, changed, "at {index}: {trace}");
        }
        assert!(!is_reported || has_prepared, "at {index}: {trace}");
        assert!(is_reported || !has_changed || has("collections replaced"), "at {index}: {trace}");
        if is_reported {
            let outcome = line(&stage, workspace, "execute").run().exits(3);
            assert_has(&outcome.stderr, &["was cut off", &format!("{options}` again"), "unlock:restore"]);
        }
        if number % 2 == 0 {
            line(&stage, workspace, "unlock:restore --yes").run().exits(0);
            assert_eq!((state(&stage), leftovers(&stage)), (now, Vec::new()), "at {index}: {trace}");
            let status = line(&stage, workspace, "show_status").run().exits(0);
            assert!(!status.stderr.contains("cut off"), "at {index}: {status:?}");
        }
        line(&stage, workspace, &restore).run().exits(0);
        assert_eq!((state(&stage), leftovers(&stage)), (dumped, Vec::new()), "at {index}: {trace}");
        let status = line(&stage, workspace, "show_status").run().exits(0);
        assert!(!status.stderr.contains("cut off"), "at {index}: {status:?}");
    });
}

#[test]
fn restore_killed_at_every_point() {
    killed_at_every_point(server_uri(), crash(), "");
}

#[test]
fn restore_killed_at_every_point_on_a_standalone_server() {
    killed_at_every_point(&standalone_server().uri(), crash_plain(), "");
}

#[test]
fn restore_in_place_killed_at_every_point() {
    killed_at_every_point(server_uri(), crash(), ",inplace=yes");
}
