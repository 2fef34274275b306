//! Measures dump and restore in MB/s, and compares them with a bare cursor that reads the same collections and writes nothing. Then
//! it measures them with many small collections, and compares them with a program that only reads, or only creates, the same.
//!
//! `cargo bench --bench dump`; BENCH_DOCUMENTS=100000 for a smaller database, BENCH_COLLECTIONS=100 for fewer collections, and
//! BENCH_ROUNDS=3 for fewer rounds. `-- many` runs only the second part.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod common;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::bson::{Document, RawDocumentBuf, doc, rawdoc};
use cargo_migrations::mongodb::{Client, Database};
use cargo_migrations::prelude::*;
use cargo_migrations::{Embedded, Result};
use common::{median, number};
use futures_util::{StreamExt as _, TryStreamExt as _};

/// The variable with the role of this binary in the processes under test.
const MANAGER: &str = "CARGO_MIGRATIONS_BENCH_MANAGER";

struct Migrations;

impl MigrationsManager for Migrations {}

fn main() -> ExitCode {
    if std::env::var(MANAGER).is_ok_and(|role| role == "cursor") {
        return bare_cursor();
    }
    if std::env::var_os(MANAGER).is_some() {
        return cargo_migrations::run(Migrations, Embedded::from_migrations([]));
    }
    // `cargo test --benches` only checks that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    let only_many = std::env::args().any(|argument| argument == "many");
    common::main(async move {
        if !only_many {
            bench().await?;
        }
        bench_many().await
    })
}

