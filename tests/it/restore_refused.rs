//! Restores that cannot succeed, or fail: the database is as it was, and if it is not, that is reported.

use std::fs;

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::bson::{Bson, Document, doc};

use super::support::{DumpStage as Stage, assert_has, block_on, server_uri, standalone_server};

/// A database with a dump, and other data than that since. `a_first` comes before `notes` in the alphabet.
fn stage(uri: &str, prepare: impl Fn(&Stage)) -> Stage {
    let stage = Stage::on(uri);
    stage.run("execute").exits(0);
    for name in ["a_first", "notes"] {
        stage.database.insert(name, (0..5).map(|id| doc! { "_id": id, "n": 1 }));
    }
    prepare(&stage);
    stage.run("dbdump").exits(0);
    for name in ["a_first", "notes", "later"] {
        stage.database.insert(name, [doc! { "_id": "later" }]);
    }
    stage
}

/// A change of a collection's metadata: its name, the field, and the value, which is appended to a list.
type Edit<'a> = (&'a str, &'a str, serde_json::Value);

/// Changes the metadata of a collection in the dump.
fn edit(stage: &Stage, name: &str, field: &str, value: &serde_json::Value) {
    let path = stage.file(&format!("{name}.metadata.json"));
    let mut metadata: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    match (&mut metadata[field], value) {
        (serde_json::Value::Array(all), value) => all.push(value.clone()),
        (old, value) => *old = value.clone(),
    }
    fs::write(path, metadata.to_string()).unwrap();
}

#[test]
fn what_the_server_does_not_accept_is_found_before_anything_is_changed() {
    let index = |options: serde_json::Value| {
        let mut index = serde_json::json!({ "v": 2, "key": { "n": 1 }, "name": "n_1" });
        index.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        index
    };
    let view = |on: &str| serde_json::json!({ "viewOn": on, "pipeline": [] });
    let cases: [(&[Edit], &str); 7] = [
        (
            &[("notes", "options", serde_json::json!({ "bogus": 1 }))],
            "the server refuses the options of the collection notes",
        ),
        (
            &[("notes", "options", serde_json::json!({ "validator": { "$bogus": 1 } }))],
            "the server refuses the options of the collection notes",
        ),
        (
            &[("notes", "indexes", index(serde_json::json!({ "key": { "n": "bogus" } })))],
            "the server refuses the indexes of the collection notes",
        ),
        (
            &[("notes", "indexes", index(serde_json::json!({ "unique": true })))],
            "the documents of notes could not be restored",
        ),
        (
            &[("b_view", "options", serde_json::json!({ "viewOn": "notes", "pipeline": [{ "$bogus": 1 }] }))],
            "the server refuses the view b_view",
        ),
        (
            &[("b_view", "options", view("c_view")), ("c_view", "options", view("b_view"))],
            "the dump's views `b_view`, `c_view` are defined on each other in a circle",
        ),
        (
            &[("weather", "options", serde_json::json!({ "timeseries": { "timeField": "a.b" } }))],
            "the server refuses the options of the collection weather",
        ),
    ];
    for uri in [server_uri().to_owned(), standalone_server().uri()] {
        let stage = stage(&uri, |stage| {
            stage.command(doc! { "create": "b_view", "viewOn": "notes", "pipeline": [] });
            stage.command(doc! { "create": "c_view", "viewOn": "b_view", "pipeline": [] });
            stage.command(doc! { "create": "weather", "timeseries": { "timeField": "at" } });
        });
        let dump = stage.forget_manifest();
        stage.command(doc! { "drop": "c_view" });
        let before = (stage.hashes(), stage.catalog(), stage.database.documents("migrations_log").len());
        for (edits, expected) in &cases {
            let names: Vec<_> = edits.iter().map(|(name, ..)| stage.file(&format!("{name}.metadata.json"))).collect();
            let originals: Vec<_> = names.iter().map(|path| fs::read(path).unwrap()).collect();
            for (name, field, value) in *edits {
                edit(&stage, name, field, value);
            }
            let outcome = stage.run(&format!("restore:{} --yes", dump.display())).exits(1);
            assert_has(&outcome.stderr, &["error: ", expected, "hint: "]);
            assert!(outcome.stderr.contains("was not changed") || expected.ends_with("circle"), "{outcome:?}");
            assert_eq!((stage.hashes(), stage.catalog()), (before.0.clone(), before.1.clone()), "{expected}");
            // And runs go on.
            let status = stage.run("show_status --check").exits(0);
            assert!(!status.stderr.contains("cut off"), "{status:?}");
            for (path, original) in names.iter().zip(originals) {
                fs::write(path, original).unwrap();
            }
        }
        assert!(stage.database.documents("migrations_log").len() > before.2, "the log has the attempts");
        stage.run(&format!("restore:{} --yes", dump.display())).exits(0);
        assert_eq!(stage.database.documents("notes").len(), 5);
    }
}

