//! Measures status and execution with many migrations, as complete processes, and compares them with bare programs that do the
//! same through the driver.
//!
//! `cargo bench --bench execute`; BENCH_ROUNDS=3 for fewer rounds. `-- far` measures only the part with a server that is far away.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod common;

use std::process::ExitCode;
use std::time::Duration;

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::bson::{Bson, DateTime, Document, doc};
use cargo_migrations::mongodb::options::{Acknowledgment, TransactionOptions, WriteConcern};
use cargo_migrations::mongodb::{Client, Database};
use cargo_migrations::prelude::*;
use cargo_migrations::{Embedded, Migration, Result};
use common::{Process, median, milliseconds, number, ratio};

/// The variable with the role of this binary in the processes under test.
const ROLE: &str = "CARGO_MIGRATIONS_BENCH_ROLE";

/// The variable with the number of migrations.
const COUNT: &str = "CARGO_MIGRATIONS_BENCH_COUNT";

/// How long it takes to a server that is far away, one way.
const FAR: Duration = Duration::from_millis(25);

struct Migrations;

impl MigrationsManager for Migrations {}

fn main() -> ExitCode {
    let count = number(COUNT, 0);
    match std::env::var(ROLE).as_deref() {
        Ok("manager") => return cargo_migrations::run(Migrations, migrations(count)),
        Ok("query") => return bare(async |database| query(&database).await),
        Ok("loop") => return bare(async |database| bare_loop(&database, count).await),
        Ok("undurable") => return bare(async |database| undurable_loop(&database, count).await),
        _ => {}
    }
    // `cargo test --benches` only checks that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    common::main(bench())
}

fn migrations(count: u64) -> Embedded {
    Embedded::from_migrations((1..=count).map(|number| {
        let migration = Migration::new(format!("{number:05}_nothing.rs"), async |_: &Db| Result::<()>::Ok(()));
        migration.with_description("Nothing.").with_checksum("0")
    }))
}

