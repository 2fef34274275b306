//! Restores: what of the database they replace, and what they leave as it is.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{DateTime, Document, JavaScriptCodeWithScope, doc};

use super::support::{DumpStage as Stage, Outcome, assert_has, block_on, standalone_server};

fn in_turn(number: i32) -> Document {
    doc! { "_id": number }
}

/// The hashes of these collections.
fn of(hashes: &BTreeMap<String, String>, names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| hashes.get(*name).cloned()).collect()
}

#[test]
fn what_is_another_kind_of_collection_now_is_replaced() {
    for uri in [super::support::server_uri().to_owned(), standalone_server().uri()] {
        for options in ["", ",inplace=yes"] {
            let stage = Stage::on(&uri);
            let time_series = doc! { "timeField": "at" };
            stage.database.insert("notes", (0..9).map(in_turn));
            stage.database.insert("was_a_view", (0..5).map(in_turn));
            stage.database.insert("was_time_series", (0..5).map(in_turn));
            stage.command(doc! { "create": "was_a_collection", "viewOn": "notes", "pipeline": [] });
            stage.command(doc! { "create": "same", "viewOn": "was_a_collection", "pipeline": [{ "$limit": 2 }] });
            stage.command(doc! { "create": "weather", "timeseries": &time_series });
            stage.database.insert("weather", (0..5).map(|number| doc! { "at": DateTime::from_millis(number), "t": number }));
            stage.command(doc! { "create": "capped", "capped": true, "size": 4096 });
            stage.database.insert("capped", (0..5).rev().map(in_turn));
            stage.run("dbdump").exits(0);
            let (hashes, catalog) = (stage.hashes(), stage.catalog());

            for name in ["was_a_view", "was_a_collection", "was_time_series", "weather", "capped"] {
                stage.command(doc! { "drop": name });
            }
            stage.command(doc! { "create": "was_a_view", "viewOn": "gone", "pipeline": [] });
            stage.command(doc! { "create": "was_time_series", "timeseries": &time_series });
            for name in ["was_a_collection", "weather", "capped", "gone"] {
                stage.database.insert(name, (0..2).map(in_turn));
            }
            stage.run(&format!("restore:latest{options} --yes")).exits(0);
            assert_eq!((stage.hashes(), stage.catalog()), (hashes, catalog), "{options}");
            let order: Vec<_> = stage.database.documents("capped").iter().map(|d| d.get_i32("_id").unwrap()).collect();
            assert_eq!(order, [4, 3, 2, 1, 0]);
        }
    }
}

#[test]
fn the_functions_of_the_database_come_back_and_go() {
    let stage = Stage::new();
    let function = |name: &str, code: &str| {
        let code = JavaScriptCodeWithScope { code: code.to_owned(), scope: doc! {} };
        doc! { "_id": name, "value": cargo_migrations::mongodb::bson::Bson::JavaScriptCodeWithScope(code) }
    };
    stage.database.insert("notes", [in_turn(1)]);
    stage.run("dbdump").exits(0);
    let without = stage.hashes();
    stage.database.insert("system.js", [function("one", "return 1"), function("two", "return 2")]);
    stage.run("dbdump dbdump:prove=latest").exits(0);
    let with = stage.hashes();
    block_on(async {
        let functions = stage.database.collection("system.js");
        functions.delete_one(doc! { "_id": "one" }).await.unwrap();
        functions.insert_one(function("three", "return 3")).await.unwrap();
    });
    stage.run("restore:latest,only=notes --yes").exits(0);
    assert_ne!(stage.hashes(), with, "they were not named");
    stage.run("restore:latest --yes").exits(0);
    assert_eq!(stage.hashes(), with);
    let first = &stage.dumps()[0];
    stage.run(&format!("restore:{first} --yes")).exits(0);
    assert!(stage.database.documents("system.js").is_empty());
    assert_eq!(stage.hashes().get("notes"), without.get("notes"));
}

