//! Undo logs: what a backfill replaced is put back by `down`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cargo_migrations::mongodb::bson::{Bson, DateTime, Document, doc};
use cargo_migrations::prelude::*;

use super::backfill::{ids, run};
use super::support::recover::wait_for_lease_to_expire;
use super::support::{Scene, TestDatabase, assert_has, block_on, faulty_server, undoing};

const LOG: &str = "migrations_undo_0002_slugs";

/// Users with `_id`s of every type. Some are deleted by the migration, some replaced, and the others updated.
fn insert_users(database: &TestDatabase) -> Vec<Document> {
    let some = ids().into_iter().enumerate().filter(|(n, _)| *n < 20 || n % 6 == 0);
    let users: Vec<Document> = some
        .enumerate()
        .map(|(n, (_, id))| {
            let kind = ["set", "replaced", "set", "deleted", "bare"][n % 5];
            let mut user = doc! { "_id": id, "kind": kind, "name": format!("User {n}") };
            if kind != "bare" {
                user.extend(doc! { "old": [1, { "a": Bson::Null }], "address": { "city": "A", "zip": f64::NAN } });
            }
            user
        })
        .collect();
    database.insert("users", users.clone());
    users
}

/// Documents without the order of their fields.
fn sorted(documents: &[Document]) -> BTreeSet<String> {
    let sorted = |document: &Document| {
        let mut fields: Vec<String> = document.iter().map(|(key, value)| format!("{key}: {value:?}")).collect();
        fields.sort();
        fields.join(", ")
    };
    documents.iter().map(sorted).collect()
}

fn scene() -> (Scene, Vec<Document>) {
    let scene = Scene::new(undoing(), &faulty_server().uri());
    let users = insert_users(&scene.database);
    (scene, users)
}

/// What the undo log has, without what it says about the backfill.
fn entries(scene: &Scene) -> Vec<Document> {
    let mut log = scene.database.documents(LOG);
    log.retain(|entry| !matches!(entry.get("_id"), Some(Bson::String(_))));
    log
}

#[test]
fn everything_is_as_it_was_and_the_log_is_empty() {
    let (scene, before) = scene();
    let outcome = scene.run("execute:2").exits(0);
    let shown = regex::Regex::new(r"note: the undo log of `users` will have about ([\d.]+) kB").unwrap();
    let shown: f64 = shown.captures(&outcome.stderr).unwrap()[1].parse().unwrap();
    let size = |entry: &Document| cargo_migrations::mongodb::bson::RawDocumentBuf::try_from(entry).unwrap().as_bytes().len();
    let share = shown * 1000.0 / entries(&scene).iter().map(size).sum::<usize>() as f64;
    assert!((0.7..1.4).contains(&share), "{shown} kB, {share}");
    let after = scene.database.documents("users");
    assert_eq!(after.iter().filter(|user| user.contains_key("slug")).count(), before.len() * 3 / 5);
    assert_eq!(entries(&scene).len(), before.len());
    let kept = block_on(async {
        let mut indexes = scene.database.collection(LOG).list_indexes().await.unwrap();
        let mut kept = None;
        while indexes.advance().await.unwrap() {
            let index = indexes.deserialize_current().unwrap();
            kept = index.options.and_then(|options| options.expire_after).or(kept);
        }
        kept.unwrap()
    });
    assert_eq!(kept.as_secs(), 30 * 24 * 3600);
    // `doctor` shows what is left.
    let doctor = scene.run("doctor --format json").json();
    let findings = doctor["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["check"] == "undo logs").unwrap();
    assert_eq!(finding["state"], "note");
    assert_has(finding["text"].as_str().unwrap(), &["0002_slugs (", " documents, ", "kB)"]);
    assert_has(finding["remedy"].as_str().unwrap(), &["backfill:drop_undo=0002_slugs`"]);

    let outcome = scene.run("rollback:2").exits(0);
    assert_has(&outcome.stderr, &[&format!("note: {} restored, 0 conflicts, 0 gone", before.len())]);
    assert_eq!(sorted(&scene.database.documents("users")), sorted(&before));
    assert_eq!(entries(&scene), Vec::<Document>::new());
    let doctor = scene.run("doctor --format json").json();
    assert!(doctor["findings"].as_array().unwrap().iter().all(|finding| finding["check"] != "undo logs"));
    // And once more, from the beginning.
    scene.run("execute:2").exits(0);
    scene.run("rollback:2").exits(0);
    assert_eq!(sorted(&scene.database.documents("users")), sorted(&before));
}

#[test]
fn what_was_written_in_transactions_is_put_back_too() {
    let (scene, before) = scene();
    scene.line(["execute:2"]).env("ONCE", "1").run().exits(0);
    assert_eq!(entries(&scene).len(), before.len());
    let outcome = scene.run("rollback:2").exits(0);
    assert_has(&outcome.stderr, &[&format!("note: {} restored, 0 conflicts, 0 gone", before.len())]);
    assert_eq!(sorted(&scene.database.documents("users")), sorted(&before));
}

#[test]
fn what_is_written_while_it_is_put_back_is_not_lost() {
    let (scene, before) = scene();
    scene.run("execute:2").exits(0);
    let of_kind = before.iter().filter(|user| user.get_str("kind").unwrap() == "set");
    let ids: Vec<Bson> = of_kind.map(|user| user.get("_id").unwrap().clone()).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let (name, stopped) = (scene.database.name().to_owned(), Arc::clone(&stop));
    let writer = std::thread::spawn(move || {
        block_on(async {
            let uri = faulty_server().uri();
            let client = cargo_migrations::mongodb::Client::with_uri_str(uri).await.unwrap();
            let users = client.database(&name).collection::<Document>("users");
            let mut written = Vec::new();
            // The last ones first, so that some are written before they are put back, and some after.
            for id in ids.into_iter().rev() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                users.update_one(doc! { "_id": { "$eq": &id } }, doc! { "$set": { "slug": "theirs" } }).await.unwrap();
                written.push(id);
            }
            written
        })
    });
    scene.run("rollback:2").exits(0);
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    assert!(!written.is_empty());
    let now = scene.database.documents("users");
    for id in written {
        let user = now.iter().find(|user| format!("{:?}", user.get("_id").unwrap()) == format!("{id:?}")).unwrap();
        assert_eq!(user.get_str("slug").unwrap(), "theirs", "{user}");
    }
}

