//! Measures what a developer waits for:
//!
//! - a run when everything is built already,
//! - a build after one migration was edited, compared with a crate that has the same files in a naive layout (a module for each, and
//!   a list of boxed functions),
//! - the first build of a new project, compared with the driver alone.
//!
//! `cargo bench --bench build`; BENCH_ROUNDS=3 for fewer rounds.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use cargo_migrations::Result;
use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{Document, doc};
use common::{Process, median, milliseconds, number, ratio};

/// The variable that makes this binary the bare query.
const QUERY: &str = "CARGO_MIGRATIONS_BENCH_QUERY";

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

fn main() -> ExitCode {
    if std::env::var_os(QUERY).is_some() {
        return query();
    }
    // `cargo test --benches` only checks that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    common::main(bench())
}

/// Connects to the server and reads the registry once.
fn query() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let read = runtime.block_on(async {
        let database = Client::with_uri_str(std::env::var("MONGO_URI")?).await?.database("loop");
        let mut cursor = database.collection::<Document>("migrations").find(doc! {}).await?;
        while cursor.advance().await? {}
        Result::<()>::Ok(())
    });
    runtime.shutdown_background();
    if read.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn bench() -> Result<()> {
    let rounds = usize::try_from(number("BENCH_ROUNDS", 5))?;
    let folder = std::env::temp_dir().join(format!("cargo-migrations-bench-{}", std::process::id()));
    let server = Throwaway::replica_set().await?;
    // `cargo bench --bench build -- first` runs only that part.
    let part = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_asked_for = |name: &str| part.as_deref().is_none_or(|part| part == name);
    let measured = (|| {
        if is_asked_for("unchanged") {
            unchanged(&folder, &server.uri(), rounds)?;
        }
        if is_asked_for("edited") {
            println!("{:<52} {:>10} {:>7}", "build after one migration was edited", "median", "ratio");
            [200, 1_000].into_iter().try_for_each(|count| edited(&folder, count, rounds))?;
        }
        if is_asked_for("first") { first(&folder, rounds.min(2)) } else { Ok(()) }
    })();
    let _ = fs::remove_dir_all(&folder);
    measured
}

/// Measures what the plugin adds when everything is built.
fn unchanged(folder: &Path, uri: &str, rounds: usize) -> Result<()> {
    let root = folder.join("few");
    workspace(&root, 3)?;
    let target = folder.join("target");
    let plugin = || Process::new(env!("CARGO_BIN_EXE_cargo-migrations")).env("CARGO_TARGET_DIR", &target).folder(&root);
    let on_server = |process: Process| process.env("MONGO_URI", uri).env("MONGO_DATABASE", "loop");
    on_server(plugin()).arguments(&["show_status", "--quiet"]).run()?;
    let (mut starts, mut builds, mut queries, mut ours) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds * 4 {
        starts.push(plugin().arguments(&["--version"]).run()?.wall);
        let build = Process::new("cargo").env("CARGO_TARGET_DIR", &target).folder(&root);
        builds.push(build.arguments(&["build", "--quiet", "--package", "xtask"]).run()?.wall);
        queries.push(on_server(Process::me()).env(QUERY, "1").run()?.wall);
        ours.push(on_server(plugin()).arguments(&["show_status", "--quiet"]).run()?.wall);
    }
    let line = |name: &str, times: &[Duration]| println!("{name:<52} {:>10}", milliseconds(median(times)));
    println!("{:<52} {:>10}", "run with everything built", "median");
    line("start of the plugin (--version)", &starts);
    line("cargo build of the unchanged manager (reference)", &builds);
    line("connect and read the registry (reference)", &queries);
    line("cargo migrations", &ours);
    let more = median(&ours).saturating_sub(median(&builds) + median(&queries));
    println!("{:<52} {:>10}\n", "overhead over the sum of both references", milliseconds(more));
    Ok(())
}

