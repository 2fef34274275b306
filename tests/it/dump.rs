//! Dumps: what they hold, that they restore, and that what is damaged touches nothing.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::spec::BinarySubtype;
use cargo_migrations::mongodb::bson::{
    Binary, Bson, DateTime, Document, JavaScriptCodeWithScope, Timestamp, doc, oid::ObjectId,
};

use super::support::{DumpStage as Stage, TestDatabase, assert_has, block_on, blog, simple, standalone_server};

fn every_type() -> Vec<Document> {
    let mut deep = doc! { "end": true };
    for _ in 0..80 {
        deep = doc! { "d": deep };
    }
    // By its JSON: the type of a pattern is another one in bson 3.
    let regex = serde_json::json!({ "$regularExpression": { "pattern": "^a", "options": "im" } });
    let regex: Bson = serde_json::from_value(regex).unwrap();
    vec![
        doc! { "_id": 1, "double": 0.1, "string": "é\u{0}ü", "document": { "b": 1, "a": 2 }, "array": [1, "two", { "three": 3 }] },
        doc! { "_id": "text", "binary": Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255] } },
        doc! { "_id": ObjectId::new(), "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] } },
        doc! { "_id": DateTime::from_millis(-1), "bool": true, "null": Bson::Null, "undefined": Bson::Undefined },
        doc! { "_id": 2_i64, "regex": regex },
        doc! { "_id": Bson::MinKey, "dbref": { "$ref": "c", "$id": 1, "$db": "d" }, "symbol": Bson::Symbol("s".into()) },
        doc! { "_id": Bson::MaxKey, "code": Bson::JavaScriptCode("f()".into()), "timestamp": Timestamp { time: 4, increment: 2 } },
        doc! { "_id": 3.5, "scope": Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: "f()".into(), scope: doc! { "x": 1 } }) },
        doc! { "_id": { "compound": 1 }, "nan": f64::NAN, "infinity": f64::INFINITY, "zero": -0.0, "min": i64::MIN, "max": i32::MAX },
        doc! { "_id": 4, "decimal": Bson::Decimal128("1.50E+3".parse().unwrap()), "deep": deep },
        doc! { "_id": 5, "large": "x".repeat((16 << 20) - 100) },
        doc! { "_id": 7, "empty": Timestamp { time: 0, increment: 0 }, "in": { "empty": Timestamp { time: 0, increment: 0 } } },
        doc! { "_id": 6, "": "an empty name", "a.b": "a dot", "$c": "a dollar" },
    ]
}

