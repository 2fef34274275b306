//! The local development server.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{DateTime, Document, doc};

use super::support::{Line, Workspace, assert_has, block_on, fixture};

/// A workspace whose local server is its own, and ends with the test.
struct Local {
    workspace: Workspace,
    folder: tempfile::TempDir,
}

impl Local {
    fn new() -> Self {
        let workspace = Workspace::new();
        workspace.copy_fixture("local_server");
        workspace.tracing_migration("0001_a.rs");
        workspace.built_manager();
        Self { workspace, folder: tempfile::tempdir().unwrap() }
    }

    /// The manager as the plugin starts it, but for the place of its local server: here the target folder is shared.
    fn line(&self, args: &[&str]) -> Line {
        let line = Line::new(self.workspace.path("manager"), self.workspace.root()).args(args);
        line.env("CARGO", "cargo").env("CARGO_MIGRATIONS_TARGET_DIR", self.folder.path())
    }

    fn uri(&self) -> Option<String> {
        let stdout = self.line(&["mongod"]).run().exits(0).stdout;
        (!stdout.is_empty()).then(|| stdout.trim().to_owned())
    }

    fn trace(&self) -> usize {
        let uri = self.uri().expect("a running server");
        block_on(async {
            let client = Client::with_uri_str(uri).await.unwrap();
            let trace = client.database("local_test").collection::<Document>("trace");
            trace.count_documents(doc! {}).await.unwrap().try_into().unwrap()
        })
    }

