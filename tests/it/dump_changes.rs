//! Collections that are made, changed, replaced and dropped while a dump is taken: the dump succeeds, is right, and what the server
//! could not give any more is named.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{Document, doc};

use super::support::{DumpStage as Stage, Proxy, Then, assert_has, block_on, faulty_server};

/// Does something again and again while something else is done, and at least once.
fn meanwhile(work: impl Fn() + Sync, and: impl FnOnce()) {
    // Also when an assertion fails: the other thread would go on for ever.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (is_over, is_begun) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        let worker = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                work();
                is_begun.store(true, Ordering::Relaxed);
            }
        });
        while !is_begun.load(Ordering::Relaxed) && !worker.is_finished() {
            std::thread::yield_now();
        }
        and();
    });
}

fn manifest(stage: &Stage) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(stage.file("../manifest.json")).unwrap()).unwrap()
}

/// The documents of a file of the latest dump.
fn dumped(stage: &Stage, collection: &str) -> Vec<Document> {
    let bytes = fs::read(stage.file(&format!("{collection}.bson"))).unwrap();
    let (mut rest, mut documents) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        documents.push(Document::from_reader(&mut rest).unwrap());
    }
    documents
}

fn metadata(stage: &Stage, collection: &str) -> String {
    fs::read_to_string(stage.file(&format!("{collection}.metadata.json"))).unwrap()
}