/// Everything that a server can hold, one way or another.
fn fill(stage: &Stage) {
    let collection = |name: &str| stage.database.collection(name);
    block_on(async {
        for document in every_type() {
            collection("types").insert_one(document).await.unwrap();
        }
        // An insert puts the time there.
        let empty = doc! { "$set": { "empty": Timestamp { time: 0, increment: 0 } } };
        collection("types").update_one(doc! { "_id": 7 }, empty).await.unwrap();
    });
    stage.command(doc! { "create": "capped", "capped": true, "size": 4096, "max": 5 });
    stage.command(doc! { "create": "a/b c%d.é" });
    stage.command(doc! { "create": "empty", "validator": { "a": { "$type": "int" } }, "validationLevel": "moderate", "validationAction": "warn" });
    stage.command(doc! { "create": "collated", "collation": { "locale": "de", "strength": 2 } });
    stage.command(doc! { "create": "clustered", "clusteredIndex": { "key": { "_id": 1 }, "unique": true } });
    stage.command(
        doc! { "create": "weather", "timeseries": { "timeField": "at", "metaField": "place", "granularity": "hours" } },
    );
    stage.command(doc! { "create": "strict", "validator": { "$jsonSchema": { "required": ["a"] } } });
    stage.command(doc! { "create": "view_of_view", "viewOn": "a_view", "pipeline": [{ "$limit": 1 }] });
    stage.command(
        doc! { "create": "a_view", "viewOn": "types", "pipeline": [{ "$match": { "large": { "$exists": false } } }] },
    );
    stage.command(doc! { "insert": "strict", "documents": [{ "b": 1 }], "bypassDocumentValidation": true });
    stage.command(doc! { "create": "preimages", "changeStreamPreAndPostImages": { "enabled": true } });
    stage.command(doc! { "createIndexes": "collated", "indexes": [
        { "key": { "s": 1 }, "name": "simple", "unique": true, "collation": { "locale": "simple" } },
        { "key": { "t": "text" }, "name": "text", "collation": { "locale": "simple" } },
    ] });
    stage.database.insert("collated", [doc! { "_id": "x", "s": "a" }, doc! { "_id": "y", "s": "A" }]);
    for number in 0..9 {
        // Not in the order of `_id`.
        let mut documents = vec![("capped", doc! { "_id": (number * 7) % 9 }), ("a/b c%d.é", doc! { "_id": number })];
        documents
            .push(("collated", doc! { "_id": format!("{}{number}", if number % 2 == 0 { "a" } else { "B" }), "s": number }));
        documents.push(("clustered", doc! { "_id": 9 - number, "x": number }));
        documents.push((
            "weather",
            doc! { "at": DateTime::from_millis(i64::from(number) * 3_600_000), "place": "here", "t": number },
        ));
        for (name, document) in documents {
            stage.database.insert(name, [document]);
        }
    }
    stage.command(doc! { "createIndexes": "weather", "indexes": [{ "key": { "place": 1, "at": -1 }, "name": "place" }] });
    stage.command(doc! { "createIndexes": "many", "indexes": [
        { "key": { "u": 1 }, "name": "unique", "unique": true },
        { "key": { "p": -1 }, "name": "partial", "partialFilterExpression": { "p": { "$gt": 5 } } },
        { "key": { "s": 1 }, "name": "sparse", "sparse": true },
        { "key": { "t": 1 }, "name": "ttl", "expireAfterSeconds": 3_600_000 },
        { "key": { "x": "text", "y": "text" }, "name": "text", "weights": { "x": 3 }, "default_language": "german" },
        { "key": { "g": "2dsphere" }, "name": "sphere" },
        { "key": { "f": "2d" }, "name": "flat", "min": -10.0, "max": 10.0 },
        { "key": { "$**": 1 }, "name": "wildcard", "wildcardProjection": { "a": 1 } },
        { "key": { "h": "hashed" }, "name": "hashed" },
        { "key": { "i": 1 }, "name": "hidden", "hidden": true },
        { "key": { "c": 1 }, "name": "collation", "collation": { "locale": "fr" } },
        { "key": { "b": 1, "a": -1 }, "name": "compound" },
    ] });
    stage.database.insert(
        "many",
        (0..300).map(|number| doc! { "u": number, "p": number, "x": "wort", "g": [1.0, 2.0], "f": [1.0, 1.0] }),
    );
}