#[test]
fn it_is_dropped_on_request() {
    let (scene, _) = scene();
    let outcome = scene.run("backfill:drop_undo=2").exits(2);
    assert_has(
        &outcome.stderr,
        &["there is no undo log of a migration `2` on ", "hint: check that this is the right database"],
    );
    scene.run("execute:2").exits(0);
    let outcome = scene.run("backfill:drop_undo=1").exits(2);
    assert_has(&outcome.stderr, &["there is no undo log of a migration `1`", "hint: there are those of `0002_slugs`"]);
    let outcome = scene.run("backfill:pause,drop_undo=2").exits(2);
    assert_has(&outcome.stderr, &["`drop_undo=` of backfill cannot be combined with other values"]);
    // Its migration may still write to it.
    scene.database.insert(
        "migrations_backfill",
        [doc! { "_id": "migrations/0002_slugs/up/users", "registry": "migrations", "migration": "0002_slugs" }],
    );
    assert_has(
        &scene.run("backfill:drop_undo=2").exits(2).stderr,
        &["the migration is under way", "hint: wait until it is registered"],
    );
    block_on(async { scene.database.collection("migrations_backfill").delete_many(doc! {}).await }).unwrap();
    let event = scene.run("backfill:drop_undo=2 --format json").exits(0).json();
    assert_eq!(
        (&event["event"], &event["migration"], &event["collection"]),
        (&"undo_dropped".into(), &"0002_slugs".into(), &LOG.into())
    );
    assert!(!scene.database.collections().contains(&LOG.to_owned()));
}

