//! Documents for which a backfill has no write: they stop it, or are tolerated, listed and stored.

use cargo_migrations::mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use cargo_migrations::prelude::*;
use serde::Deserialize;

use super::backfill::run;
use super::support::{TestDatabase, assert_has, block_on};

#[derive(Deserialize)]
struct User {
    name: String,
}

fn slug(user: &User) -> Result<Write> {
    if user.name.is_empty() {
        return Err("it has an empty name".into());
    }
    Ok(Write::set("slug", user.name.to_lowercase()))
}

/// A hundred users, of which these fail: one does not decode, the closure fails for one, the validator refuses one, and a unique
/// index refuses what is written to another collection for one.
fn users(database: &TestDatabase) -> ObjectId {
    let odd = ObjectId::from_bytes([7; 12]);
    database.insert("users", (0..96).map(|n| doc! { "_id": n, "name": format!("User {n}") }));
    database.insert(
        "users",
        [
            doc! { "_id": odd, "name": 5 },
            doc! { "_id": "empty", "name": "" },
            doc! { "_id": Bson::Null, "name": "Refused" },
            doc! { "_id": { "a": 1 }, "name": "Taken" },
        ],
    );
    database.insert("slugs", [doc! { "_id": "theirs", "slug": "taken" }]);
    block_on(async {
        let slugs = database.collection("slugs");
        let keys = cargo_migrations::mongodb::IndexModel::builder().keys(doc! { "slug": 1 });
        let unique = cargo_migrations::mongodb::options::IndexOptions::builder().unique(true).build();
        slugs.create_index(keys.options(unique).build()).await.unwrap();
        let validator = doc! { "slug": { "$ne": "refused" } };
        let database = slugs.client().database(database.name());
        database.run_command(doc! { "collMod": "users", "validator": validator }).await.unwrap();
    });
    odd
}

/// Checks what the log has of the failures.
fn logged(database: &TestDatabase, count: i64) -> Vec<Document> {
    let log = database.documents("migrations_log");
    let end = log.iter().find(|event| event.contains_key("backfills")).unwrap();
    let backfill = end.get_array("backfills").unwrap()[0].as_document().unwrap();
    assert_eq!(backfill.get_i64("failed").unwrap(), count, "{backfill}");
    let failures = backfill.get_array("failures").unwrap();
    failures.iter().map(|failure| failure.as_document().unwrap().clone()).collect()
}

#[test]
fn what_fails_is_tolerated_and_logged_with_its_id_and_why() {
    let filtered = doc! { "slug": { "$exists": false } };
    let all = [
        (false, false, doc! {}),
        (true, false, doc! {}),
        (false, false, filtered),
        (true, true, doc! {}),
        (false, true, doc! {}),
    ];
    for (in_batches, once, filter) in all {
        let database = TestDatabase::new();
        let odd = users(&database);
        run(&database, async move |db: &Db| {
            let mut backfill = db.backfill("users").filter(filter.clone()).reads(["name"]).tolerate(4);
            if once {
                backfill = backfill.exactly_once();
            }
            let write = |user: &User| {
                slug(user).map(|write| match user.name.as_str() {
                    "Taken" => write.and(Write::insert("slugs", &doc! { "_id": "ours", "slug": "taken" })),
                    _ => write,
                })
            };
            let done = if in_batches {
                // An error of the closure itself would be one of all documents.
                let writes = async |_: &Db, users: Vec<User>| -> Result<Vec<Write>> {
                    users
                        .iter()
                        .map(|user| if user.name.is_empty() { Ok(Write::set("_id", 1)) } else { write(user) })
                        .collect()
                };
                backfill.each_batch(writes).await?
            } else {
                backfill.each(move |user: User| write(&user)).await?
            };
            assert_eq!((done.modified, done.failed), (96, 4));
            Ok(())
        })
        .unwrap();
        let users = database.documents("users");
        assert_eq!(users.iter().filter(|user| user.contains_key("slug")).count(), 96);
        let failures = logged(&database, 4);
        let why = |id: Bson| {
            let failure = failures.iter().find(|failure| failure.get_document("id").unwrap().get("id") == Some(&id));
            failure.unwrap_or_else(|| panic!("{id} in {failures:?}")).get_str("why").unwrap().to_owned()
        };
        assert_has(&why(odd.into()), &["it does not decode: ", "expected a string"]);
        assert_has(&why("empty".into()), &[if in_batches { "an `_id` cannot be changed" } else { "it has an empty name" }]);
        assert_has(&why(Bson::Null), &["the server refused the write: Document failed validation (code 121)"]);
        assert_has(
            &why(doc! { "a": 1 }.into()),
            &["the server refused the write: in `slugs`: ", "duplicate key", "(code 11000)"],
        );
        // A document of which a part is refused stays as it is.
        assert!(
            users.iter().all(|user| !user.get_str("name").is_ok_and(|name| name == "Taken") || !user.contains_key("slug"))
        );
    }
}

