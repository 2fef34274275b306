//! Measures backfills next to the loop that people write, and next to one update on the server.
//!
//! `cargo bench --bench backfill`; BENCH_ROUNDS=1 for fewer rounds, BENCH_DOCUMENTS=200000 for fewer documents. BENCH_PYTHON is a Python
//! that has the packages pymongo and mongomig (of a virtual environment, for example); without it those rows are left out.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod common;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::bson::{Document, doc};
use cargo_migrations::mongodb::options::{Acknowledgment, WriteConcern};
use cargo_migrations::mongodb::{Client, Database};
use cargo_migrations::prelude::*;
use cargo_migrations::{Embedded, Migration, Result};
use common::{Process, Ran, milliseconds, number, ratio};
use serde::Deserialize;

/// The variable with the role of this binary in the processes under test.
const ROLE: &str = "CARGO_MIGRATIONS_BENCH_ROLE";

struct Migrations;

impl MigrationsManager for Migrations {}

#[derive(Deserialize)]
struct User {
    name: String,
}

fn slug(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// Documents without a slug.
fn todo() -> Document {
    doc! { "slug": { "$exists": false } }
}

/// What the server computes.
fn stages() -> [Document; 1] {
    [doc! { "$set": { "slug": { "$replaceAll": { "input": { "$toLower": "$name" }, "find": " ", "replacement": "-" } } } }]
}

/// The naive loop is so slow that it gets this part of the documents.
const NAIVE_PART: u64 = 100;

fn main() -> ExitCode {
    let role = std::env::var(ROLE);
    let migration = |up: Migration| cargo_migrations::run(Migrations, Embedded::from_migrations([up.with_checksum("0")]));
    match role.as_deref() {
        Ok("naive") => return migration(Migration::new("1_naive.rs", naive)),
        Ok("server") => return migration(Migration::new("1_server.rs", server)),
        Ok("reads") => return migration(Migration::new("1_reads.rs", async |db: &Db| guarded(db, true).await)),
        Ok("root") => return migration(Migration::new("1_root.rs", async |db: &Db| guarded(db, false).await)),
        Ok("once") => return migration(Migration::new("1_once.rs", once)),
        Ok("joined") => {
            let joined = Migration::new("1_joined.rs", async |db: &Db| guarded(db, true).await);
            return migration(joined.with_rerun(Rerun::Safe));
        }
        Ok("pipeline") => return migration(Migration::new("1_pipeline.rs", pipeline)),
        _ => {}
    }
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    common::main(bench())
}

/// Finds, and updates one by one: the loop that people write.
async fn naive(db: &Db) -> Result<()> {
    let users = db.collection::<Document>("users");
    let limit = i64::try_from(number("BENCH_DOCUMENTS", 1_000_000) / NAIVE_PART)?;
    let mut cursor = users.find(todo()).limit(limit).await?;
    while cursor.advance().await? {
        let user = cursor.deserialize_current()?;
        let set = doc! { "$set": { "slug": slug(user.get_str("name")?) } };
        users.update_one(doc! { "_id": user.get("_id").cloned() }, set).await?;
    }
    Ok(())
}

/// One update.
async fn server(db: &Db) -> Result<()> {
    db.collection::<Document>("users").update_many(todo(), stages().to_vec()).await?;
    Ok(())
}

async fn guarded(db: &Db, reads: bool) -> Result<()> {
    let backfill = db.backfill("users").filter(todo());
    let backfill = if reads { backfill.reads(["name"]) } else { backfill };
    backfill.each(|user: User| -> Result<Write> { Ok(Write::set("slug", slug(&user.name))) }).await?;
    Ok(())
}

async fn once(db: &Db) -> Result<()> {
    let backfill = db.backfill("users").filter(todo()).reads(["name"]).exactly_once();
    backfill.each(|user: User| -> Result<Write> { Ok(Write::set("slug", slug(&user.name))) }).await?;
    Ok(())
}

async fn pipeline(db: &Db) -> Result<()> {
    db.backfill("users").filter(todo()).pipeline(stages()).await?;
    Ok(())
}

/// Fills the collection with documents of about 200 bytes.
async fn fill(database: &Database, count: u64) -> Result<()> {
    let users = database.collection::<Document>("users");
    let options = WriteConcern::builder().w(Acknowledgment::Nodes(1)).journal(false).build();
    let text = "x".repeat(100);
    for first in (0..count).step_by(20_000) {
        let part = (first..count.min(first + 20_000))
            .map(|n| doc! { "name": format!("User Number {n}"), "email": format!("user{n}@example.org"), "text": &text, "n": n as i64 });
        users.insert_many(part).write_concern(options.clone()).await?;
    }
    Ok(())
}

/// Four processes: one that runs the migration, and three that join as soon as it has begun. The result is that of the first.
fn joined(ours: impl Fn(&'static str) -> Result<Ran> + Sync) -> Result<Ran> {
    let ended = AtomicBool::new(false);
    // It fails until there is a backfill to join.
    let join = || (0..200).any(|_| ours("backfill:join").is_ok() || ended.load(Ordering::Relaxed));
    std::thread::scope(|scope| {
        let joined: Vec<_> = (0..3).map(|_| scope.spawn(join)).collect();
        let first = ours("execute");
        ended.store(true, Ordering::Relaxed);
        for joined in joined {
            assert!(joined.join().expect("no panic"), "it was never joined");
        }
        first
    })
}

async fn bench() -> Result<()> {
    let (rounds, documents) = (number("BENCH_ROUNDS", 3), number("BENCH_DOCUMENTS", 1_000_000));
    let server = Throwaway::replica_set().await?;
    let database = Client::with_uri_str(server.uri()).await?.database("bench");
    let roles = [
        ("server", "one `updateMany` on the server (reference)"),
        ("reads", "`each`, with `reads`"),
        ("root", "`each`, the complete document"),
        ("once", "`each`, with `exactly_once`"),
        ("pipeline", "`pipeline`"),
        ("joined", "`each`, with `reads`, by 4 processes"),
        ("naive", "`find` and `update_one`"),
        ("pymongo", "pymongo, `bulk_write` in one thread"),
        ("mongomig", "mongomig, batches"),
        ("mongomig-transactional", "mongomig, transactional batches"),
    ];
    let python = std::env::var("BENCH_PYTHON").ok();
    let roles = &roles[..if python.is_some() { roles.len() } else { roles.len() - 3 }];
    let mut ran: Vec<Vec<Ran>> = vec![Vec::new(); roles.len()];
    for _ in 0..rounds {
        for ((role, _), ran) in roles.iter().zip(&mut ran) {
            database.drop().await?;
            fill(&database, documents).await?;
            let run = |process: Process| process.env("MONGO_URI", server.uri()).env("MONGO_DATABASE", "bench").run();
            let ours = |task: &'static str| run(Process::me().env(ROLE, role).arguments(&[task, "--quiet"]));
            let mut used = match (*role, &python) {
                ("joined", _) => joined(ours)?,
                ("pymongo" | "mongomig" | "mongomig-transactional", Some(python)) => {
                    run(Process::new(python).arguments(&[concat!(env!("CARGO_MANIFEST_DIR"), "/benches/backfill.py"), role]))?
                }
                _ => ours("execute")?,
            };
            let part = if *role == "naive" { NAIVE_PART } else { 1 };
            let with_slug = doc! { "slug": { "$exists": true } };
            let done = database.collection::<Document>("users").count_documents(with_slug).await?;
            assert_eq!(done, documents / part, "{role}");
            (used.wall, used.cpu) = (used.wall * u32::try_from(part)?, used.cpu * u32::try_from(part)?);
            ran.push(used);
        }
    }
    println!("{documents} documents of about 200 bytes, medians of {rounds}");
    println!("{:<46} {:>9} {:>12} {:>7} {:>9} {:>9}", "", "median", "documents/s", "ratio", "cpu", "memory");
    let reference = common::summary(&ran[0]).wall;
    for ((_, name), ran) in roles.iter().zip(&ran) {
        let ran = common::summary(ran);
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = documents as f64 / ran.wall.as_secs_f64();
        println!(
            "{name:<46} {:>9} {rate:>12.0} {:>7} {:>9} {:>5} MiB",
            milliseconds(ran.wall),
            ratio(ran.wall, reference),
            milliseconds(ran.cpu),
            ran.memory / 1024
        );
    }
    Ok(())
}