#[test]
fn everything_comes_back_as_it_was() {
    for options in ["", ":gzip=yes"] {
        let stage = Stage::new();
        fill(&stage);
        stage.run("execute:1 ignore:2").exits(0);
        let (hashes, catalog) = (stage.hashes(), stage.catalog());
        let weather = stage.database.documents("weather");
        assert!(catalog.len() > 12 && hashes.len() > 8, "{catalog:?}");

        let outcome = stage.run(&format!("dbdump{options}")).exits(0);
        assert_has(&outcome.stderr, &["Dumping", "Dumped", "documents"]);
        let proof = stage.run("dbdump:verify=latest dbdump:prove=latest").exits(0);
        assert_has(&proof.stderr, &["as its manifest says", "restored exactly as they were dumped"]);
        let ending = if options.is_empty() { "" } else { ".gz" };
        assert!(stage.file(&format!("a%2Fb+c%25d.%C3%A9.bson{ending}")).is_file(), "named as mongodump does");
        assert!(stage.file(&format!("system.buckets.weather.bson{ending}")).is_file());
        assert!(!stage.file(&format!("a_view.bson{ending}")).exists());

        // Over what is there, and into nothing.
        stage.database.insert("types", [doc! { "_id": "later" }]);
        stage.database.insert("later", [doc! { "_id": 1 }]);
        stage.run("rollback:1").exits(0);
        stage.run("restore:latest --yes").exits(0);
        assert_eq!((stage.hashes(), stage.catalog()), (hashes.clone(), catalog.clone()));
        assert_eq!(stage.database.documents("weather"), weather);
        assert_eq!(stage.database.registered(), ["0001_a.rs", "0002_b.rs"], "the registry too");
        stage.drop_all();
        stage.run("restore:latest --yes").exits(0);
        assert_eq!((stage.hashes(), stage.catalog()), (hashes, catalog));
        let status = stage.run("--format json").exits(0).json();
        let states: Vec<_> = status["migrations"].as_array().unwrap().iter().map(|m| m["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["registered", "ignored", "unregistered"]);
        let history = stage.run("history").exits(0);
        assert_has(&history.stdout, &["0001_a"]);
        stage.run("execute").exits(0);
    }
}

#[test]
fn a_dump_of_mongodumps_own_is_taken_too_and_into_another_database() {
    let stage = Stage::new();
    fill(&stage);
    stage.run("execute").exits(0);
    stage.run("dbdump").exits(0);
    let (hashes, catalog) = (stage.hashes(), stage.catalog());
    // What mongodump writes has no manifest, and a file of its own next to the databases.
    let dump = stage.folder.path().join(&stage.dumps()[0]);
    fs::remove_file(dump.join("manifest.json")).unwrap();
    fs::write(dump.join("prelude.json"), "{}").unwrap();
    let other = Stage { database: TestDatabase::new(), uri: stage.uri.clone(), folder: tempfile::tempdir().unwrap() };
    let name = other.database.name();
    let outcome = stage.run(&format!("restore:{},to={name} --yes", dump.display())).exits(0);
    assert_has(&outcome.stderr, &[&format!("into {name}")]);
    // Where views are kept, their database's name is.
    let without_views = |mut hashes: BTreeMap<String, String>| {
        hashes.remove("system.views");
        hashes
    };
    assert_eq!((without_views(other.hashes()), other.catalog()), (without_views(hashes), catalog));
    stage.run("restore:latest,to=a.b --yes").exits(2);
}

#[test]
fn writers_do_not_tear_it() {
    let stage = Stage::new();
    let accounts = 200;
    for name in ["left", "right"] {
        stage.database.insert(name, (0..accounts).map(|id| doc! { "_id": id, "n": 100, "pad": "x".repeat(20_000) }));
    }
    // Also when an assertion fails: the writers would go on for ever.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        for writer in 0..3 {
            let (stage, is_over) = (&stage, &is_over);
            scope.spawn(move || {
                block_on(async {
                    let client = Client::with_uri_str(&stage.uri).await.unwrap();
                    let database = client.database(stage.database.name());
                    let mut session = client.start_session().await.unwrap();
                    let mut id = writer * 7;
                    while !is_over.load(Ordering::Relaxed) {
                        id = (id + 13) % accounts;
                        session.start_transaction().await.unwrap();
                        let mut moved = true;
                        for (name, amount) in [("left", -1), ("right", 1)] {
                            let update = doc! { "$inc": { "n": amount } };
                            let collection = database.collection::<Document>(name);
                            moved &= collection.update_one(doc! { "_id": id }, update).session(&mut session).await.is_ok();
                        }
                        if moved {
                            let _ = session.commit_transaction().await;
                        } else {
                            let _ = session.abort_transaction().await;
                        }
                    }
                });
            });
        }
        for _ in 0..6 {
            stage.run("dbdump").exits(0);
            let mut sum = 0;
            for name in ["left", "right"] {
                let bytes = fs::read(stage.file(&format!("{name}.bson"))).unwrap();
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    sum += Document::from_reader(&mut rest).unwrap().get_i32("n").unwrap();
                }
            }
            assert_eq!(sum, accounts * 200, "what was taken here had come there");
        }
    });
    let moved = stage.database.documents("left").iter().any(|account| account.get_i32("n").ok() != Some(100));
    assert!(moved, "the writers wrote");
}