#[test]
fn what_old_servers_have_left_is_restored_as_servers_accept_it_now() {
    let stage = stage(server_uri(), |_| {});
    let dump = stage.forget_manifest();
    let indexes = serde_json::json!([
        { "v": 1, "key": { "a": true }, "name": "a_true", "ns": "blog.notes" },
        { "v": 0, "key": { "b": 1 }, "name": "b_1", "ns": "blog.notes" },
        { "v": 1, "key": { "_id": 1 }, "name": "_id_1", "unique": true, "ns": "blog.notes" },
        { "v": 2, "key": { "c": 1 }, "name": "c_1", "bogus": true },
    ]);
    let path = stage.file("notes.metadata.json");
    let mut metadata: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    metadata["indexes"] = indexes;
    metadata["options"] = serde_json::json!({ "autoIndexId": true });
    fs::write(&path, metadata.to_string()).unwrap();
    stage.run(&format!("restore:{} --yes", dump.display())).exits(0);
    let reply = stage.command(doc! { "listIndexes": "notes" });
    let batch = reply.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
    let mut now: Vec<_> = batch
        .iter()
        .map(|index| index.as_document().unwrap())
        .map(|index| (index.get_str("name").unwrap().to_owned(), index.get_document("key").unwrap().to_string()))
        .collect();
    now.sort();
    let expected =
        [("_id_", r#"{ "_id": 1 }"#), ("a_true", r#"{ "a": 1 }"#), ("b_1", r#"{ "b": 1 }"#), ("c_1", r#"{ "c": 1 }"#)];
    assert_eq!(now, expected.map(|(name, key)| (name.to_owned(), key.to_owned())));
}

/// A server that fails commands on request.
struct Faulty {
    server: Throwaway,
}

impl Faulty {
    fn start() -> Self {
        Self { server: block_on(Throwaway::replica_set_with(&["--setParameter", "enableTestCommands=1"])).unwrap() }
    }

    /// Lets the command fail from its number `skip` on.
    fn fail(stage: &Stage, command: &str, namespace: Option<&str>, skip: i32) {
        let mut data = doc! { "failCommands": [command], "errorCode": 11601 };
        if let Some(namespace) = namespace {
            data.insert("namespace", format!("{}.{namespace}", stage.database.name()));
        }
        stage.admin(doc! { "configureFailPoint": "failCommand", "mode": { "skip": skip }, "data": data });
    }

    fn succeed(stage: &Stage) {
        stage.admin(doc! { "configureFailPoint": "failCommand", "mode": "off" });
    }
}

#[test]
fn a_failure_among_the_renames_stops_what_would_run_on_half_of_it() {
    let faulty = Faulty::start();
    let stage = stage(&faulty.server.uri(), |_| {});
    let dump = stage.dumps().pop().unwrap();
    let fail = || {
        Faulty::fail(&stage, "renameCollection", None, 1);
        let outcome = stage.run("restore:latest --yes").exits(1);
        assert_has(&outcome.stderr, &["could not be put into place", "hint: run the restore again"]);
        Faulty::succeed(&stage);
    };
    fail();
    for line in ["execute", "ignore", "rollback:1"] {
        let outcome = stage.run(line).exits(3);
        let hint =
            format!("hint: run `cargo migrations restore:{dump}` again, or restore another dump. If the database is right");
        assert_has(&outcome.stderr, &["error: a restore of ", " by tester@", "was cut off", &hint, "unlock:restore`"]);
    }
    let outcome = stage.run("--check").exits(4);
    assert_has(&outcome.stderr, &["was cut off"]);
    // A part of it would not do.
    let outcome = stage.run("restore:latest,only=notes --yes").exits(3);
    assert_has(&outcome.stderr, &["was cut off", "does not replace all that it was to replace. Nothing was changed"]);
    stage.run("restore:latest --yes").exits(0);
    assert_eq!((stage.database.documents("notes").len(), stage.database.documents("a_first").len()), (5, 5));
    assert!(!stage.database.collections().contains(&"later".to_owned()));
    stage.run("--check").exits(0);

    // Or a person decides that it is right as it is.
    fail();
    let before = stage.hashes();
    let outcome = stage.run("unlock:restore").exits(3);
    assert_has(&outcome.stderr, &["Cut off", "confirmation is needed"]);
    let outcome = stage.run("unlock:restore --yes").exits(0);
    assert_has(&outcome.stderr, &[&format!("Cut off the restore of {dump} by tester@"), "check the data", "Unlocked"]);
    assert_eq!(stage.hashes(), before);
    stage.run("execute").exits(0);
    let outcome = stage.run("unlock:restore --yes").exits(0);
    assert_has(&outcome.stderr, &["Unlocked no restore of ", "was cut off"]);
    stage.run("unlock:other").exits(2);
    stage.run("restore:latest --yes").exits(0);
}

#[test]
fn a_failure_of_one_that_was_limited_is_repaired_by_the_same_or_by_more() {
    let faulty = Faulty::start();
    let stage = stage(&faulty.server.uri(), |stage| stage.database.insert("tags", [doc! { "_id": 1 }]));
    let dump = stage.dumps().pop().unwrap();
    for (again, code) in [("a_first+notes", 0), ("notes", 3), ("tags+notes+a_first", 0)] {
        Faulty::fail(&stage, "renameCollection", None, 0);
        stage.run("restore:latest,only=a_first+notes --yes").exits(1);
        Faulty::succeed(&stage);
        let outcome = stage.run("execute").exits(3);
        assert_has(&outcome.stderr, &[&format!("run `cargo migrations restore:{dump},only=a_first+notes` again")]);
        stage.run(&format!("restore:latest,only={again} --yes")).exits(code);
        stage.run("restore:latest --yes").exits(0);
    }
}

#[test]
fn a_failure_in_place_is_reported_with_the_way_on() {
    let faulty = Faulty::start();
    let stage = stage(&faulty.server.uri(), |_| {});
    let dump = stage.dumps().pop().unwrap();
    Faulty::fail(&stage, "insert", Some("notes"), 0);
    let outcome = stage.run("restore:latest,inplace=yes --yes").exits(1);
    assert_has(
        &outcome.stderr,
        &[
            "note: with `inplace=yes`, a restore that fails leaves the database with a part of the dump",
            "the documents of notes could not be restored",
            "hint: run the restore again",
        ],
    );
    Faulty::succeed(&stage);
    let outcome = stage.run("execute").exits(3);
    assert_has(&outcome.stderr, &["was cut off", &format!("`cargo migrations restore:{dump},inplace=yes` again")]);
    stage.run("restore:latest,inplace=yes --yes").exits(0);
    assert_eq!(stage.database.documents("notes").len(), 5);
    stage.run("--check").exits(0);
}

#[test]
fn a_failure_while_loading_leaves_the_database_as_it_was() {
    let faulty = Faulty::start();
    let stage = stage(&faulty.server.uri(), |stage| {
        // So large that its indexes are built when it is loaded.
        stage.database.insert("large", (0..600).map(|id| doc! { "_id": id, "text": "x".repeat(10_000) }));
        let index = doc! { "key": { "n": 1 }, "name": "n_1" };
        stage.command(doc! { "createIndexes": "large", "indexes": [index] });
    });
    let before = (stage.hashes(), stage.catalog());
    Faulty::fail(&stage, "dropIndexes", None, 0);
    let outcome = stage.run("restore:latest --yes").exits(1);
    Faulty::succeed(&stage);
    assert_has(&outcome.stderr, &["the indexes of large could not be restored", "hint: the database was not changed"]);
    assert_eq!((stage.hashes(), stage.catalog()), before);
    stage.run("--check").exits(0);
    let ended: Vec<Document> = stage.database.documents("migrations_log");
    assert_eq!(ended.last().unwrap().get("outcome"), Some(&Bson::from("failed")));
}