/// Reads both collections at the same time and keeps nothing, to measure the memory that the driver itself needs.
fn bare_cursor() -> ExitCode {
    let read = async {
        let database = Client::with_uri_str(std::env::var("MONGO_URI")?).await?.database("bench");
        futures_util::future::try_join(
            read_collection_by_batch(&database, "small"),
            read_collection_by_batch(&database, "large"),
        )
        .await?;
        Result::<()>::Ok(())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    if runtime.block_on(read).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn bench() -> Result<()> {
    let documents = number("BENCH_DOCUMENTS", 1_000_000);
    let rounds = usize::try_from(number("BENCH_ROUNDS", 5))?;
    let server = Throwaway::replica_set().await?;
    let client = Client::with_uri_str(server.uri()).await?;
    let database = client.database("bench");
    let bytes = fill(&database, documents).await?;
    println!("{} documents, {:.1} MB", documents + documents / 100, mega(bytes));

    let folder = std::env::temp_dir().join(format!("cargo-migrations-bench-{}", std::process::id()));
    let (mut cursors, mut batches, mut dumps, mut restores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut dump_memory, mut restore_memory, mut bare_memory) = (0, 0, 0);
    for round in 0..=rounds {
        let _ = std::fs::remove_dir_all(&folder);
        let cursor = timed(read_by_document(&database)).await?;
        let batch = timed(read_by_batch(&database)).await?;
        let (_, idle) = manager(&server, &folder, "cursor", &[])?;
        let (dump, memory) = manager(&server, &folder, "manager", &["dbdump"])?;
        let (restore, more) = manager(&server, &folder, "manager", &["restore:latest", "--yes"])?;
        // The first round warms the server's cache.
        if round > 0 {
            cursors.push(cursor);
            batches.push(batch);
            dumps.push(dump);
            restores.push(restore);
            (dump_memory, restore_memory) = (memory.max(dump_memory), more.max(restore_memory));
            bare_memory = idle.max(bare_memory);
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    let reference = median(&cursors);
    println!("{:<34} {:>8} {:>8} {:>7} {:>10}", "", "median", "MB/s", "ratio", "memory");
    let line = |name: &str, time: Duration, memory: Option<u64>| {
        let memory = memory.map_or(String::new(), |kib| format!("{} MiB", kib / 1024));
        let ratio = reference.as_secs_f64() / time.as_secs_f64();
        println!(
            "{name:<34} {:>7.2}s {:>8.1} {ratio:>7.2} {memory:>10}",
            time.as_secs_f64(),
            mega(bytes) / time.as_secs_f64()
        );
    };
    line("bare cursor, document by document", reference, None);
    line("bare cursor, batch by batch", median(&batches), None);
    line("dbdump, complete process", median(&dumps), Some(dump_memory));
    line("restore, complete process", median(&restores), Some(restore_memory));
    println!("a process that reads both collections at the same time and keeps nothing takes {} MiB", bare_memory / 1024);
    Ok(())
}

/// How many collections the reference works on at a time, as a restore does.
const AT_A_TIME: usize = 8;

/// Dumps and restores many small collections, each with three indexes.
async fn bench_many() -> Result<()> {
    let collections = number("BENCH_COLLECTIONS", 500);
    let rounds = usize::try_from(number("BENCH_ROUNDS", 5))?;
    let folder = std::env::temp_dir().join(format!("cargo-migrations-bench-{}-many", std::process::id()));
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..rounds {
        // A server of its own each time: the files of dropped collections stay open for a while.
        let server = Throwaway::replica_set().await?;
        let client = Client::with_uri_str(server.uri()).await?;
        let (database, bare) = (client.database("bench"), client.database("bare"));
        create_many(&database, collections).await?;
        let _ = std::fs::remove_dir_all(&folder);
        let read = timed(read_many(&database, collections)).await?;
        let (dump, _) = manager(&server, &folder, "manager", &["dbdump"])?;
        let created = timed(create_many(&bare, collections)).await?;
        let (restore, _) = manager(&server, &folder, "manager", &["restore:latest", "--yes"])?;
        times.iter_mut().zip([read, dump, created, restore]).for_each(|(all, time)| all.push(time));
    }
    let _ = std::fs::remove_dir_all(&folder);
    println!("\n{collections} collections of {SMALL} documents, each with {INDEXES} indexes");
    let [read, dump, created, restore] = times.map(|times| median(&times).as_secs_f64());
    println!("{:<34} {:>8} {:>7}", "", "median", "ratio");
    println!("{:<34} {read:>7.2}s {:>7.2}", "bare cursors and listIndexes", 1.0);
    println!("{:<34} {dump:>7.2}s {:>7.2}", "dbdump, complete process", dump / read);
    println!("{:<34} {created:>7.2}s {:>7.2}", "bare createIndexes and insert", 1.0);
    println!("{:<34} {restore:>7.2}s {:>7.2}", "restore, complete process", restore / created);
    Ok(())
}

/// How many documents each of the small collections has.
const SMALL: i32 = 20;

/// How many indexes each has besides the one on `_id`.
const INDEXES: usize = 3;

/// Creates the collections with their indexes, and inserts the documents: what any restore has to do. A majority acknowledges it.
async fn create_many(database: &Database, collections: u64) -> Result<()> {
    let create = async |number: u64| -> Result<()> {
        let name = format!("c{number:04}");
        let indexes: Vec<Document> =
            (0..INDEXES).map(|index| doc! { "key": { format!("k{index}"): 1 }, "name": format!("k{index}") }).collect();
        let majority = doc! { "w": "majority" };
        let command = doc! { "createIndexes": &name, "indexes": indexes, "writeConcern": &majority };
        database.run_command(command).await?;
        let document = |id: i32| doc! { "_id": id, "k0": id % 7, "k1": id % 5, "k2": "x".repeat(100) };
        let documents: Vec<Document> = (0..SMALL).map(document).collect();
        database.run_command(doc! { "insert": &name, "documents": documents, "writeConcern": majority }).await?;
        Ok(())
    };
    futures_util::stream::iter((0..collections).map(create)).buffer_unordered(AT_A_TIME).try_collect().await
}

/// Reads what a dump has to read.
async fn read_many(database: &Database, collections: u64) -> Result<()> {
    database.list_collections().await?.try_collect::<Vec<_>>().await?;
    let read = async |number: u64| -> Result<()> {
        let name = format!("c{number:04}");
        read_collection_by_batch(database, &name).await?;
        database.run_command(doc! { "listIndexes": &name }).await?;
        Ok(())
    };
    futures_util::stream::iter((0..collections).map(read)).buffer_unordered(AT_A_TIME).try_collect().await
}

#[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Inserts `documents` documents of about 200 bytes, and one of 64 KiB for each hundred of them. Returns their total size.
async fn fill(database: &Database, documents: u64) -> Result<u64> {
    let mut bytes = 0;
    for (name, count, text) in [("small", documents, 150), ("large", documents / 100, 64 << 10)] {
        let collection = database.collection::<RawDocumentBuf>(name);
        let mut batch = Vec::new();
        for number in 0..count {
            let number = i64::try_from(number)?;
            let text = format!("{number:012}{}", "x".repeat(text - 12));
            batch.push(rawdoc! { "_id": number, "a": number % 97, "text": text });
            if batch.len() * text_size(&batch) > 8 << 20 || number + 1 == i64::try_from(count)? {
                bytes += batch.iter().map(|document| document.as_bytes().len() as u64).sum::<u64>();
                collection.insert_many(std::mem::take(&mut batch)).ordered(false).await?;
            }
        }
    }
    Ok(bytes)
}

fn text_size(batch: &[RawDocumentBuf]) -> usize {
    batch.last().map_or(0, |document| document.as_bytes().len())
}

async fn timed(work: impl Future<Output = Result<()>>) -> Result<Duration> {
    let since = Instant::now();
    work.await?;
    Ok(since.elapsed())
}

async fn read_by_document(database: &Database) -> Result<()> {
    for name in ["small", "large"] {
        let mut cursor = database.collection::<RawDocumentBuf>(name).find(doc! {}).await?;
        let mut bytes = 0;
        while cursor.advance().await? {
            bytes += cursor.current().as_bytes().len();
        }
        assert!(std::hint::black_box(bytes) > 0);
    }
    Ok(())
}

async fn read_by_batch(database: &Database) -> Result<()> {
    for name in ["small", "large"] {
        read_collection_by_batch(database, name).await?;
    }
    Ok(())
}

async fn read_collection_by_batch(database: &Database, name: &str) -> Result<()> {
    let collection = database.collection::<Document>(name);
    let mut batches = collection.find(doc! {}).batch().await?;
    while let Some(batch) = batches.next().await {
        std::hint::black_box(batch?.as_raw_document().as_bytes().len());
    }
    Ok(())
}

/// Runs the manager. Returns how long it took, and its peak memory in KiB.
fn manager(server: &Throwaway, folder: &Path, role: &str, args: &[&str]) -> Result<(Duration, u64)> {
    let since = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .args(args)
        .env(MANAGER, role)
        .env("MONGO_URI", server.uri())
        .env("MONGO_DATABASE", "bench")
        .env("MONGO_DUMP_DIRECTORY", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        most = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0).max(most);
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = since.elapsed();
    if !ended.success() {
        let output = child.wait_with_output()?;
        return Err(format!("{args:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok((took, most))
}