/// The body of a process that connects, does `work` and exits.
fn bare(work: impl AsyncFnOnce(Database) -> Result<()>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let done = runtime.block_on(async {
        let client = Client::with_uri_str(std::env::var("MONGO_URI")?).await?;
        work(client.database(&std::env::var("MONGO_DATABASE")?)).await
    });
    runtime.shutdown_background();
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Reads the registry once.
async fn query(database: &Database) -> Result<()> {
    let mut cursor = database.collection::<Document>("migrations").find(doc! {}).await?;
    let mut names = 0;
    while cursor.advance().await? {
        names += cursor.deserialize_current()?.get_str("name").map_or(0, str::len);
    }
    println!("{names}");
    Ok(())
}

fn durable() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// Does the durable writes of a run and nothing else: for each migration a transaction with two log events, the fence and the
/// registry's document.
async fn bare_loop(database: &Database, count: u64) -> Result<()> {
    let (log, fence, registry) = collections(database);
    fence.insert_one(doc! { "_id": "fence", "number": 1_i64 }).await?;
    let mut session = database.client().start_session().await?;
    for number in 1..=count {
        let name = format!("{number:05}_nothing.rs");
        session.start_transaction().with_options(TransactionOptions::builder().write_concern(durable()).build()).await?;
        log.insert_many([event(&name, "migration_ended"), event(&name, "migration_started")]).session(&mut session).await?;
        let update = doc! { "$inc": { "writes": 1_i64 } };
        fence.update_one(doc! { "_id": "fence", "number": 1_i64 }, update).session(&mut session).await?;
        registry.insert_one(entry(&name)).session(&mut session).await?;
        session.commit_transaction().await?;
    }
    Ok(())
}

/// Writes what tools without a log and a lock write: a document for each migration, with the connection string's write concern.
async fn undurable_loop(database: &Database, count: u64) -> Result<()> {
    let registry = database.collection::<Document>("migrations");
    for number in 1..=count {
        registry.insert_one(entry(&format!("{number:05}_nothing.rs"))).await?;
    }
    Ok(())
}

type Documents = cargo_migrations::mongodb::Collection<Document>;

fn collections(database: &Database) -> (Documents, Documents, Documents) {
    (database.collection("migrations_log"), database.collection("migrations_lock"), database.collection("migrations"))
}

fn event(name: &str, event: &str) -> Document {
    doc! {
        "fence": 1_i64, "seq": 1_i64, "at": DateTime::now(), "event": event, "run": "0000-0000-0000", "name": name,
        "who": "bench", "where": "bench", "pid": 1_i64, "subtask": "execute", "direction": "up", "outcome": "done",
        "duration_ms": 0_i64, "error": Bson::Null,
    }
}

fn entry(name: &str) -> Document {
    doc! {
        "name": name, "number": &name[..5], "state": "registered", "checksum": "0", "registered_at": DateTime::now(),
        "duration_ms": 0_i64, "who": "bench", "where": "bench", "tool_version": "0.0.0",
    }
}

async fn bench() -> Result<()> {
    let rounds = usize::try_from(number("BENCH_ROUNDS", 7))?;
    let server = Throwaway::replica_set().await?;
    let client = Client::with_uri_str(server.uri()).await?;
    let process_on = |uri: &str, role: &str, database: &str, count: u64, arguments: &[&str]| {
        Process::me()
            .env(ROLE, role)
            .env(COUNT, count.to_string())
            .env("MONGO_URI", uri)
            .env("MONGO_DATABASE", database)
            .arguments(arguments)
            .run()
    };
    let near = server.uri();
    let process =
        |role: &str, database: &str, count: u64, arguments: &[&str]| process_on(&near, role, database, count, arguments);
    println!("{:<52} {:>9} {:>7} {:>9} {:>9}", "", "median", "ratio", "cpu", "memory");
    let line = |name: &str, runs: &[common::Ran], reference: Duration| {
        let ran = common::summary(runs);
        println!(
            "{name:<52} {:>9} {:>7} {:>9} {:>5} MiB",
            milliseconds(ran.wall),
            ratio(ran.wall, reference),
            milliseconds(ran.cpu),
            ran.memory / 1024
        );
    };
    let far = common::far::start(server.port(), FAR)?;
    for more in [1_u64, 2, 10] {
        let (mut bare, mut ours, mut status) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..rounds {
            let name = format!("far_{more}_{round}");
            bare.push(process_on(&far, "loop", &format!("{name}_bare"), more, &[])?);
            // It is not the first run on its database.
            process("manager", &name, 1, &["execute", "--quiet"])?;
            ours.push(process_on(&far, "manager", &name, 1 + more, &["execute", "--quiet"])?);
            status.push(process_on(&far, "manager", &name, 1 + more, &["show_status", "--quiet"])?);
            client.database(&name).drop().await?;
            client.database(&format!("{name}_bare")).drop().await?;
        }
        let reference = median(&bare.iter().map(|ran| ran.wall).collect::<Vec<_>>());
        line(&format!("far away: the same durable writes, {more} times (reference)"), &bare, reference);
        line(&format!("far away: execute, {more} migrations"), &ours, reference);
        line("far away: show_status", &status, reference);
    }
    if std::env::args().any(|argument| argument == "far") {
        return Ok(());
    }
    for count in [1_u64, 1_000, 10_000] {
        let name = format!("status_{count}");
        // The database is as a run leaves it, with the log.
        process("manager", &name, count, &["execute", "--quiet"])?;
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..rounds * 2 {
            bare.push(process("query", &name, count, &[])?);
            ours.push(process("manager", &name, count, &["show_status", "--quiet"])?);
        }
        let reference = median(&bare.iter().map(|ran| ran.wall).collect::<Vec<_>>());
        line(&format!("one read of a registry of {count} (reference)"), &bare, reference);
        line(&format!("show_status, {count} files, {count} registered"), &ours, reference);
    }
    for count in [1_u64, 100, 1_000, 5_000] {
        let (mut bare, mut undurable, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        let rounds = if count > 1_000 { 2 } else { rounds };
        for round in 0..rounds {
            for (role, into) in [("loop", &mut bare), ("undurable", &mut undurable), ("manager", &mut ours)] {
                let name = format!("{role}_{count}_{round}");
                into.push(process(role, &name, count, if role == "manager" { &["execute", "--quiet"] } else { &[] })?);
                client.database(&name).drop().await?;
            }
        }
        let reference = median(&bare.iter().map(|ran| ran.wall).collect::<Vec<_>>());
        line(&format!("the same durable writes, {count} times (reference)"), &bare, reference);
        line(&format!("one document each, default write concern, {count}"), &undurable, reference);
        line(&format!("execute, {count} trivial migrations"), &ours, reference);
    }
    Ok(())
}