#[test]
fn the_first_one_too_many_ends_it_with_its_id_and_why() {
    let failing = |tolerated: u64| {
        let database = TestDatabase::new();
        users(&database);
        let backfill = async move |db: &Db| {
            db.backfill("users").tolerate(tolerated).each(|user: User| slug(&user)).await?;
            Ok(())
        };
        let error = run(&database, backfill).unwrap_err();
        assert!(database.registered().is_empty());
        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default() + &error.to_string()
    };
    assert_has(&failing(0), &["the document with `_id` ", " of `users`: it", "(`.tolerate(n)` goes on until"]);
    assert_has(
        &failing(2),
        &["3 documents failed, more than the 2 that are tolerated; the last one was the document with `_id` "],
    );
}

#[test]
fn in_transactions_the_first_one_too_many_is_met_again_by_the_next_run() {
    let database = TestDatabase::new();
    let odd = users(&database);
    let backfill = async |db: &Db| {
        db.backfill("users").tolerate(1).exactly_once().each(|user: User| slug(&user)).await?;
        Ok(())
    };
    run(&database, backfill).unwrap_err();
    // Two of the three are corrected.
    block_on(async {
        let users = database.collection("users");
        users.update_one(doc! { "_id": odd }, doc! { "$set": { "name": "Odd" } }).await.unwrap();
        users.update_one(doc! { "_id": "empty" }, doc! { "$set": { "name": "Empty" } }).await.unwrap();
    });
    run(&database, backfill).unwrap();
    assert_eq!(logged(&database, 1).len(), 1);
    assert_eq!(database.documents("users").iter().filter(|user| user.contains_key("slug")).count(), 99);
}

#[test]
fn the_error_of_a_batch_closure_is_not_that_of_a_document() {
    let database = TestDatabase::new();
    users(&database);
    let error = run(&database, async move |db: &Db| {
        let fails = async |_: &Db, _: Vec<User>| -> Result<Vec<Write>> { Err("no look-up".into()) };
        db.backfill("users").tolerate(1000).each_batch(fails).await?;
        Ok(())
    })
    .unwrap_err();
    assert_has(&format!("{error:?}"), &["no look-up"]);
    assert!(database.documents("users").iter().all(|user| !user.contains_key("slug")));
}

#[test]
fn documents_that_the_server_cannot_compute_are_found_one_by_one() {
    for once in [false, true] {
        cannot_be_computed(once);
    }
}

fn cannot_be_computed(once: bool) {
    let database = TestDatabase::new();
    users(&database);
    run(&database, async move |db: &Db| {
        let stages =
            [doc! { "$set": { "slug": { "$toLower": "$name" }, "half": { "$divide": [1, { "$strLenCP": "$name" }] } } }];
        // A number has no length, nothing is divided by 0, and the validator refuses one.
        let backfill = db.backfill("users").tolerate(3);
        let done = if once { backfill.exactly_once() } else { backfill }.pipeline(stages).await?;
        assert_eq!(done.failed, 3);
        Ok(())
    })
    .unwrap();
    assert_eq!(database.documents("users").iter().filter(|user| user.contains_key("slug")).count(), 97);
    assert_has(logged(&database, 3)[0].get_str("why").unwrap(), &["the server refused the pipeline: "]);
}
