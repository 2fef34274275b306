//! Backfills on real servers: every document right, whatever its `_id`, whatever is written in the meantime.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::spec::BinarySubtype;
use cargo_migrations::mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, Timestamp, doc, oid::ObjectId};
use cargo_migrations::mongodb::options::ClientOptions;
use cargo_migrations::prelude::*;
use cargo_migrations::{Embedded, Migration, Runner};

use super::support::recover::wait_for_lease_to_expire;
use super::support::{Scene, TestDatabase, assert_has, backfilling, block_on, faulty_server, server_uri};

/// Runs a migration.
pub(super) fn run(
    database: &TestDatabase,
    up: impl AsyncFn(&Db) -> Result<()> + Send + Sync + 'static,
) -> Result<(), cargo_migrations::Error> {
    let config = Config::new().mongo_uri(server_uri()).mongo_database(database.name());
    let migration = Migration::new("0001_backfill.rs", up).with_checksum("1");
    block_on(Runner::new(config, Embedded::from_migrations([migration])).execute()).map(|_| ())
}

/// `_id`s of every type that one can be of.
pub(super) fn ids() -> Vec<Bson> {
    let mut ids: Vec<Bson> = vec![
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Null,
        true.into(),
        false.into(),
        DateTime::from_millis(5).into(),
        Bson::Timestamp(Timestamp { time: 7, increment: 1 }),
        Bson::Double(1.5),
        Bson::Double(f64::NAN),
        Bson::Double(f64::NEG_INFINITY),
        Bson::Int64(i64::MAX),
        Bson::Decimal128("7.25".parse::<Decimal128>().unwrap()),
        doc! { "a": 1, "b": "x" }.into(),
        doc! {}.into(),
        Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] }),
        Bson::JavaScriptCode("x()".into()),
        "".into(),
    ];
    ids.extend((0..3000).map(Bson::Int32));
    ids.extend((0..3000).map(|number| Bson::String(format!("id {number}"))));
    ids.extend((0..3000).map(|_| Bson::ObjectId(ObjectId::new())));
    ids
}

#[test]
fn without_a_filter_no_id_of_any_type_is_left_out() {
    for once in [false, true] {
        let database = TestDatabase::new();
        let users = ids().into_iter().enumerate().filter(|(n, _)| *n < 20 || n % 10 == 0);
        database.insert("users", users.map(|(n, id)| doc! { "_id": id, "name": format!("user {n}") }));
        let count = database.documents("users").len() as u64;
        run(&database, async move |db: &Db| {
            let users = db.backfill("users");
            let users = if once { users.exactly_once() } else { users };
            let done = users.each(|user: Document| -> Result<Write> { Ok(Write::set("slug", shout(&user))) }).await?;
            assert_eq!((done.read, done.modified), (count, count));
            Ok(())
        })
        .unwrap();
        assert!(database.documents("users").iter().all(|user| user.contains_key("slug")));
    }
}

fn shout(user: &Document) -> String {
    user.get_str("name").unwrap().to_uppercase()
}

#[test]
fn documents_with_ids_of_every_type_are_each_read_once_and_right() {
    let database = TestDatabase::new();
    let ids = ids();
    let count = ids.len();
    database.insert("users", ids.into_iter().enumerate().map(|(n, id)| doc! { "_id": id, "name": format!("user {n}") }));
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    run(&database, async move |db: &Db| {
        let calls = Arc::clone(&counted);
        let done = db
            .backfill("users")
            .filter(doc! { "slug": { "$exists": false } })
            .reads(["name"])
            .each(move |user: Document| -> Result<Write> {
                calls.fetch_add(1, Ordering::Relaxed);
                Ok(Write::set("slug", shout(&user)))
            })
            .await?;
        assert_eq!((done.modified, done.repeated, done.failed), (u64::try_from(count)?, 0, 0));
        Ok(())
    })
    .unwrap();
    let users = database.documents("users");
    assert_eq!(users.len(), count);
    assert!(users.iter().all(|user| user.get_str("slug").unwrap() == shout(user)));
    assert_eq!(calls.load(Ordering::Relaxed), count as u64);
}