#[test]
fn dumps_are_listed_with_what_was_registered_and_pruned() {
    let stage = Stage::new();
    let outcome = stage.run("dumps").exits(0);
    assert_has(&outcome.stderr, &["none in", "take one with `cargo migrations dbdump`"]);
    stage.run("execute:1").exits(0);
    for line in ["dbdump", "execute:2", "dbdump:consistent=no", "dbdump"] {
        stage.run(line).exits(0);
    }
    let names = stage.dumps();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(
        regex::Regex::new(r"^\d{4}-\d\d-\d\d_\d\d_\d\d_\d\d_\d{3}$").unwrap().is_match(&names[0]),
        "as migopy: {}",
        names[0]
    );
    let listed = stage.run("dumps").exits(0).stdout;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert_has(&listed, &["NAME", "AGE", "SIZE", "REGISTERED", &names[0], "not a consistent snapshot"]);
    let json = stage.run("dumps --format json").exits(0).json();
    let dumps = json["dumps"].as_array().unwrap();
    assert_eq!(dumps[0]["registered"], serde_json::json!(["0001_a.rs"]));
    assert_eq!((&dumps[1]["consistent"], &dumps[2]["consistent"]), (&false.into(), &true.into()));
    assert!(dumps[0]["bytes"].as_u64().unwrap() > 100);
    // Another database's are none of this one's.
    let other = Stage { database: TestDatabase::new(), uri: stage.uri.clone(), folder: tempfile::tempdir().unwrap() };
    other.database.insert("x", [doc! { "_id": 1 }]);
    let line = simple().line(["dbdump:keep=1"]).on(&other.database).env("MONGO_DUMP_DIRECTORY", stage.folder.path());
    line.run().exits(0);
    assert_eq!(stage.dumps().len(), 4);
    let outcome = stage.run("dbdump:verify=latest").exits(0);
    assert_has(&outcome.stderr, &[&format!("Verified {}:", names[2])]);
    let theirs = stage.dumps().pop().unwrap();
    let outcome = stage.run(&format!("restore:{theirs}")).exits(3);
    assert_has(&outcome.stderr, &[&format!("{theirs} of the database {}", other.database.name())]);
    // A broken dump does not affect the others.
    fs::write(stage.folder.path().join(&theirs).join("manifest.json"), "{").unwrap();
    let outcome = stage.run("dumps:keep=2").exits(0);
    assert_has(&outcome.stderr, &["Removed", &names[0]]);
    assert_eq!(stage.dumps().len(), 3);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(stage.folder.path().join(&names[2])).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "other users cannot read it");
    }
    assert_eq!(fs::read_to_string(stage.folder.path().join(".gitignore")).unwrap(), "*\n");
}

#[test]
fn a_run_takes_one_first_the_log_knows_which_and_a_failure_tells_how_to_go_back() {
    let stage = Stage::new();
    let run = |args: &str| {
        let line = blog().line(args.split_whitespace()).on(&stage.database).env("MONGO_DUMP_DIRECTORY", stage.folder.path());
        line.env("DO_MONGO_DUMP", "1").env("NO_CHEESE", "1").run()
    };
    let outcome = run("execute").exits(1);
    let name = stage.dumps().pop().expect("a dump");
    assert_has(
        &outcome.stderr,
        &["Dumped", &format!("`cargo migrations restore:{name}` puts the database back to its state before this run")],
    );
    let log = stage.database.documents("migrations_log");
    assert_eq!(log[0].get_str("dump").ok(), Some(name.as_str()), "{}", log[0]);
    assert_eq!(stage.database.registered().len(), 2);
    run(&format!("restore:{name} --yes")).exits(0);
    assert!(stage.database.registered().is_empty() && stage.database.documents("trace").is_empty());
    let status = blog().run("--format json", &stage.database).exits(0).json();
    assert!(
        status["migrations"].as_array().unwrap().iter().all(|migration| migration["state"] == "unregistered"),
        "{status}"
    );
    run("execute:1 rollback:1").exits(0);
    assert_eq!(stage.dumps().len(), 3, "before rollback too");
    run("ignore").exits(0);
    run("execute").exits(0);
    assert_eq!(stage.dumps().len(), 3, "only when there is something to run");
}