#[test]
fn only_the_named_collections_are_replaced() {
    for options in ["", ",inplace=yes"] {
        let stage = Stage::new();
        stage.run("execute:1").exits(0);
        for name in ["posts", "tags", "users"] {
            stage.database.insert(name, (0..5).map(in_turn));
        }
        stage.command(doc! { "create": "a_view", "viewOn": "posts", "pipeline": [] });
        stage.run("dbdump").exits(0);
        let dumped = stage.hashes();
        stage.run("execute:2").exits(0);
        for name in ["posts", "tags", "users", "later"] {
            stage.database.insert(name, [doc! { "_id": "later" }]);
        }
        let changed = stage.hashes();
        let outcome = stage.run(&format!("restore:latest,only=posts+tags{options} --yes")).exits(0);
        assert_has(&outcome.stderr, &["Replacing", ".posts (6 documents)", ".tags (6 documents)", "10 documents"]);
        assert!(!outcome.stderr.contains(".users"), "{outcome:?}");
        let now = stage.hashes();
        assert_eq!(of(&now, &["posts", "tags"]), of(&dumped, &["posts", "tags"]));
        let others = ["users", "later", "migrations", "trace", "system.views"];
        assert_eq!(of(&now, &others), of(&changed, &others));
        assert_eq!(stage.database.registered(), ["0001_a.rs", "0002_b.rs"], "the registry was not named");

        stage.run("restore:latest,only=migrations --yes").exits(0);
        assert_eq!(stage.database.registered(), ["0001_a.rs"]);

        let outcome = stage.run("restore:latest,only=post --yes").exits(2);
        assert_has(&outcome.stderr, &["the dump has no collection `post`", "hint: the nearest: `posts`"]);
        stage.run("restore:latest,only=migrations_log --yes").exits(2);
        stage.run("restore:latest,only= --yes").exits(2);
    }
}