    fn pid(&self) -> u32 {
        let state = std::fs::read(self.folder.path().join("cargo-migrations/mongod/server.json")).unwrap();
        let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
        state["pid"].as_u64().unwrap().try_into().unwrap()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Ok(state) = std::fs::read(self.folder.path().join("cargo-migrations/mongod/server.json"))
            && let Ok(state) = serde_json::from_slice::<serde_json::Value>(&state)
            && let Some(pid) = state["pid"].as_u64()
        {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

#[test]
fn it_is_started_when_needed_reused_and_stopped() {
    let local = Local::new();
    assert_eq!(local.uri(), None);
    let run = |args: &[&str]| local.line(args).env("MONGO_DATABASE", "local_test").run();
    let outcome = run(&["execute"]).exits(0);
    assert_has(&outcome.stderr, &["Using a local mongod on 127.0.0.1:", "`cargo migrations mongod:stop` stops it"]);
    assert_eq!(outcome.stderr.lines().filter(|line| line.contains("mongod")).count(), 1, "one line: {}", outcome.stderr);
    let (uri, pid) = (local.uri().unwrap(), local.pid());
    run(&["rollback:1"]).exits(0);
    assert_eq!((local.uri().unwrap(), local.pid()), (uri, pid), "the same server");
    assert_eq!(local.trace(), 2);

    // A session of its own, and none of our descriptors.
    let session = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name: Vec<_> = session.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(after_name[3], pid.to_string(), "it leads its session");
    for descriptor in ["0", "1", "2"] {
        let target = std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).unwrap();
        assert_eq!(target, Path::new("/dev/null"));
    }

    run(&["mongod:stop"]).exits(0);
    assert_eq!(local.uri(), None);
    assert!(!Path::new(&format!("/proc/{pid}/stat")).exists() || state_of(pid) == "Z", "the process is gone");
    run(&["mongod:stop"]).exits(0);
    run(&["execute"]).exits(0);
    assert_eq!(local.trace(), 3, "its data is still there");
}

#[test]
fn tenants_on_it_are_announced_and_not_the_database_of_the_configuration() {
    let local = Local::new();
    let outcome = local.line(&["tenants", "execute"]).env("MONGO_DATABASE", "local_test").run().exits(0);
    assert_has(&outcome.stderr, &["tenant_a: ", "tenant_b: "]);
    assert!(!outcome.stderr.contains("local_test"), "{}", outcome.stderr);
}

#[test]
fn it_is_not_stopped_under_a_run_without_yes() {
    let local = Local::new();
    let run = |args: &[&str]| local.line(args).env("MONGO_DATABASE", "local_test").run();
    run(&["execute"]).exits(0);
    let uri = local.uri().unwrap();
    block_on(async {
        let client = Client::with_uri_str(&uri).await.unwrap();
        let lock = client.database("local_test").collection::<Document>("migrations_lock");
        let now = DateTime::now();
        let held = doc! {
            "owner": "run", "user": "ann", "host": "web-2", "pid": 7_i64, "command": "execute",
            "acquired_at": now, "renewed_at": now,
            "expires_at": DateTime::from_millis(now.timestamp_millis() + 600_000),
        };
        let done = lock.update_one(doc! { "_id": "lease" }, doc! { "$set": held }).await.unwrap();
        assert_eq!(done.matched_count, 1);
    });
    let outcome = run(&["mongod:stop"]).exits(3);
    assert_has(
        &outcome.stderr,
        &[
            "error: a run is at work on local_test: ann@web-2 (pid 7), execute, for ",
            "hint: wait until it ends, or interrupt it with `cargo migrations mongod:stop --yes`",
        ],
    );
    assert_eq!(local.uri(), Some(uri), "it still runs");
    run(&["mongod:stop", "--yes"]).exits(0);
    assert_eq!(local.uri(), None);
}

/// The state letter of a process: the test is its parent's heir, and may not have waited for it yet.
fn state_of(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().unwrap_or_default().split_whitespace().next().unwrap_or("Z").to_owned()
}

#[test]
fn it_comes_back_on_another_port_after_kill_9() {
    let local = Local::new();
    let run = |args: &[&str]| local.line(args).env("MONGO_DATABASE", "local_test").run();
    run(&["execute"]).exits(0);
    let port: u16 = local.uri().unwrap().split([':', '/']).nth(4).unwrap().parse().unwrap();
    let pid = local.pid();
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    let since = Instant::now();
    // Another process has its port when it comes back.
    let taken = loop {
        match std::net::TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => break listener,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(20), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    run(&["rollback:1"]).exits(0);
    drop(taken);
    assert_eq!(local.trace(), 2, "it is the same data");
}

#[test]
fn a_pipe_that_reads_the_manager_ends_with_the_manager() {
    let local = Local::new();
    // The outcome is read until every holder of the pipe is gone, and fd 9 is one that the shell leaves open.
    let manager = local.workspace.path("manager");
    let script = "exec 9>&1; \"$MANAGER\" mongod:start 2>&1; echo done";
    let line = Line::new("sh", local.workspace.root()).args(["-c", script]).env("MANAGER", manager);
    let outcome = line.env("CARGO", "cargo").env("CARGO_MIGRATIONS_TARGET_DIR", local.folder.path()).run().exits(0);
    assert_has(&outcome.stdout, &["mongodb://127.0.0.1:", "done"]);
    // The pipe was read to its end, and the server still runs.
    assert!(local.uri().is_some());
}

#[test]
fn ten_starts_at_once_make_one_server() {
    let local = Local::new();
    let children: Vec<_> = (0..10).map(|_| local.line(&["mongod:start"]).spawn()).collect();
    let mut uris: Vec<_> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    uris.dedup();
    assert_eq!(uris.len(), 1, "{uris:?}");
}

#[test]
fn the_plugin_keeps_it_below_the_target_folder() {
    let workspace = Workspace::new();
    workspace.copy_fixture("local_server");
    let outcome = workspace.line(["mongod"]).run().exits(0);
    assert_has(&outcome.stderr, &["no local server is running\nhint: start it with `cargo migrations mongod:start`"]);
    let outcome = workspace.line(["mongod:start"]).run().exits(0);
    assert_has(&outcome.stdout, &["mongodb://127.0.0.1:"]);
    let state = workspace.path("target/cargo-migrations/mongod/server.json");
    let kept = state.is_file();
    workspace.line(["mongod:stop"]).run().exits(0);
    assert!(kept, "{} is missing", state.display());
}

#[test]
fn there_is_none_outside_cargo_and_none_in_a_release_build() {
    let local = Local::new();
    let manager = local.workspace.path("manager");
    let outcome = Line::new(&manager, local.workspace.root()).args(["execute"]).run().exits(2);
    assert_has(
        &outcome.stderr,
        &[
            "error: no MongoDB server is configured, and a local server is only for runs through cargo",
            "hint: set MONGO_URI",
        ],
    );
    // What a build script reports in a release build, without compiling the driver again for it.
    local.workspace.manager_source(
        &fixture("local_server/xtask/src/main.rs")
            .replace("migrations::embedded()", "cargo_migrations::Embedded::from_build_script(\"release\", &[], &[])"),
    );
    local.workspace.built_manager();
    let outcome = local.line(&["execute"]).run().exits(2);
    assert_has(
        &outcome.stderr,
        &["error: no MongoDB server is configured, and a release build starts no local server", "hint: set MONGO_URI"],
    );
    assert!(!local.folder.path().join("cargo-migrations").exists());
}

#[test]
fn without_any_mongod_the_three_ways_are_named() {
    let local = Local::new();
    let empty = tempfile::tempdir().unwrap();
    let line = local.line(&["mongod:start"]).env("PATH", empty.path()).env("XDG_CACHE_HOME", empty.path());
    let outcome = line.run().exits(2);
    assert_has(&outcome.stderr, &["CARGO_MIGRATIONS_MONGOD", "on PATH", "python3 with pip", "MONGO_URI"]);
    let line = local.line(&["mongod:start"]).env("CARGO_MIGRATIONS_MONGOD", "/nowhere/mongod");
    let outcome = line.run().exits(2);
    assert_has(&outcome.stderr, &["CARGO_MIGRATIONS_MONGOD is /nowhere/mongod, which is not a file"]);
    let line = local.line(&["mongod:start"]).env("CARGO_MIGRATIONS_MONGOD", "/bin/false");
    let outcome = line.run().exits(1);
    assert_has(&outcome.stderr, &["error: /bin/false does not run on this machine"]);
}