/// Measures a build after one of `count` files was edited.
fn edited(folder: &Path, count: usize, rounds: usize) -> Result<()> {
    let (ours, bare) = (folder.join(format!("ours-{count}")), folder.join(format!("naive-{count}")));
    workspace(&ours, count)?;
    naive(&bare, count)?;
    let target = folder.join("target");
    let (mut our_times, mut bare_times) = (Vec::new(), Vec::new());
    let (mut our_fresh, mut bare_fresh) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        for (root, package, times, fresh) in
            [(&bare, "naive", &mut bare_times, &mut bare_fresh), (&ours, "xtask", &mut our_times, &mut our_fresh)]
        {
            // The first round builds the dependencies, which `clean` keeps.
            if round < 2 {
                build(root, &target, &["clean", "--quiet", "--package", package])?;
                let took = build(root, &target, &["build", "--quiet"])?;
                if round > 0 {
                    fresh.push(took);
                }
            }
            let file = root.join(format!("mongomigrations/{:04}_step.rs", count / 2));
            let text = fs::read_to_string(&file)?.replace("const STEP: i32 = ", "const STEP: i32 = 1 + ");
            fs::write(&file, text)?;
            times.push(build(root, &target, &["build", "--quiet"])?);
        }
    }
    let reference = median(&bare_times);
    let line = |name: &str, time: Duration, reference: Duration| {
        println!("{name:<52} {:>9.2}s {:>7}", time.as_secs_f64(), ratio(time, reference));
    };
    line(&format!("{count} files, naive (reference)"), reference, reference);
    line(&format!("{count} files, as `init` lays them out"), median(&our_times), reference);
    let reference = median(&bare_fresh);
    line(&format!("{count} files from scratch, naive (reference)"), reference, reference);
    line(&format!("{count} files from scratch, as `init` lays them out"), median(&our_fresh), reference);
    Ok(())
}

/// Measures the first build of a new project.
fn first(folder: &Path, rounds: usize) -> Result<()> {
    println!("\n{:<52} {:>10} {:>7}", "first build, with all dependencies", "median", "ratio");
    let ours = folder.join("first");
    workspace(&ours, 1)?;
    let few = "default-features = false, features = [\"bson-2\", \"compat-3-3-0\", \"rustls-tls\"]";
    let projects = [
        ("the driver, default features (reference)", driver(folder, "all", "default-features = true")?),
        ("the driver without mongodb+srv", driver(folder, "direct", few)?),
        ("a new project from `init`", ours),
    ];
    let mut times = vec![Vec::new(); projects.len()];
    for _ in 0..rounds {
        for (times, (_, root)) in times.iter_mut().zip(&projects) {
            let target = folder.join("first-target");
            times.push(build(root, &target, &["build", "--quiet"])?);
            fs::remove_dir_all(&target)?;
        }
    }
    for ((name, _), took) in projects.iter().zip(&times) {
        println!("{name:<52} {:>9.2}s {:>7}", median(took).as_secs_f64(), ratio(median(took), median(&times[0])));
    }
    Ok(())
}

/// Writes a program that links the driver and does nothing with it, with the versions in this repository's lock file.
fn driver(folder: &Path, name: &str, features: &str) -> Result<PathBuf> {
    let root = folder.join(format!("driver-{name}"));
    let manifest = format!(
        "[package]\nname = \"plain\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         mongodb = {{ version = \"3.9\", {features} }}\n\
         tokio = {{ version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }}\n"
    );
    write(root.join("Cargo.toml"), &manifest)?;
    fs::copy(Path::new(CRATE).join("Cargo.lock"), root.join("Cargo.lock"))?;
    let main = "#[tokio::main]\nasync fn main() {\n    \
                let _ = mongodb::Client::with_uri_str(\"mongodb://127.0.0.1\").await;\n}\n";
    write(root.join("src/main.rs"), main)?;
    Ok(root)
}

