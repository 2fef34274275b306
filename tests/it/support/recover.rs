//! What follows a fault: the checker's states are compared with the tool's, interrupted migrations are decided, and in the end
//! everything must be registered.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{Document, doc};
use cargo_migrations::mongodb::options::{CollectionOptions, ReadConcern};

use super::crash::{Scene, is_transactional};
use super::{Truth, assert_has, block_on, check, signal};

/// How many crash points are tried at a time. Each waits for a lease to expire.
pub(crate) const AT_A_TIME: usize = 6;

/// Calls `each` with every number below `count`, on several threads.
pub(crate) fn in_parallel(count: usize, each: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    each(index);
                }
            });
        }
    });
}

/// The state of each migration as `show_status` reports it.
pub(crate) fn reported_states(scene: &Scene) -> BTreeMap<String, String> {
    let status = scene.run("show_status --format json").exits(0).json();
    let migrations = status["migrations"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().trim_end_matches(".rs").to_owned();
    migrations.iter().map(|migration| (text(&migration["name"]), text(&migration["state"]))).collect()
}

/// Guarantee 3: the reported states are the true ones.
#[track_caller]
pub(crate) fn check_reported_states(scene: &Scene) -> BTreeMap<String, Truth> {
    let truths = check(scene);
    for (stem, reported) in reported_states(scene) {
        let expected = match truths.get(&stem) {
            Some(Truth::Registered) => "registered",
            Some(Truth::Failed) => "failed",
            Some(Truth::Interrupted | Truth::RunsAgain) => "interrupted",
            Some(Truth::Unregistered) | None => "unregistered",
        };
        let reported = if reported == "ignored" { "registered".into() } else { reported };
        assert_eq!(reported, expected, "{stem} in {truths:?}");
        let number = stem.split('_').next().unwrap();
        if reported == "unregistered" && !is_transactional(&stem) {
            let ups = scene.witnessed(&format!("end up {number}"));
            let downs = scene.witnessed(&format!("end down {number}"));
            assert!(ups <= downs, "{stem} is reported as unregistered: {:?}", scene.witness());
        }
    }
    truths
}

/// Waits until the lease of a run that died has expired.
pub(crate) fn wait_for_lease_to_expire(scene: &Scene) {
    wait_for_lease(&scene.uri, scene.database.name(), scene.lease_ms);
}

/// Waits until the lease on a database has expired, if it is held. It reads the lease with the tool's own read concern, which may not
/// show a release yet that was not confirmed.
pub(crate) fn wait_for_lease(uri: &str, database: &str, lease_ms: u32) {
    let options = CollectionOptions::builder().read_concern(ReadConcern::majority()).build();
    let lock = block_on(async {
        let client = Client::with_uri_str(uri).await.expect("a client");
        let lock = client.database(database).collection_with_options::<Document>("migrations_lock", options);
        lock.find_one(doc! { "_id": "lease" }).await.expect("the lease")
    });
    if lock.is_some_and(|lease| lease.get_str("owner").is_ok()) {
        std::thread::sleep(Duration::from_millis(u64::from(lease_ms) + 200));
    }
}

/// Decides each interrupted migration as a person would, then runs a plain `execute`. Everything must be registered then.
pub(crate) fn recover(scene: &Scene, truths: &BTreeMap<String, Truth>, decision: usize) {
    let undecided: Vec<&String> = truths
        .iter()
        .filter(|(stem, truth)| **truth == Truth::Interrupted && !is_transactional(stem))
        .map(|(stem, _)| stem)
        .collect();
    if !undecided.is_empty() {
        let before = scene.witness();
        let refused = scene.run("execute --wait 20s").exits(3);
        assert_has(&refused.stderr, &["was interrupted", undecided[0]]);
        assert_eq!(scene.witness(), before, "nothing may run before a person has decided");
        for stem in undecided {
            let verb = ["execute", "ignore", "rollback"][decision % 3];
            scene.run(&format!("{verb}:{stem}")).exits(0);
            check_reported_states(scene);
        }
    }
    let again: Vec<&String> = truths.iter().filter(|(_, truth)| **truth == Truth::RunsAgain).map(|(stem, _)| stem).collect();
    let outcome = scene.run("execute --wait 20s").exits(0);
    for stem in again {
        let sentence = "and runs again from its beginning: its file says that this is safe";
        assert_has(&outcome.stderr, &[&format!("note: {stem} was interrupted (up, by "), sentence]);
    }
    let truths = check_reported_states(scene);
    assert!(truths.values().all(|truth| *truth == Truth::Registered), "{truths:?}");
    let before = scene.witness();
    let second = scene.run("execute").exits(0);
    assert_has(&second.stderr, &["nothing to execute"]);
    assert_eq!(scene.witness(), before);
}

/// A process that is frozen at a crash point. It is killed when the value is dropped.
pub(crate) struct Frozen(pub(crate) Child);

impl Frozen {
    /// Starts the manager with `args`, and waits until it is frozen at the crash point of that number.
    pub(crate) fn at(scene: &Scene, args: &str, point: usize) -> Self {
        let line = scene.line(args.split_whitespace()).env("CARGO_MIGRATIONS_CRASH_AT", format!("STOP:{point}"));
        let this = Self(line.spawn());
        let since = Instant::now();
        while !is_stopped(&this.0) {
            assert!(since.elapsed() < Duration::from_secs(60), "it does not reach crash point {point}");
            std::thread::sleep(Duration::from_millis(20));
        }
        this
    }

    pub(crate) fn wake(&self) {
        self.signal("CONT");
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.0, name);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_stopped(child: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}
