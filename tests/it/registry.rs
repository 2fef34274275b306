//! What is stored, and living next to migopy.

use cargo_migrations::mongodb::IndexModel;
use cargo_migrations::mongodb::bson::{Bson, doc};
use cargo_migrations::mongodb::options::IndexOptions;

use super::support::{Proxy, TestDatabase, assert_has, block_on, simple};

fn has_unique_index(database: &TestDatabase) -> bool {
    block_on(async {
        let mut cursor = database.collection("migrations").list_indexes().await.unwrap();
        while cursor.advance().await.unwrap() {
            let index: IndexModel = cursor.deserialize_current().unwrap();
            if index.keys == doc! { "name": 1 } && index.options.unwrap().unique == Some(true) {
                return true;
            }
        }
        false
    })
}

#[test]
fn one_document_for_each_registered_migration_and_nothing_else() {
    let database = TestDatabase::new();
    simple().run("execute:1 ignore:2", &database).exits(0);
    let documents = database.documents("migrations");
    assert_eq!(documents.len(), 2);
    let executed = &documents[0];
    assert_eq!(executed.get_str("name").ok(), Some("0001_a.rs"));
    assert_eq!(executed.get_str("number").ok(), Some("0001"));
    assert_eq!(executed.get_str("state").ok(), Some("registered"));
    assert!(executed.get_str("checksum").unwrap().starts_with("v2:sha256:"));
    assert!(matches!(executed.get("registered_at"), Some(Bson::DateTime(_))));
    assert!(executed.get_i64("duration_ms").unwrap() >= 0);
    assert_eq!(executed.get_str("who").ok(), Some("tester"));
    assert!(!executed.get_str("where").unwrap().is_empty());
    assert_eq!(executed.get_str("tool_version").ok(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(documents[1].get_str("state").ok(), Some("ignored"));
    assert!(!documents[1].contains_key("duration_ms"));
    assert!(has_unique_index(&database));
}

#[test]
fn what_migopy_registered_is_registered_by_its_stem() {
    let database = TestDatabase::new();
    database.insert("migrations", [doc! { "name": "0001_a.py" }, doc! { "name": "0002_b.rs" }]);
    simple().run("execute", &database).exits(0);
    assert_eq!(database.trace(), ["up 0010"]);
    let outcome = simple().run("execute:1", &database).exits(2);
    assert_has(&outcome.stderr, &["0001_a is already registered"]);
    simple().run("rollback:1", &database).exits(0);
    let names: Vec<_> =
        database.documents("migrations").into_iter().filter_map(|d| d.get_str("name").map(str::to_owned).ok()).collect();
    assert_eq!(names, ["0002_b.rs", "0010_c.rs"], "migopy's document of 0001_a is gone");
}

#[test]
fn migopy_sees_what_we_registered() {
    // All that migopy asks is whether a document has the file's name; a failed migration must not be there.
    let database = TestDatabase::new();
    super::support::blog().line(["execute"]).on(&database).env("NO_CHEESE", "1").run().exits(1);
    let count = |name: &str| {
        let filter = doc! { "name": name };
        block_on(async { database.collection("migrations").count_documents(filter).await.unwrap() })
    };
    assert_eq!((count("0001_first.rs"), count("0003_own_error.rs"), count("0004_no_down.rs")), (1, 0, 0));
}

#[test]
fn a_registry_with_another_tools_documents_is_left_alone() {
    let cases = [
        (doc! { "_id": "control", "version": 4, "locked": false }, "Meteor", "help:adopt"),
        (doc! { "fileName": "0001_a.js", "appliedAt": "2024" }, "migrate-mongo", "adopt:migrate-mongo,from=migrations"),
        (doc! { "name": "0001_a", "state": "up" }, "ts-migrate-mongoose", "help:adopt"),
        (
            doc! { "name": "0001_a.js", "batch": 1, "status": "applied" },
            "mongo-migrate-kit",
            "adopt:mongo-migrate-kit,from=migrations",
        ),
        (doc! { "version": 4, "dirty": true }, "golang-migrate", "adopt:golang-migrate,from=migrations"),
        (doc! { "x": 1 }, "another tool", "help:adopt"),
    ];
    for (document, whose, adopt) in cases {
        let database = TestDatabase::new();
        // Two of them, so that the index on the names could not be created.
        database.insert("migrations", [document.clone(), doc! { "y": 1 }]);
        let before = database.documents("migrations");
        for line in ["show_status", "execute", "execute:1 --yes", "ignore", "rollback:1", "accept:1", "forget:7_gone"] {
            let outcome = simple().run(line, &database).exits(2);
            if line.starts_with("forget") {
                continue;
            }
            assert_has(&outcome.stderr, &["holds 2 documents that this tool did not write", whose, adopt]);
            assert_has(&outcome.stderr, &["leave them as they are, and set MIGRATIONS_COLLECTION"]);
            assert!(!outcome.stderr.contains("delete"), "{}", outcome.stderr);
        }
        assert_eq!(database.collections(), ["migrations"], "{document}");
        assert_eq!(database.documents("migrations"), before);
        // The way out.
        simple().line(["execute"]).on(&database).env("MIGRATIONS_COLLECTION", "ours").run().exits(0);
        assert_eq!(database.documents("migrations"), before);
        assert_eq!(database.documents("ours").len(), 3);
    }
}

#[test]
fn duplicates_that_migopy_left_are_a_warning_and_no_failure() {
    let database = TestDatabase::new();
    database.insert("migrations", [doc! { "name": "0001_a.rs" }, doc! { "name": "0001_a.rs" }]);
    let expected = "warning: the registry `migrations` has more than one document for `0001_a.rs`, so the server cannot keep the names unique";
    let outcome = simple().run("show_status", &database).exits(0);
    assert_has(&outcome.stderr, &[expected]);
    let outcome = simple().run("execute", &database).exits(0);
    assert_has(&outcome.stderr, &[expected]);
    assert_eq!(database.trace(), ["up 0002", "up 0010"]);
    assert!(!has_unique_index(&database));
    simple().run("rollback:1", &database).exits(0);
    assert_eq!(database.registered(), ["0002_b.rs", "0010_c.rs"], "both are gone");
}

#[test]
fn an_index_of_that_name_with_other_options_is_a_warning() {
    let database = TestDatabase::new();
    let index =
        IndexModel::builder().keys(doc! { "name": 1 }).options(IndexOptions::builder().unique(false).build()).build();
    block_on(async { database.collection("migrations").create_index(index).await.unwrap() });
    let outcome = simple().run("execute:1", &database).exits(0);
    assert_has(
        &outcome.stderr,
        &["warning: the server does not keep the names in `migrations` unique", "Everything works without it"],
    );
    assert_eq!(database.registered(), ["0001_a.rs"]);
}

#[test]
fn the_collections_name_can_be_set() {
    let database = TestDatabase::new();
    simple().line(["execute:1"]).on(&database).env("MIGRATIONS_COLLECTION", "changes").run().exits(0);
    assert_eq!(database.documents("changes").len(), 1);
    assert_eq!(database.collections(), ["changes", "migrations_lock", "migrations_log", "trace"]);
}

#[test]
fn writes_are_majority_and_journaled_and_reads_majority_whatever_the_uri_says() {
    let server = super::support::faulty_server();
    let proxy = Proxy::start(server.port());
    let database = TestDatabase::on(&server.uri());
    let line = simple().line(["execute:1", "rollback:1", "ignore:2", "unlock", "history", "show_status"]).on(&database);
    let uri = format!("{}&w=1&journal=false&readPreference=secondary&readConcernLevel=local&retryWrites=false", proxy.uri());
    line.env("MONGO_URI", uri).run().exits(0);
    let mut seen = (0, 0, 0);
    for command in proxy.commands() {
        let name = command.keys().next().unwrap().clone();
        if command.get_str(&name).ok() == Some("trace") {
            let concern = command.get_document("writeConcern").unwrap();
            assert_eq!(concern.get_str("w").ok(), Some("majority"), "what is registered stays done: {command}");
        }
        let is_ours = command.get_str(&name).is_ok_and(|collection| collection.starts_with("migrations"));
        let concern = command.get_document("writeConcern").map(|c| (c.get_str("w").ok(), c.get_bool("j").ok()));
        let level = command.get_document("readConcern").ok().and_then(|concern| concern.get_str("level").ok());
        if name == "commitTransaction" {
            assert_eq!(concern.ok(), Some((Some("majority"), Some(true))), "{command}");
            seen.0 += 1;
        } else if is_ours && command.contains_key("autocommit") {
            // A transaction's first command says how all of it is read; its commit, how it is written.
            assert!(!command.contains_key("startTransaction") || level == Some("local"), "{command}");
        } else if is_ours && ["find", "aggregate"].contains(&name.as_str()) {
            assert_eq!(level, Some("majority"), "{command}");
            seen.1 += 1;
        } else if is_ours {
            assert_eq!(concern.ok(), Some((Some("majority"), Some(true))), "{command}");
            seen.2 += 1;
        }
    }
    assert!(seen.0 >= 6 && seen.1 >= 6 && seen.2 >= 6, "{seen:?}");
}