#[test]
fn what_was_changed_since_stays_and_is_listed() {
    let (scene, before) = scene();
    scene.run("execute:2").exits(0);
    let users = scene.database.collection("users");
    let of_kind = |kind: &str| -> Vec<Bson> {
        let of_kind = before.iter().filter(|user| user.get_str("kind").unwrap() == kind);
        of_kind.map(|user| user.get("_id").unwrap().clone()).filter(|id| matches!(id, Bson::Int32(_))).collect()
    };
    let (set, replaced, deleted) = (of_kind("set"), of_kind("replaced"), of_kind("deleted"));
    let changed = |ids: &[Bson], update: Document| {
        let update = async { users.update_many(doc! { "_id": { "$in": ids } }, update).await };
        assert_eq!(block_on(update).unwrap().modified_count, ids.len() as u64);
    };
    // A field that was set, one that was removed, one in a subdocument, and one of a document that was replaced.
    changed(&set[..20], doc! { "$set": { "slug": "theirs" } });
    changed(&set[20..22], doc! { "$set": { "old": "theirs" } });
    changed(&set[22..24], doc! { "$set": { "address.city": "theirs" } });
    changed(&replaced[..1], doc! { "$set": { "theirs": true } });
    // Fields that the migration has not touched.
    changed(&set[30..40], doc! { "$set": { "address.zip": 7, "theirs": true } });
    block_on(async { users.delete_many(doc! { "_id": { "$in": &set[50..53] } }).await }).unwrap();
    scene.database.insert("users", [doc! { "_id": deleted[0].clone(), "theirs": true }]);

    let outcome = scene.run("rollback:2").exits(0);
    let restored = before.len() - 26 - 3;
    assert_has(
        &outcome.stderr,
        &[
            &format!("note: {restored} restored, 26 conflicts, 3 gone"),
            "note: 26 documents of `users` were not put back, and stay as they are:\n  ",
            ": it was changed since\n  and 6 more",
            "note: 3 documents of `users` were deleted since the backfill, and stay deleted",
        ],
    );
    let now = scene.database.documents("users");
    let of = |id: &Bson| now.iter().find(|user| user.get("_id") == Some(id)).unwrap();
    assert!(
        set[..20].iter().all(|id| of(id).get_str("slug").unwrap() == "theirs" && of(id).get_str("kind").unwrap() == "done")
    );
    assert!(set[22..24].iter().all(|id| !of(id).contains_key("old")));
    let kept =
        |id: &Bson| of(id).get_document("address").unwrap() == &doc! { "city": "A", "zip": 7 } && of(id).contains_key("old");
    assert!(set[30..40].iter().all(kept));
    assert_eq!(of(&deleted[0]), &doc! { "_id": deleted[0].clone(), "theirs": true });
    assert!(of(&replaced[0]).contains_key("theirs") && of(&replaced[0]).contains_key("new"));
    // They stay in the log, so that a person can look at the old values.
    let conflicts = entries(&scene);
    assert_eq!(conflicts.len(), 26);
    assert!(conflicts.iter().all(|entry| entry.get_str("conflict").unwrap() == "it was changed since"));
    let history = scene.run("history:2").exits(0).stderr;
    assert_has(&history, &["26 documents of `users` were not put back"]);
}

#[test]
fn killed_at_any_point_of_down_it_goes_on() {
    let (scene, before) = scene();
    scene.run("execute:2").exits(0);
    let points = scene.trace("rollback:2");
    let undo: Vec<usize> = (0..points.len()).filter(|index| points[*index].starts_with("undo ")).collect();
    assert!(undo.len() >= 3, "{points:?}");
    for point in undo {
        scene.run("execute:2").exits(0);
        let killed = scene.line(["rollback:2"]).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{point}")).run();
        assert_eq!(killed.code, -1, "{killed:?}");
        wait_for_lease_to_expire(&scene);
        let outcome = scene.run("rollback:2").exits(0);
        assert_has(&outcome.stderr, &[" 0 conflicts, 0 gone"]);
        assert_eq!(sorted(&scene.database.documents("users")), sorted(&before), "{}", points[point]);
        assert_eq!(entries(&scene), Vec::<Document>::new());
    }
}

#[test]
fn killed_in_up_the_log_has_the_old_values() {
    let (scene, before) = scene();
    let points = scene.trace("execute:2");
    scene.run("rollback:2").exits(0);
    let written: Vec<usize> = (0..points.len()).filter(|index| points[*index] == "batch written").collect();
    for point in written {
        let killed = scene.line(["execute:2"]).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{point}")).run();
        assert_eq!(killed.code, -1, "{killed:?}");
        wait_for_lease_to_expire(&scene);
        scene.run("execute:2").exits(0);
        scene.run("rollback:2").exits(0);
        assert_eq!(sorted(&scene.database.documents("users")), sorted(&before));
    }
}

#[test]
fn without_the_log_nothing_is_put_back_and_it_says_so() {
    let (scene, _) = scene();
    scene.run("execute:2").exits(0);
    let after = sorted(&scene.database.documents("users"));
    let log = scene.database.collection(LOG);
    // It began 31 days ago.
    let long_ago = DateTime::from_millis(DateTime::now().timestamp_millis() - 31 * 24 * 3_600_000);
    let old = doc! { "$set": { "started_at": long_ago } };
    block_on(async { log.update_one(doc! { "_id": "users/users" }, old).await }).unwrap();
    let outcome = scene.run("rollback:2").exits(1);
    assert_has(&outcome.stderr, &["the undo log of `users` of 0002_slugs was kept for 30 days, until 20", "or from a dump"]);
    block_on(async { log.drop().await }).unwrap();
    let outcome = scene.run("rollback:2").exits(1);
    assert_has(
        &outcome.stderr,
        &["there is no undo log of `users` of 0002_slugs: its backfills have not written one, or it was dropped"],
    );
    assert_eq!(sorted(&scene.database.documents("users")), after);
    assert_eq!(scene.database.registered(), ["0002_slugs.rs"]);
}

