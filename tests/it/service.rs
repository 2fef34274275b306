//! Migrations run by a service: `examples/service`, and the `Runner` that it uses.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cargo_migrations::mongodb::bson::{Document, doc};
use cargo_migrations::prelude::*;
use cargo_migrations::{Embedded, ErrorKind, Migration, Runner};

use super::support::{CRATE, Line, TestDatabase, assert_has, block_on, server_uri, target};

async fn first(db: &Database) -> Result<()> {
    db.collection::<Document>("trace").insert_one(doc! { "did": "up 0001" }).await?;
    // Long enough that others find it under way.
    std::thread::sleep(Duration::from_millis(300));
    Ok(())
}

async fn second(db: &Database) -> Result<()> {
    if db.collection::<Document>("stumbling_block").estimated_document_count().await? > 0 {
        return Err("stumbled".into());
    }
    db.collection::<Document>("trace").insert_one(doc! { "did": "up 0002" }).await?;
    Ok(())
}

fn runner(database: &TestDatabase) -> Runner {
    let migrations = [
        Migration::new("0001_first.rs", first).with_checksum("1"),
        Migration::new("0002_second.rs", second).with_checksum("2"),
    ];
    let config = Config::new().mongo_uri(server_uri()).mongo_database(database.name());
    Runner::new(config, Embedded::from_migrations(migrations))
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn what_is_pending_runs_and_is_told_of() {
    let database = TestDatabase::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    let runner = runner(&database).on_message(move |message| hear.lock().unwrap().push(message.text.clone()));
    let refused = block_on(runner.check()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Check);
    assert_has(&refused.to_string(), &["unregistered, failed or interrupted: `0001_first`, `0002_second`"]);
    // Looking writes nothing.
    assert_eq!(database.collections(), [""; 0]);

    assert_eq!(block_on(is_send(runner.execute())).unwrap(), ["0001_first", "0002_second"]);
    assert_eq!(block_on(runner.execute()).unwrap(), [""; 0]);
    block_on(runner.check()).unwrap();
    assert_eq!(database.registered().len(), 2);
    assert_has(
        &heard.lock().unwrap().join("\n"),
        &["executing 0001_first (1 of 2)", "executed 0002_second in ", "finished: 2 "],
    );
}

#[test]
fn instances_that_start_together_run_nothing_twice() {
    let database = TestDatabase::new();
    let executed: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let runner = runner(&database).wait(Duration::from_secs(30));
                // An executor that knows nothing of tokio.
                scope.spawn(move || futures_executor(runner.execute()).unwrap().len())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(database.trace(), ["up 0001", "up 0002"]);
    // Each reports what it ran itself.
    assert_eq!(executed.iter().sum::<usize>(), 2, "{executed:?}");
    // Without patience it is refused.
    let (a, b) = (runner(&database), runner(&database));
    super::support::block_on(database.collection("migrations").delete_many(doc! {}).into_future()).unwrap();
    let (a, b) = block_on(async { tokio::join!(a.execute(), b.execute()) });
    let refused: Vec<_> = [a, b].into_iter().filter_map(std::result::Result::err).collect();
    assert_eq!(refused.iter().map(cargo_migrations::Error::kind).collect::<Vec<_>>(), [ErrorKind::Locked]);
    assert_has(refused[0].hint().unwrap(), &["wait for it with `Runner::wait`, or, if that process"]);
}

/// Blocks on a future with the standard library alone.
fn futures_executor<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_failure_is_an_error_and_the_log_knows_it() {
    let database = TestDatabase::new();
    database.insert("stumbling_block", [doc! {}]);
    let error = block_on(runner(&database).execute()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    // All in one line: a service logs that, and no causes.
    assert_has(&error.to_string(), &["the migration 0002_second failed", "stumbled"]);
    assert_eq!(block_on(runner(&database).unregistered()).unwrap(), ["0002_second"]);
    assert_eq!(database.registered(), ["0001_first.rs"]);
    let misnamed =
        Embedded::from_build_script("test", &[], &[("x.rs is misnamed", "rename it"), ("y.rs is empty", "fill it")]);
    let config = Config::new().mongo_uri(server_uri()).mongo_database(database.name());
    let error = block_on(Runner::new(config, misnamed).check()).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Usage, "x.rs is misnamed; y.rs is empty"));
    assert_eq!(error.hint(), Some("rename it\nfill it"));
    let nowhere = Runner::new(Config::new(), Embedded::from_migrations([]));
    assert_eq!(block_on(nowhere.execute()).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn a_dump_is_reported_and_the_way_back_is_a_hint() {
    let database = TestDatabase::new();
    database.insert("stumbling_block", [doc! {}]);
    let dumps = tempfile::tempdir().unwrap();
    let config = Config::new()
        .mongo_uri(server_uri())
        .mongo_database(database.name())
        .do_mongo_dump(true)
        .mongo_dump_directory(dumps.path());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    let embedded = Embedded::from_migrations([Migration::new("0002_second.rs", second)]);
    let runner = Runner::new(config, embedded).on_message(move |message| hear.lock().unwrap().push(message.clone()));
    let error = block_on(runner.execute()).unwrap_err();
    let heard = heard.lock().unwrap();
    let texts: Vec<&str> = heard.iter().map(|message| message.text.as_str()).collect();
    assert_has(&texts.join("\n"), &["dumping ", "dumped ", "the migration 0002_second failed"]);
    let hint = heard.iter().find_map(|message| message.hint.as_deref()).unwrap();
    assert_has(hint, &["fix it and run", "\n`cargo migrations restore:", "puts the database back"]);
    assert_eq!(error.hint(), Some(hint));
}

#[test]
fn a_future_that_is_dropped_stops_the_run_after_its_migration() {
    let database = TestDatabase::new();
    let runner = runner(&database);
    block_on(async { tokio::time::timeout(Duration::from_millis(1), runner.execute()).await }).unwrap_err();
    let since = std::time::Instant::now();
    let is_free =
        || database.documents("migrations_lock").iter().any(|lock| lock.get("owner").is_some_and(|o| o.as_null().is_some()));
    while since.elapsed() < Duration::from_secs(2) && !is_free() {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(database.registered().len() <= 1, "{:?}", database.registered());
    // Whatever was done, the next one goes on from there.
    block_on(runner.execute()).unwrap();
    assert_eq!(database.trace(), ["up 0001", "up 0002"]);
}

/// The example, with its lines on stderr up to the one that ends in `until`.
fn start(database: &TestDatabase, may: &str, until: &str) -> (Child, String) {
    let mut child = Command::new(target().join("debug/service-example"))
        .env("MONGO_URI", server_uri())
        .env("MONGO_DATABASE", database.name())
        .env("SERVICE_MAY_MIGRATE", may)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        said.push_str(&line);
        said.push('\n');
        if line.contains(until) {
            break;
        }
    }
    (child, said)
}

#[test]
fn the_example_runs_them_or_refuses_to_start() {
    let database = TestDatabase::new();
    Line::new("cargo", CRATE.as_ref()).args(["build", "--quiet", "--package", "service-example"]).run().exits(0);
    let (mut child, said) = start(&database, "no", "never");
    assert_eq!(child.wait().unwrap().code(), Some(4), "{said}");
    assert_has(&said, &["service: not started: unregistered, failed or interrupted: `0001_", "service: hint: run `cargo"]);
    assert!(database.registered().is_empty());
    let (mut child, said) = start(&database, "yes", "ready on");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_has(&said, &["service: executed 0001_", "migrations executed\n"]);
    let posts = database.documents("posts");
    assert!(posts.len() == 3 && posts.iter().all(|post| post.get_i64("minutes").unwrap() == 1), "{posts:?}");
    let (mut child, said) = start(&database, "no", "ready on");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_has(&said, &["service: ready on 127.0.0.1:"]);
}