#[test]
fn the_last_document_may_have_an_id_that_does_not_equal_itself() {
    for last in [Bson::Double(f64::NAN), Bson::Double(-0.0), Bson::Null, Bson::MaxKey] {
        let database = TestDatabase::new();
        database.insert("users", [doc! { "_id": last, "name": "a" }]);
        run(&database, async |db: &Db| {
            let write = |user: Document| -> Result<Write> { Ok(Write::set("slug", shout(&user))) };
            assert_eq!(db.backfill("users").verify().each(write).await?.modified, 1);
            let once = db
                .backfill("users")
                .label("once")
                .exactly_once()
                .each(|_: Document| -> Result<Write> { Ok(Write::update(doc! { "$inc": { "n": 1 } })) });
            assert_eq!(once.await?.modified, 1);
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn a_clustered_collection_is_read_in_its_order() {
    let database = TestDatabase::new();
    block_on(async {
        let clustered = doc! { "create": "users", "clusteredIndex": { "key": { "_id": 1 }, "unique": true } };
        let client = Client::with_uri_str(server_uri()).await.unwrap();
        client.database(database.name()).run_command(clustered).await.unwrap();
    });
    let ids = ids();
    let count = ids.len();
    database.insert("users", ids.into_iter().enumerate().map(|(n, id)| doc! { "_id": id, "name": format!("user {n}") }));
    run(&database, async move |db: &Db| {
        let write = |user: Document| -> Result<Write> { Ok(Write::set("slug", shout(&user))) };
        assert_eq!(db.backfill("users").reads(["name"]).each(write).await?.modified, u64::try_from(count)?);
        Ok(())
    })
    .unwrap();
    let users = database.documents("users");
    assert!(users.len() == count && users.iter().all(|user| user.get_str("slug").unwrap() == shout(user)));
}

#[test]
fn collections_may_be_empty_or_missing() {
    let database = TestDatabase::new();
    database.insert("empty", [doc! { "_id": 1 }]);
    run(&database, async |db: &Db| {
        db.collection::<Document>("empty").delete_one(doc! {}).await?;
        for name in ["empty", "missing"] {
            let write = |_: Document| -> Result<Write> { Ok(Write::set("slug", "a")) };
            let done = [
                db.backfill(name).each(write).await?,
                db.backfill(name).label(format!("{name} once")).exactly_once().each(write).await?,
                db.backfill(name).label(format!("{name} server")).pipeline([doc! { "$set": { "slug": "a" } }]).await?,
            ];
            assert!(done.iter().all(|done| (done.read, done.modified) == (0, 0)), "{done:?}");
        }
        Ok(())
    })
    .unwrap();
    assert!(!database.collections().contains(&"missing".to_owned()));
}

#[test]
fn what_is_inserted_and_deleted_in_the_meantime_is_right_in_the_end() {
    let database = TestDatabase::new();
    database.insert("users", (0..3000).map(|n| doc! { "_id": n, "name": format!("user {n}") }));
    let (name, once) = (database.name().to_owned(), Arc::new(std::sync::Once::new()));
    run(&database, async move |db: &Db| {
        let (name, once) = (name.clone(), Arc::clone(&once));
        let write = move |user: Document| -> Result<Write> {
            // The first batch has been read by then.
            once.call_once(|| {
                let name = name.clone();
                let writer = std::thread::spawn(move || {
                    block_on(async {
                        let client = Client::with_uri_str(server_uri()).await.unwrap();
                        let users = client.database(&name).collection::<Document>("users");
                        let new = (-500..0).chain(5000..5500).map(|n| doc! { "_id": n, "name": format!("new {n}") });
                        users.insert_many(new).await.unwrap();
                        users.delete_many(doc! { "_id": { "$gte": 2000, "$lt": 3000 } }).await.unwrap();
                    });
                });
                writer.join().unwrap();
            });
            Ok(Write::set("slug", shout(&user)))
        };
        db.backfill("users").filter(doc! { "slug": { "$exists": false } }).reads(["name"]).each(write).await?;
        Ok(())
    })
    .unwrap();
    let users = database.documents("users");
    assert_eq!(users.len(), 3000);
    assert!(users.iter().all(|user| user.get_str("slug").unwrap() == shout(user)));
}

#[test]
fn nothing_that_was_computed_from_an_old_state_is_written() {
    for reads in [Some(["name"]), None] {
        let database = TestDatabase::new();
        database.insert("users", (0..3000).map(|n| doc! { "_id": n, "name": format!("first {n}"), "seen": 0 }));
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2)
            .map(|seed| {
                let (stop, name) = (Arc::clone(&stop), database.name().to_owned());
                std::thread::spawn(move || {
                    block_on(async {
                        let options = ClientOptions::parse(server_uri()).await.unwrap();
                        let users = Client::with_options(options).unwrap().database(&name).collection::<Document>("users");
                        let mut round = 0;
                        while !stop.load(Ordering::Relaxed) {
                            for n in (seed..3000).step_by(7) {
                                // As an application does: a new name means that there is no slug of it yet.
                                let update = doc! { "$set": { "name": format!("r{round} {n}") }, "$unset": { "slug": 1 } };
                                users.update_one(doc! { "_id": n }, update).await.unwrap();
                                if stop.load(Ordering::Relaxed) {
                                    break;
                                }
                            }
                            round += 1;
                        }
                    });
                })
            })
            .collect();
        run(&database, async move |db: &Db| {
            let mut backfill = db.backfill("users").filter(doc! { "slug": { "$exists": false } });
            if let Some(reads) = reads {
                backfill = backfill.reads(reads);
            }
            backfill
                .each(|user: Document| -> Result<Write> {
                    // Long enough that many are changed between the read and the write.
                    std::thread::sleep(std::time::Duration::from_micros(100));
                    Ok(Write::set("slug", shout(&user)))
                })
                .await?;
            Ok(())
        })
        .unwrap();
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let users = database.documents("users");
        let with_slug: Vec<_> = users.iter().filter(|user| user.contains_key("slug")).collect();
        assert!(with_slug.len() > 1500, "{}", with_slug.len());
        for user in with_slug {
            assert_eq!(user.get_str("slug").unwrap(), shout(user), "reads: {reads:?}");
        }
    }
}

#[test]
fn what_cannot_be_done_is_refused_before_anything_is_written() {
    let database = TestDatabase::new();
    database.insert("users", [doc! { "_id": 1, "name": "a" }]);
    let refused = |collection: &'static str, write: fn() -> Write| {
        run(&database, async move |db: &Db| {
            db.create_collection("view").view_on("users").await.ok();
            db.create_collection("log").capped(true).size(4096).await.ok();
            db.backfill(collection).each(move |_: Document| Result::<_>::Ok(write())).await?;
            Ok(())
        })
        .unwrap_err()
        .to_string()
    };
    assert_has(&refused("view", Write::none), &["`view` cannot be backfilled: it is a view"]);
    assert_has(&refused("log", Write::none), &["`log` cannot be backfilled", "capped"]);
    assert_has(
        &refused("users", || Write::update(doc! { "$inc": { "n": 1 } })),
        &["the document with `_id` 1 of `users`: `$inc` would be applied twice"],
    );
    assert_has(&refused("users", || Write::set("_id", 2)), &["an `_id` cannot be changed"]);
    assert_eq!(database.documents("users"), [doc! { "_id": 1, "name": "a" }]);
}

/// A backfill of 60,000 documents is killed again and again. How many documents a range has at most, roughly.
const RANGE: u64 = 30_000;

#[test]
fn killed_it_goes_on_where_it_was_and_every_document_is_right() {
    const DOCUMENTS: u64 = 60_000;
    let kills = if std::env::var("CARGO_MIGRATIONS_FAULTS").is_ok_and(|which| which == "all") { 50 } else { 12 };
    let scene = Scene::new(backfilling(), &faulty_server().uri());
    for first in (0..DOCUMENTS).step_by(10_000) {
        let users = (first..first + 10_000).map(|n| doc! { "_id": i64::try_from(n).unwrap(), "name": format!("user {n}") });
        scene.database.insert("users", users);
    }
    // Few points, so that some kills come before anything is marked, and some after.
    let mut random = u64::from(std::process::id()) | 1;
    let mut killed = 0;
    let mut calls = 0;
    while killed < kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let at = random % 40;
        let outcome = scene.line(["execute:1"]).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{at}")).run();
        if outcome.code == 0 {
            break;
        }
        assert_eq!(outcome.code, -1, "{outcome:?}");
        killed += 1;
        let called = scene.witness_length();
        assert!(called - calls <= DOCUMENTS, "no more than is left");
        calls = called;
        wait_for_lease_to_expire(&scene);
    }
    scene.run("execute:1").exits(0);
    let users = scene.database.documents("users");
    assert_eq!(users.len() as u64, DOCUMENTS);
    assert!(users.iter().all(|user| user.get_str("shout").unwrap() == shout(user)));
    let calls = scene.witness_length();
    assert!(calls >= DOCUMENTS && calls <= DOCUMENTS + killed * RANGE, "{calls} calls with {killed} kills");
    // What is registered leaves no marks, and the log has the totals.
    assert_eq!(scene.database.documents("migrations_backfill"), Vec::<Document>::new());
    let log = scene.database.documents("migrations_log");
    let end = log
        .iter()
        .find(|event| event.get_str("outcome").is_ok_and(|outcome| outcome == "done") && event.contains_key("name"))
        .unwrap();
    let totals = end.get_array("backfills").unwrap()[0].as_document().unwrap();
    assert_eq!(totals.get_str("collection").unwrap(), "users");
    assert!(totals.get_i64("read").unwrap() == i64::try_from(DOCUMENTS).unwrap(), "{totals}");
}

#[test]
fn one_that_is_done_is_not_done_again_by_a_run_that_follows() {
    let scene = Scene::new(backfilling(), &faulty_server().uri());
    scene.database.insert("users", (0..5000).map(|n| doc! { "_id": n, "name": format!("user {n}") }));
    let points = scene.trace("execute:1");
    let marked = points.iter().position(|point| point == "range marked").unwrap();
    let scene = Scene::new(backfilling(), &faulty_server().uri());
    scene.database.insert("users", (0..5000).map(|n| doc! { "_id": n, "name": format!("user {n}") }));
    scene.line(["execute:1"]).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{marked}")).run();
    assert_eq!(scene.witness_length(), 5000);
    wait_for_lease_to_expire(&scene);
    let outcome = scene.run("execute:1").exits(0);
    assert_has(&outcome.stderr, &["the backfill of `users` goes on: 0 of 1 ranges are left"]);
    assert_eq!(scene.witness_length(), 5000);
}
