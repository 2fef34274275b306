//! What a migration did, as its commands say: in the log, with `-v`, in `history`, and as JSON.

use cargo_migrations::mongodb::bson::{Document, doc};
use cargo_migrations::prelude::*;
use cargo_migrations::{Embedded, Migration, Runner};

use super::support::{Line, TestDatabase, assert_has, block_on, faulty_server, server_uri, simple};

/// Each kind of write.
async fn writes(db: &Db) -> Result<()> {
    let notes = db.collection::<Document>("notes");
    notes.insert_many((0..20).map(|number| doc! { "_id": number, "tag": "old", "secret": "s3cr3t-value" })).await?;
    notes.update_many(doc! { "tag": "old", "_id": { "$lt": 5 } }, doc! { "$set": { "tag": "new" } }).await?;
    // Found, and as it should be.
    notes.update_many(doc! { "secret": "s3cr3t-value" }, doc! { "$set": { "tag": "new" } }).await?;
    notes.update_one(doc! { "_id": 77 }, doc! { "$set": { "tag": "new" } }).upsert(true).await?;
    notes.find_one_and_delete(doc! { "_id": 0 }).await?;
    notes.delete_many(doc! { "_id": { "$gt": 15 } }).await?;
    db.client().database(&format!("{}_archive", db.name())).collection::<Document>("old").insert_one(doc! {}).await?;
    db.client().database(&format!("{}_archive", db.name())).drop().await?;
    db.note("19 notes are new, said mongodb://u:hush@host/");
    Ok(())
}

async fn fails(db: &Db) -> Result<()> {
    db.collection::<Document>("notes").delete_one(doc! { "_id": 1 }).await?;
    Err("changed its mind".into())
}

async fn in_transaction(tx: &mut Transaction) -> Result<()> {
    tx.collection::<Document>("notes").insert_one(doc! { "_id": "tx" }).await?;
    tx.note("one more");
    Ok(())
}

fn run(database: &TestDatabase, uri: &str, migration: Migration) -> Result<Vec<String>, cargo_migrations::Error> {
    let config = Config::new().mongo_uri(uri).mongo_database(database.name());
    block_on(Runner::new(config, Embedded::from_migrations([migration.with_checksum("1")])).execute())
}

/// The end of the last migration.
fn end(database: &TestDatabase) -> Document {
    let mut log = database.documents("migrations_log");
    log.retain(|event| event.get_str("event").unwrap() == "migration_ended");
    log.sort_by_key(|event| event.get_i64("fence").unwrap());
    log.pop().unwrap()
}

/// A row without its time, which differs.
fn rows(end: &Document) -> Vec<Document> {
    let rows = end.get_array("effects").unwrap().iter().map(|row| row.as_document().unwrap().clone());
    rows.map(|mut row| {
        assert!(row.get_i64("duration_ms").unwrap() >= 0, "{row}");
        row.remove("duration_ms");
        row
    })
    .collect()
}

#[test]
fn the_log_has_what_each_kind_of_command_did_and_no_values() {
    let database = TestDatabase::new();
    run(&database, server_uri(), Migration::new("0001_writes.rs", writes)).unwrap();
    let end = end(&database);
    let archive = format!("{}_archive", database.name());
    assert_eq!(
        rows(&end),
        [
            doc! { "command": "insert", "collection": "notes", "commands": 1_i64, "inserted": 20_i64 },
            doc! {
                "command": "update", "collection": "notes", "commands": 3_i64, "matched": 25_i64, "modified": 20_i64,
                "inserted": 1_i64, "filter": ["_id", "secret", "tag"],
            },
            doc! { "command": "findAndModify", "collection": "notes", "commands": 1_i64, "deleted": 1_i64, "filter": ["_id"] },
            doc! { "command": "delete", "collection": "notes", "commands": 1_i64, "deleted": 5_i64, "filter": ["_id"] },
            doc! { "command": "insert", "collection": format!("{archive}.old"), "commands": 1_i64, "inserted": 1_i64 },
            doc! { "command": "dropDatabase", "collection": format!("{archive}."), "commands": 1_i64 },
        ]
    );
    assert_eq!(end.get_array("notes").unwrap(), &["19 notes are new, said mongodb://***@host/".into()]);
    assert!(!end.to_string().contains("s3cr3t"), "{end}");
}