/// The names of what the latest dump has.
fn names(stage: &Stage) -> Vec<String> {
    let manifest = manifest(stage);
    manifest["collections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

/// A server that does not list the collections of all databases as of a point in time, as those before MongoDB 6.0, or for a user
/// without the right to.
fn server_without_catalog() -> Throwaway {
    let server = block_on(Throwaway::replica_set_with(&["--setParameter", "enableTestCommands=1"])).unwrap();
    let data = doc! { "failCommands": ["aggregate"], "namespace": "admin.$cmd.aggregate", "errorCode": 13 };
    let fault = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data };
    block_on(async {
        Client::with_uri_str(server.uri()).await.unwrap().database("admin").run_command(fault).await.unwrap()
    });
    server
}

#[test]
fn a_job_that_replaces_a_collection_all_the_time_does_not_stop_a_dump() {
    let server = server_without_catalog();
    for stage in [Stage::new(), Stage::on(&server.uri())] {
        dump_while_a_job_replaces_a_collection(&stage);
    }
}

fn dump_while_a_job_replaces_a_collection(stage: &Stage) {
    stage.database.insert("posts", (0..2000).map(|id| doc! { "_id": id, "kind": id % 50, "text": "x".repeat(500) }));
    stage.command(doc! { "createIndexes": "totals", "indexes": [{ "key": { "n": 1 }, "name": "n" }] });
    // All totals of one run have the same number: a dump with two of them would be torn.
    let run = std::sync::atomic::AtomicI32::new(0);
    let job = || {
        let number = run.fetch_add(1, Ordering::Relaxed);
        let pipeline = [
            doc! { "$group": { "_id": "$kind", "n": { "$sum": 1 } } },
            doc! { "$set": { "run": number } },
            doc! { "$out": "totals" },
        ];
        stage.command(doc! { "aggregate": "posts", "pipeline": pipeline.to_vec(), "cursor": {} });
    };
    meanwhile(job, || {
        for options in ["", "", "", ":gzip=no,consistent=no", ":consistent=no"] {
            let outcome = stage.run(&format!("dbdump{options}")).exits(0);
            assert_eq!(dumped(stage, "posts").len(), 2000, "{}", outcome.stderr);
            let totals = dumped(stage, "totals");
            assert_eq!(totals.len(), 50, "{}", outcome.stderr);
            let first = totals[0].get_i32("run").unwrap();
            assert!(totals.iter().all(|total| total.get_i32("run").unwrap() == first), "{totals:?}");
            assert_has(&metadata(stage, "totals"), &[r#""name":"n""#]);
            assert_eq!(names(stage), ["posts", "totals"], "a temporary collection is not dumped");
            stage.run("dbdump:verify=latest").exits(0);
        }
    });
    stage.run("dbdump:prove=latest").exits(0);
    assert!(run.load(Ordering::Relaxed) > 5);
}

#[test]
fn collections_that_come_and_go_do_not_stop_a_dump() {
    let server = server_without_catalog();
    for stage in [Stage::new(), Stage::on(&server.uri())] {
        dump_while_collections_come_and_go(&stage);
    }
}

fn dump_while_collections_come_and_go(stage: &Stage) {
    for name in ["accounts", "zebras"] {
        stage.database.insert(name, (0..500).map(|id| doc! { "_id": id, "text": "x".repeat(2000) }));
    }
    let number = std::sync::atomic::AtomicUsize::new(0);
    let come_and_go = || {
        let name = format!("temporary_{}", number.fetch_add(1, Ordering::Relaxed) % 7);
        stage.database.insert(&name, [doc! { "_id": 1 }]);
        stage.command(doc! { "createIndexes": &name, "indexes": [{ "key": { "a": 1 }, "name": "a" }] });
        stage.command(doc! { "drop": &name });
        stage.command(doc! { "create": &name, "viewOn": "accounts", "pipeline": [] });
        stage.command(doc! { "drop": &name });
    };
    meanwhile(come_and_go, || {
        for options in ["", ":consistent=no", "", ":consistent=no", "", ":consistent=no"] {
            let outcome = stage.run(&format!("dbdump{options}")).exits(0);
            for name in ["accounts", "zebras"] {
                assert_eq!(dumped(stage, name).len(), 500, "{}", outcome.stderr);
            }
            for name in names(stage).iter().filter(|name| name.starts_with("temporary_")) {
                // A collection has its own document, and not those of a view that has its name later.
                if stage.file(&format!("{name}.bson")).exists() {
                    assert!(dumped(stage, name).len() <= 1, "{name}: {}", outcome.stderr);
                }
            }
            stage.run("dbdump:prove=latest").exits(0);
        }
    });
}

/// A stage behind a proxy, and a function that sends a command to the server itself.
fn behind_proxy() -> (Stage, Proxy, impl Fn(Document) + Clone + Send + 'static) {
    let server = faulty_server();
    let mut stage = Stage::on(&server.uri());
    let proxy = Proxy::start(server.port());
    let (uri, name) = (std::mem::replace(&mut stage.uri, proxy.uri()), stage.database.name().to_owned());
    let command = move |command: Document| {
        block_on(async { Client::with_uri_str(&uri).await.unwrap().database(&name).run_command(command).await.unwrap() });
    };
    (stage, proxy, command)
}

#[test]
fn a_consistent_dump_has_the_catalog_of_its_point_in_time() {
    let (stage, proxy, command) = behind_proxy();
    stage.database.insert("kept", (0..3).map(|id| doc! { "_id": id }));
    stage.database.insert("changed", (0..3).map(|id| doc! { "_id": id }));
    stage.database.insert("with_index", [doc! { "_id": 1, "a": 1 }]);
    stage.command(doc! { "createIndexes": "with_index", "indexes": [{ "key": { "a": 1 }, "name": "old" }] });
    stage.command(doc! { "create": "a_view", "viewOn": "kept", "pipeline": [{ "$match": { "_id": 1 } }] });
    let (hashes, catalog) = (stage.hashes(), stage.catalog());
    // The first `find` comes after the point in time and the catalog.
    let change = move || {
        command(doc! { "insert": "kept", "documents": [{ "_id": "later" }] });
        command(doc! { "create": "newcomer" });
        command(doc! { "collMod": "changed", "validator": { "b": 1 } });
        command(doc! { "createIndexes": "changed", "indexes": [{ "key": { "c": 1 }, "name": "new" }] });
        command(doc! { "dropIndexes": "with_index", "index": "old" });
        command(doc! { "drop": "a_view" });
    };
    proxy.catch("find", 0, 1, Then::Arm(Box::new(change)));
    let outcome = stage.run("dbdump").exits(0);
    assert!(proxy.let_go(1));
    assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    assert_ne!(stage.catalog(), catalog, "all that was changed meanwhile");
    stage.drop_all();
    stage.run("restore:latest --yes").exits(0);
    let mut hashes = hashes;
    let mut restored = stage.hashes();
    for all in [&mut hashes, &mut restored] {
        all.remove("system.views");
    }
    assert_eq!((restored, stage.catalog()), (hashes, catalog));
}

#[test]
fn what_the_server_cannot_give_any_more_is_named_and_the_rest_is_kept() {
    for options in ["", ":consistent=no"] {
        let (stage, proxy, command) = behind_proxy();
        let (direct, database) = (faulty_server().uri(), stage.database.name().to_owned());
        let rename = move |from: &str, to: &str| {
            let full = |name: &str| format!("{database}.{name}");
            let command = doc! { "renameCollection": full(from), "to": full(to) };
            block_on(async {
                Client::with_uri_str(&direct).await.unwrap().database("admin").run_command(command).await.unwrap()
            });
        };
        for name in ["dropped", "kept", "now_a_view", "renamed", "replaced"] {
            stage.database.insert(name, (0..3).map(|id| doc! { "_id": id, "of": name }));
        }
        let change = move || {
            command(doc! { "drop": "dropped" });
            command(
                doc! { "aggregate": "kept", "pipeline": [{ "$match": { "_id": 1 } }, { "$out": "replaced" }], "cursor": {} },
            );
            command(doc! { "createIndexes": "replaced", "indexes": [{ "key": { "a": 1 }, "name": "a" }] });
            command(doc! { "drop": "now_a_view" });
            command(doc! { "create": "now_a_view", "viewOn": "kept", "pipeline": [] });
            rename("renamed", "new_name");
        };
        // The first `find` is of the registry.
        proxy.catch("find", 0, 1, Then::Arm(Box::new(change)));
        let outcome = stage.run(&format!("dbdump{options}")).exits(0);
        assert!(proxy.let_go(1));
        assert_has(
            &outcome.stderr,
            &[
                "warning: `dropped`, `renamed` were dropped during the dump, or replaced again and again, so the dump does not have them",
                "hint: everything else is in the dump; take it again to see whether they are still there",
                "Dumped ",
            ],
        );
        let later = "warning: `now_a_view`, `replaced` were created, replaced or renamed during the dump, so the dump has a later state";
        assert_eq!(outcome.stderr.contains(later), options.is_empty(), "{}", outcome.stderr);
        assert_eq!(names(&stage), ["kept", "now_a_view", "replaced"]);
        assert_eq!(manifest(&stage)["vanished"], serde_json::json!(["dropped", "renamed"]));
        assert_eq!(dumped(&stage, "kept").len(), 3);
        let replaced = dumped(&stage, "replaced");
        assert_eq!((replaced.len(), replaced[0].get_str("of").unwrap()), (1, "kept"));
        assert_has(&metadata(&stage, "replaced"), &[r#""name":"a""#]);
        assert_has(&metadata(&stage, "now_a_view"), &[r#""type":"view""#]);
        assert!(!stage.file("now_a_view.bson").exists() && !stage.file("dropped.bson").exists());
        stage.run("dbdump:prove=latest").exits(0);
        // What the dump could not have is not dropped.
        stage.database.insert("dropped", [doc! { "_id": "there again" }]);
        stage.run("restore:latest --yes").exits(0);
        assert_eq!(stage.database.documents("dropped").len(), 1);
        let there: Vec<String> = stage.hashes().into_keys().collect();
        assert_eq!(there, ["dropped", "kept", "replaced", "system.views"]);
    }
}

#[test]
fn a_collection_that_is_replaced_while_it_is_read_is_read_again() {
    for options in ["", ":consistent=no", ":gzip=yes"] {
        let (stage, proxy, command) = behind_proxy();
        stage.database.insert("notes", (0..3000).map(|id| doc! { "_id": id, "text": "x".repeat(10_000) }));
        let change = move || {
            command(doc! { "drop": "notes" });
            command(doc! { "insert": "notes", "documents": [{ "_id": "new" }] });
        };
        proxy.catch("getMore", 0, 1, Then::Arm(Box::new(change)));
        let outcome = stage.run(&format!("dbdump{options}")).exits(0);
        assert!(proxy.let_go(1));
        assert_has(&outcome.stderr, &[": 1 documents,"]);
        assert_eq!(outcome.stderr.contains("warning"), options != ":consistent=no", "{}", outcome.stderr);
        stage.run("dbdump:prove=latest").exits(0);
    }
}
