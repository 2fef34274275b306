//! `verify`: nothing may be left to write at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cargo_migrations::mongodb::bson::{Document, doc};
use cargo_migrations::prelude::*;

use super::backfill::run;
use super::support::{TestDatabase, assert_has};

/// The text of the error, with its causes.
fn text(error: &cargo_migrations::Error) -> String {
    let sources = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn users(count: i32) -> TestDatabase {
    let database = TestDatabase::new();
    database.insert("users", (0..count).map(|n| doc! { "_id": n, "email": format!("USER{n}@X"), "n": 0, "tags": ["a"] }));
    database
}

fn email(user: &Document) -> Result<Write> {
    Ok(Write::set("email", user.get_str("email")?.to_lowercase()).and(Write::set("address.country", "x")))
}

#[test]
fn what_is_right_passes() {
    for filter in [doc! {}, doc! { "email": { "$type": "string" } }] {
        let database = users(1500);
        let strings = filter.clone();
        run(&database, async move |db: &Db| {
            // The closure gets what it reads, also where complete documents are compared.
            let done = db.backfill("users").filter(strings.clone()).reads(["email"]).verify().each(|user: Document| {
                assert!(!user.contains_key("n") && !user.contains_key("address"), "{user}");
                email(&user)
            });
            assert_eq!(done.await?.modified, 1500);
            let by_batch = async |_: &Db, users: Vec<Document>| -> Result<Vec<Write>> { users.iter().map(email).collect() };
            db.backfill("users").label("batches").verify().each_batch(by_batch).await?;
            let stages = [doc! { "$set": { "length": { "$strLenCP": "$email" }, "tags.x": { "$literal": 1 } } }];
            db.backfill("users").label("pipeline").filter(strings.clone()).verify().pipeline(stages).await?;
            let other = db.backfill("users").label("others").filter(doc! { "_id": { "$lt": 100 } }).verify();
            other
                .each(|user: Document| {
                    Result::<_>::Ok(if user.get_i32("_id")? < 50 {
                        Write::delete()
                    } else {
                        Write::replace(&doc! { "new": true })
                    })
                })
                .await?;
            Ok(())
        })
        .unwrap();
        assert_eq!(database.documents("users").len(), 1450);
    }
}

#[test]
fn a_closure_that_does_something_else_each_time_is_found() {
    for once in [false, true] {
        does_something_else(once);
    }
}

fn does_something_else(once: bool) {
    let database = users(30);
    let calls = Arc::new(AtomicU64::new(0));
    let error = run(&database, async move |db: &Db| {
        let calls = Arc::clone(&calls);
        let number = move |_: Document| -> Result<Write> {
            Ok(Write::set("number", i64::try_from(calls.fetch_add(1, Ordering::Relaxed))?))
        };
        let users = db.backfill("users").verify();
        if once { users.exactly_once() } else { users }.each(number).await?;
        Ok(())
    })
    .unwrap_err();
    let has =
        ["the verification of `users` failed: 30 documents have something left to write: `_id` 0, 1, 2, 3, 4 and 25 more"];
    assert_has(&text(&error), &has);
    assert_eq!(error.exit_code(), 1);
    assert!(database.registered().is_empty());
    // The next run does all of it again, or nothing, if it may not.
    assert_eq!(database.documents("migrations_backfill").is_empty(), !once);
    assert_has(
        &text(&error),
        &[if once { "what was written stays as it is" } else { "the next run begins this backfill again" }],
    );
}

#[test]
fn a_pipeline_that_does_more_each_time_is_found() {
    let database = users(30);
    let error = run(&database, async move |db: &Db| {
        let more = doc! { "$set": { "n": { "$cond": [{ "$lt": ["$_id", 2] }, { "$add": ["$n", 1] }, "$n"] } } };
        db.backfill("users").verify().pipeline([more]).await?;
        Ok(())
    })
    .unwrap_err();
    assert_has(&text(&error), &["2 documents have something left to write: `_id` 0, 1 ("]);
}

/// Runs a backfill of two batches, and calls `then` with the number of the pass while its second batch is computed, which is after the
/// first one was written.
fn in_second_batch(
    database: &TestDatabase,
    then: impl AsyncFn(&Db, u64) -> Result<()> + Copy + Send + Sync + 'static,
) -> Result<(), cargo_migrations::Error> {
    let passes = Arc::new(AtomicU64::new(0));
    run(database, async move |db: &Db| {
        let strings = doc! { "email": { "$type": "string" } };
        db.backfill("users")
            .filter(strings)
            .in_flight(1)
            .verify()
            .each_batch(async |db: &Db, users: Vec<Document>| -> Result<Vec<Write>> {
                // A sample has a hundred.
                if users.len() > 100 && users.iter().any(|user| user.get_i32("_id").unwrap() == 1499) {
                    then(db, passes.fetch_add(1, Ordering::Relaxed) + 1).await?;
                }
                users.iter().map(email).collect()
            })
            .await?;
        Ok(())
    })
}

#[test]
fn what_the_application_has_broken_since_is_found() {
    let database = users(1500);
    let error = in_second_batch(&database, async |db, pass| {
        // The first pass writes, and the second one finds that all is done.
        if pass == 2 {
            let broken = doc! { "$set": { "email": "BROKEN" } };
            db.collection::<Document>("users").update_one(doc! { "_id": 7 }, broken).await?;
        }
        Ok(())
    })
    .unwrap_err();
    assert_has(&text(&error), &["the verification of `users` failed: 1 document has something left to write: `_id` 7 ("]);
}

#[test]
fn what_changes_while_it_is_verified_is_looked_at_again() {
    let database = users(1500);
    in_second_batch(&database, async |db, pass| {
        // While the documents that were read for it are computed.
        if pass == 3 {
            let users = db.collection::<Document>("users");
            users.delete_one(doc! { "_id": 1400 }).await?;
            users.update_one(doc! { "_id": 1401 }, doc! { "$set": { "email": 7 } }).await?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(database.documents("users").len(), 1499);
}

#[test]
fn what_cannot_be_verified_is_refused_before_anything_is_written() {
    type Case = (fn() -> Write, &'static str);
    let writes: [Case; 4] = [
        (|| Write::update(doc! { "$max": { "n": 1 } }), "it has `$max`"),
        (|| Write::set("n", 1).and(Write::insert("log", &doc! { "_id": 1 })), "it writes to `log` too"),
        (|| Write::pipeline([doc! { "$set": { "n": 1 } }]), "it is a pipeline"),
        (|| Write::set("tags.$[]", "b"), "its path `tags.$[]` has a part that the server resolves"),
    ];
    for (write, why) in writes {
        let database = users(30);
        let before = database.documents("users");
        let error = run(&database, async move |db: &Db| {
            db.backfill("users").tolerate(100).verify().each(move |_: Document| Result::<_>::Ok(write())).await?;
            Ok(())
        })
        .unwrap_err();
        assert_has(
            &text(&error),
            &["the write for the document with `_id` ", "cannot be verified: ", why, "leave out `.verify()`"],
        );
        assert_eq!(database.documents("users"), before);
    }
}

#[test]
fn what_failed_and_is_tolerated_is_not_left() {
    let database = users(30);
    run(&database, async move |db: &Db| {
        let write = |user: Document| if user.get_i32("_id")? == 3 { Err("not this one".into()) } else { email(&user) };
        let done = db.backfill("users").filter(doc! { "email": { "$gt": "" } }).tolerate(1).verify().each(write).await?;
        assert_eq!((done.failed, done.modified), (1, 29));
        Ok(())
    })
    .unwrap();
}