#[test]
fn an_interrupted_migration_is_settled_by_a_restore() {
    let stage = Stage::new();
    stage.database.insert("notes", [doc! { "_id": 1 }]);
    stage.run("dbdump").exits(0);
    let mut child = blog().line(["execute:6"]).on(&stage.database).env("SLOW_MS", "60000").spawn();
    while stage.database.trace().is_empty() {
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let restore = || {
        let line = blog().line(["restore:latest", "--yes", "--wait", "60s"]).on(&stage.database);
        line.env("MONGO_DUMP_DIRECTORY", stage.folder.path()).run()
    };
    restore().exits(0);
    let status = blog().run("--format json", &stage.database).exits(0).json();
    assert_eq!(status["migrations"][5]["state"], "unregistered", "{status}");
    assert!(stage.database.documents("trace").is_empty());
}

#[test]
fn an_empty_timestamp_comes_back_under_any_name() {
    let stage = Stage::new();
    let empty = Timestamp { time: 0, increment: 0 };
    let times = doc! { "_id": 1, "a": empty, "a.b": empty, "$c": empty, "": empty, "b": { "c": 1 }, "b.c": empty };
    stage.database.insert("times", [times.clone(), doc! { "_id": empty, "x": 1 }]);
    // An insert puts the time there.
    let update = vec![doc! { "$replaceWith": { "$literal": times.clone() } }];
    block_on(async { stage.database.collection("times").update_one(doc! { "_id": 1 }, update).await.unwrap() });
    assert_eq!(stage.database.documents("times")[0], times);
    let hashes = stage.hashes();
    stage.run("dbdump dbdump:prove=latest").exits(0);
    stage.drop_all();
    stage.run("restore:latest --yes").exits(0);
    assert_eq!(stage.hashes(), hashes);
    assert!(stage.database.documents("times").contains(&times), "{:?}", stage.database.documents("times"));
}

#[test]
fn the_role_backup_suffices_for_a_dump() {
    let server = block_on(Throwaway::start(&["--auth"])).unwrap();
    let uri = |user: &str| format!("mongodb://{user}:secret@127.0.0.1:{}/?authSource=admin", server.port());
    let create = async |uri: &str, user: &str, role: &str| {
        let command = doc! { "createUser": user, "pwd": "secret", "roles": [role] };
        Client::with_uri_str(uri).await.unwrap().database("admin").run_command(command).await.unwrap();
    };
    block_on(async {
        create(&server.uri(), "root", "root").await;
        create(&uri("root"), "backup", "backup").await;
    });
    let mut stage = Stage::on(&uri("root"));
    stage.database.insert("notes", (0..3).map(|id| doc! { "_id": id }));
    stage.uri = uri("backup");
    let outcome = stage.run("dbdump").exits(0);
    assert_has(&outcome.stderr, &["Dumped", "3 documents"]);
    stage.run("dbdump:verify=latest").exits(0);
}

#[test]
fn a_standalone_server_is_dumped_and_said_to_be_no_point_in_time() {
    let stage = Stage::on(&standalone_server().uri());
    stage.database.insert("notes", (0..10).map(|id| doc! { "_id": id }));
    let hashes = stage.hashes();
    let outcome = stage.run("dbdump").exits(0);
    assert_has(&outcome.stderr, &["warning: a standalone server cannot be read as of one point in time"]);
    let quiet = stage.run("dbdump:consistent=no").exits(0);
    assert!(!quiet.stderr.contains("warning"), "{}", quiet.stderr);
    stage.drop_all();
    stage.run("restore:latest --yes").exits(0);
    assert_eq!(stage.hashes(), hashes);
}