#[test]
fn a_failed_one_is_told_with_what_it_did_before() {
    let database = TestDatabase::new();
    database.insert("notes", [doc! { "_id": 1 }]);
    run(&database, server_uri(), Migration::new("0001_fails.rs", fails)).unwrap_err();
    let end = end(&database);
    assert_eq!(end.get_str("outcome").unwrap(), "failed");
    let row = doc! { "command": "delete", "collection": "notes", "commands": 1_i64, "deleted": 1_i64, "filter": ["_id"] };
    assert_eq!(rows(&end), [row]);
}

#[test]
fn of_a_transaction_that_is_tried_again_only_the_last_attempt_counts() {
    let server = faulty_server();
    let database = TestDatabase::on(&server.uri());
    // The collection is there, so that the first attempt gets as far as its insert; that fails once.
    database.insert("notes", [doc! { "_id": "first" }]);
    let admin = block_on(cargo_migrations::mongodb::Client::with_uri_str(server.uri())).unwrap().database("admin");
    let namespace = format!("{}.notes", database.name());
    let fails_once = doc! {
        "configureFailPoint": "failCommand",
        "mode": { "times": 1 },
        "data": {
            "failCommands": ["insert"], "namespace": namespace, "errorCode": 112,
            "errorLabels": ["TransientTransactionError"],
        },
    };
    block_on(async { admin.run_command(fails_once).await }).unwrap();
    run(&database, &server.uri(), Migration::new("0001_tx.rs", in_transaction)).unwrap();
    let end = end(&database);
    assert_eq!(rows(&end), [doc! { "command": "insert", "collection": "notes", "commands": 1_i64, "inserted": 1_i64 }]);
    assert_eq!(end.get_array("notes").unwrap(), &["one more".into()]);
}

#[test]
fn it_is_shown_with_verbose_in_the_history_and_as_json() {
    let database = TestDatabase::new();
    let line = |args: &str| Line::new(simple().path("manager"), simple().root()).args(args.split_whitespace()).on(&database);
    let quiet = line("execute:1").run().exits(0);
    assert!(!quiet.stderr.contains("Did"), "{}", quiet.stderr);
    let verbose = line("execute:2 -v").run().exits(0);
    assert_has(&verbose.stderr, &["Executed 0002_b", "Did insert trace: 1 command, 1 inserted in 0."]);
    let history = line("history:2").run().exits(0);
    assert_has(&history.stdout, &["COMMAND", "insert", "trace"]);
    // That of all has no room for it.
    assert!(!line("history").run().exits(0).stdout.contains("COMMAND"));
    let lines = line("rollback:2 --format json").run().exits(0).json_lines();
    let event = lines.iter().find(|line| line["event"] == "migration_rolled_back").unwrap();
    let row = &event["effects"][0];
    assert_eq!((row["command"].as_str(), row["collection"].as_str()), (Some("insert"), Some("trace")));
    assert_eq!((row["commands"].as_i64(), row["inserted"].as_i64(), row["matched"].as_i64()), (Some(1), Some(1), Some(0)));
    assert_eq!((event["further_commands"].as_i64(), event["notes"].as_array().map(Vec::len)), (Some(0), Some(0)));
    let logged = line("history:2 --format json").run().exits(0).json();
    let events = logged["events"].as_array().unwrap();
    let ended = events.iter().filter(|event| event["event"] == "migration_ended");
    assert!(ended.clone().count() == 2 && ended.clone().all(|event| event["effects"][0]["inserted"] == 1), "{logged}");
}