/// Runs cargo, and returns how long it took.
fn build(root: &Path, target: &Path, arguments: &[&str]) -> Result<Duration> {
    let since = Instant::now();
    let output = Command::new("cargo").args(arguments).current_dir(root).env("CARGO_TARGET_DIR", target).output()?;
    if !output.status.success() {
        return Err(format!("cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(since.elapsed())
}

fn write(path: PathBuf, text: &str) -> Result<()> {
    fs::create_dir_all(path.parent().expect("a parent"))?;
    fs::write(path, text)?;
    Ok(())
}

/// Returns the source of a migration with two or three calls, of one of three kinds.
fn migration(number: usize) -> String {
    let body = match number % 3 {
        0 => {
            r#"    let users = db.collection::<Document>("users");
    users.update_many(doc! { "plan": "free" }, doc! { "$set": { "step": STEP } }).await?;
    users.delete_many(doc! { "step": { "$lt": STEP } }).await?;
"#
        }
        1 => {
            r#"    let posts = db.collection::<Document>("posts");
    let mut cursor = posts.find(doc! { "slug": null }).await?;
    while cursor.advance().await? {
        let post = cursor.deserialize_current()?;
        let slug = format!("{}-{STEP}", post.get_str("title")?.to_lowercase());
        posts.update_one(doc! { "_id": post.get_object_id("_id")? }, doc! { "$set": { "slug": slug } }).await?;
    }
"#
        }
        _ => {
            r#"    db.run_command(doc! { "collMod": "events", "validationLevel": "moderate" }).await?;
    db.collection::<Document>("events").delete_many(doc! { "step": { "$lt": STEP } }).await?;
"#
        }
    };
    format!(
        r#"//! Step {number}.
use cargo_migrations::prelude::*;

const STEP: i32 = {number};

pub async fn up(db: &Database) -> Result<()> {{
{body}    Ok(())
}}

pub async fn down(db: &Database) -> Result<()> {{
    db.collection::<Document>("users").update_many(doc! {{}}, doc! {{ "$unset": {{ "step": STEP }} }}).await?;
    Ok(())
}}
"#
    )
}

fn migrations(root: &Path, count: usize) -> Result<()> {
    (1..=count).try_for_each(|n| write(root.join(format!("mongomigrations/{n:04}_step.rs")), &migration(n)))
}

/// Writes the workspace that `init` creates in an empty folder, with that many migrations.
fn workspace(root: &Path, count: usize) -> Result<()> {
    fs::create_dir_all(root)?;
    let init =
        Command::new(env!("CARGO_BIN_EXE_cargo-migrations")).args(["init", "--path", CRATE]).current_dir(root).output()?;
    if !init.status.success() {
        return Err(String::from_utf8_lossy(&init.stderr).into_owned().into());
    }
    fs::copy(Path::new(CRATE).join("Cargo.lock"), root.join("Cargo.lock"))?;
    migrations(root, count)
}

/// Writes a crate in which the same files are modules, with a list of boxed functions.
fn naive(root: &Path, count: usize) -> Result<()> {
    migrations(root, count)?;
    let manifest = format!(
        "[package]\nname = \"naive\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         cargo-migrations = {{ path = {CRATE:?}, default-features = false, features = [\"manager\"] }}\n\
         tokio = {{ version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }}\n\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n"
    );
    write(root.join("Cargo.toml"), &manifest)?;
    let (mut modules, mut list) = (String::new(), String::new());
    for number in 1..=count {
        writeln!(modules, "#[path = \"../mongomigrations/{number:04}_step.rs\"]\nmod m{number};")?;
        writeln!(
            list,
            "(\"{number:04}\", Box::new(|db| Box::pin(m{number}::up(db))), Box::new(|db| Box::pin(m{number}::down(db)))),"
        )?;
    }
    let main = format!(
        "use std::pin::Pin;\n\nuse cargo_migrations::prelude::*;\n\n{modules}\n\
         type Run = Box<dyn for<'a> Fn(&'a Database) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>>;\n\n\
         fn all() -> Vec<(&'static str, Run, Run)> {{\n    vec![{list}]\n}}\n\n\
         #[tokio::main]\nasync fn main() -> Result<()> {{\n    \
         let client = cargo_migrations::mongodb::Client::with_uri_str(std::env::var(\"MONGO_URI\")?).await?;\n    \
         for (name, up, _down) in all() {{\n        up(&client.database(\"x\")).await?;\n        println!(\"{{name}}\");\n    }}\n    \
         Ok(())\n}}\n"
    );
    write(root.join("src/main.rs"), &main)
}