/// The text of the error, with its causes.
fn text(error: &cargo_migrations::Error) -> String {
    let sources = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn what_cannot_be_undone_is_refused() {
    let database = TestDatabase::new();
    database.insert("users", (0..10).map(|n| doc! { "_id": n, "n": n, "tags": ["a", "b"] }));
    let before = database.documents("users");
    let error = run(&database, async |db: &Db| {
        db.backfill("users").undo_log().pipeline([doc! { "$set": { "n": 1 } }]).await?;
        Ok(())
    });
    let has = ["the backfill of `users` cannot have an undo log: the server computes the writes of a pipeline"];
    assert_has(&text(&error.unwrap_err()), &has);
    for write in [|| Write::update(doc! { "$max": { "n": 100 } }), || Write::pipeline([doc! { "$set": { "n": 1 } }])] {
        let error = run(&database, async move |db: &Db| {
            db.backfill("users").undo_log().each(move |_: Document| Result::<_>::Ok(write())).await?;
            Ok(())
        });
        assert_has(&text(&error.unwrap_err()), &["the document with `_id` 0 of `users`: its write cannot be undone: it "]);
    }
    assert_eq!(database.documents("users"), before);
}

#[test]
fn what_changes_nothing_is_neither_sent_nor_logged() {
    let database = TestDatabase::new();
    database.insert("users", (0..10).map(|n| doc! { "_id": n, "n": n, "tags": ["a", "b"] }));
    run(&database, async |db: &Db| {
        let write =
            |user: Document| Result::<_>::Ok(Write::set("n", user.get_i32("n")? / 5 * 5).and(Write::set("tags.1", "c")));
        let done =
            db.backfill("users").reads(["n"]).filter(doc! { "_id": { "$lt": 8 } }).undo_log_for(1).each(write).await?;
        assert_eq!((done.read, done.modified), (16, 8));
        Ok(())
    })
    .unwrap();
    let log = database.documents("migrations_undo_0001_backfill");
    let of = |id: i32| log.iter().find(|entry| entry.get_document("_id").is_ok_and(|own| own.get_i32("id").unwrap() == id));
    // The path of an element leads to the complete array.
    let (was, now) = (doc! { "tags": ["a", "b"] }, doc! { "tags": ["a", "c"] });
    let first = of(0).unwrap();
    assert_eq!((first.get_document("was").unwrap(), first.get_document("now").unwrap()), (&was, &now));
    assert_eq!(of(3).unwrap().get_document("was").unwrap(), &doc! { "n": 3, "tags": ["a", "b"] });
    assert!(of(9).is_none());
}

#[test]
fn failures_are_listed_at_the_end_and_in_the_history() {
    let scene = Scene::new(undoing(), &faulty_server().uri());
    scene.database.insert(
        "notes",
        (0..60).map(|n| {
            if n < 30 {
                doc! { "_id": n }
            } else {
                doc! { "_id": n, "title": "A" }
            }
        }),
    );
    let listed = "30 documents of `notes` failed, and stayed as before:\n  0: ";
    let outcome = scene.run("execute:1").exits(0);
    assert_has(&outcome.stderr, &[&format!("warning: {listed}"), "\n  and 10 more\n"]);
    assert_has(&scene.run("history:1").exits(0).stderr, &[&format!("note: {listed}"), "\n  and 10 more\n"]);
    let events = scene.run("history:1 --format json").exits(0).json();
    let end = events["events"].as_array().unwrap().iter().find(|event| event["event"] == "migration_ended").unwrap().clone();
    let backfill = &end["backfills"][0];
    assert_eq!((&backfill["failed"], &backfill["modified"]), (&30.into(), &30.into()));
    assert_eq!(backfill["failures"].as_array().unwrap().len(), 30);
    assert_eq!(backfill["failures"][29]["id"]["id"], 29);
    // They survive a kill: the range is done, and its failures are stored with it.
    let scene = Scene::new(undoing(), &faulty_server().uri());
    scene.database.insert("notes", (0..60).map(|n| doc! { "_id": n }));
    let points = scene.trace("execute:1");
    let marked = points.iter().position(|point| point == "range marked").unwrap();
    let scene = Scene::new(undoing(), &faulty_server().uri());
    scene.database.insert("notes", (0..60).map(|n| doc! { "_id": n }));
    scene.line(["execute:1"]).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{marked}")).run();
    wait_for_lease_to_expire(&scene);
    assert_has(&scene.run("execute:1").exits(0).stderr, &["60 documents of `notes` failed, and stayed as before:\n  0: "]);
}