/// Deletes everything of a dump of mongodump's but one collection, as `mongodump --collection` writes it.
fn keep_only(stage: &Stage, name: &str) -> std::path::PathBuf {
    let dump = stage.forget_manifest();
    for entry in fs::read_dir(dump.join(stage.database.name())).unwrap().flatten() {
        if !entry.file_name().to_string_lossy().contains(name) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    dump
}

#[test]
fn a_dump_of_one_collection_replaces_that_one() {
    for (name, stays) in [("notes", "weather"), ("weather", "notes")] {
        let stage = Stage::new();
        stage.run("execute").exits(0);
        stage.database.insert("notes", (0..5).map(in_turn));
        stage.command(doc! { "create": "weather", "timeseries": { "timeField": "at" } });
        stage.database.insert("weather", [doc! { "at": DateTime::from_millis(1), "t": 1 }]);
        stage.run("dbdump").exits(0);
        let dump = keep_only(&stage, name);
        stage.database.insert("notes", [in_turn(7)]);
        stage.database.insert("weather", [doc! { "at": DateTime::from_millis(2), "t": 2 }]);
        stage.database.insert("later", [in_turn(1)]);
        let counts =
            |stage: &Stage| ["notes", "weather", "later", "migrations", "trace"].map(|n| stage.database.documents(n).len());
        assert_eq!(counts(&stage), [6, 2, 1, 3, 3]);
        let outcome = stage.run(&format!("restore:{} --yes", dump.display())).exits(0);
        assert_has(&outcome.stderr, &[&format!("note: the dump has only `{name}`: everything else stays as it is")]);
        assert!(!outcome.stderr.contains("Dropping") && !outcome.stderr.contains(stays), "{outcome:?}");
        let expected = if name == "notes" { [5, 2, 1, 3, 3] } else { [6, 1, 1, 3, 3] };
        assert_eq!(counts(&stage), expected, "{name}");
    }
}

#[test]
fn a_dump_with_an_oplog_is_not_restored_torn() {
    let stage = Stage::new();
    stage.database.insert("notes", [in_turn(1)]);
    stage.run("dbdump").exits(0);
    let dump = stage.forget_manifest();
    stage.database.insert("notes", [in_turn(2)]);
    let before = stage.hashes();
    let entry = |op: &str, ns: String| {
        let mut bytes = Vec::new();
        doc! { "op": op, "ns": ns, "o": in_turn(3) }.to_writer(&mut bytes).unwrap();
        bytes
    };
    fs::write(dump.join("oplog.bson"), entry("i", format!("{}.notes", stage.database.name()))).unwrap();
    for path in [dump.clone(), dump.join(stage.database.name())] {
        for line in [format!("restore:{} --yes", path.display()), format!("dbdump:verify={}", path.display())] {
            let outcome = stage.run(&line).exits(1);
            let command = format!("`mongorestore --drop --oplogReplay {}`", dump.display());
            assert_has(&outcome.stderr, &["taken with `mongodump --oplog`", "different points in time", "hint: ", &command]);
        }
    }
    assert_eq!(stage.hashes(), before);
    // What was written to other databases does not concern it.
    fs::write(dump.join("oplog.bson"), entry("n", String::new())).unwrap();
    stage.run(&format!("restore:{} --yes", dump.display())).exits(0);
    assert_eq!(stage.database.documents("notes").len(), 1);
}

#[test]
fn an_archive_is_said_to_be_one() {
    let stage = Stage::new();
    let file = stage.folder.path().join("blog.archive");
    fs::write(&file, [0x6d, 0xe2, 0x99, 0x81, 0, 0]).unwrap();
    for name in [file.display().to_string(), "blog.archive".to_owned()] {
        let outcome = stage.run(&format!("restore:{name} --yes")).exits(2);
        let command = format!("hint: restore it with `mongorestore --drop --archive={}`", file.display());
        assert_has(&outcome.stderr, &["blog.archive is an archive of `mongodump --archive`", &command]);
    }
}

/// Runs a line while three clients write to `notes`, `gone` and `later`.
fn while_others_write(stage: &Stage, line: &str) -> Outcome {
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
            let is_over = &is_over;
            scope.spawn(move || {
                block_on(async {
                    let database = Client::with_uri_str(&stage.uri).await.unwrap().database(stage.database.name());
                    let mut number = writer;
                    while !is_over.load(Ordering::Relaxed) {
                        number += 7;
                        for name in ["notes", "gone", "later"] {
                            let update = doc! { "$set": { "by": writer } };
                            let collection = database.collection::<Document>(name);
                            let written = collection.update_one(doc! { "_id": number % 3000 }, update).upsert(true).await;
                            assert!(written.is_ok() || name != "notes", "{written:?}");
                        }
                    }
                });
            });
        }
        stage.run(line)
    })
}

#[test]
fn those_who_go_on_writing_do_not_make_it_fail() {
    let stage = Stage::new();
    // Far more than one insert takes.
    stage.database.insert("notes", (0..2000).map(|id| doc! { "_id": id, "text": "x".repeat(10_000) }));
    stage.database.insert("gone", [in_turn(1)]);
    stage.command(doc! { "createIndexes": "notes", "indexes": [{ "key": { "by": 1 }, "name": "by" }] });
    stage.run("dbdump").exits(0);
    let catalog = stage.catalog();
    stage.command(doc! { "drop": "gone" });
    stage.command(doc! { "dropIndexes": "notes", "index": "by" });
    let outcome = while_others_write(&stage, "restore:latest --yes").exits(0);
    assert_has(&outcome.stderr, &["note: what is written to these collections until the end of the restore is lost"]);
    let mut now = stage.catalog();
    now.remove("later");
    assert_eq!(now, catalog);
    let complete = stage.database.documents("notes").iter().filter(|document| document.get_str("text").is_ok()).count();
    assert_eq!(complete, 2000);
    stage.run("show_status").exits(0);
}
