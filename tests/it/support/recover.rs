//! What follows a fault: the checker's word against the tool's, a person's decisions, and the end to which all must come.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{Document, doc};
use cargo_migrations::mongodb::options::{CollectionOptions, ReadConcern};

use super::crash::{Scene, is_transactional};
use super::{Truth, assert_has, block_on, check, signal};

/// How many of the points are tried at a time: each waits for a lease to run out.
pub(crate) const AT_A_TIME: usize = 6;

/// Runs `each` for every number below `count`.
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

/// What the tool says of each migration.
pub(crate) fn told(scene: &Scene) -> BTreeMap<String, String> {
    let status = scene.run("show_status --format json").exits(0).json();
    let migrations = status["migrations"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().trim_end_matches(".rs").to_owned();
    migrations.iter().map(|migration| (text(&migration["name"]), text(&migration["state"]))).collect()
}

/// Guarantee 3: what the tool says is what is so.
#[track_caller]
pub(crate) fn check_what_is_told(scene: &Scene) -> BTreeMap<String, Truth> {
    let truths = check(scene);
    for (stem, told) in told(scene) {
        let expected = match truths.get(&stem) {
            Some(Truth::Registered) => "registered",
            Some(Truth::Failed) => "failed",
            Some(Truth::Interrupted) => "interrupted",
            Some(Truth::Unregistered) | None => "unregistered",
        };
        let told = if told == "ignored" { "registered".into() } else { told };
        assert_eq!(told, expected, "{stem} in {truths:?}");
        let number = stem.split('_').next().unwrap();
        if told == "unregistered" && !is_transactional(&stem) {
            let ups = scene.witnessed(&format!("end up {number}"));
            let downs = scene.witnessed(&format!("end down {number}"));
            assert!(ups <= downs, "{stem} is told to be unregistered: {:?}", scene.witness());
        }
    }
    truths
}

/// Waits until a dead run's lease is over. Looked at as the tool does: a release that was not confirmed may not be seen yet.
pub(crate) fn let_the_lease_run_out(scene: &Scene) {
    let options = CollectionOptions::builder().read_concern(ReadConcern::majority()).build();
    let lock = block_on(async {
        let client = Client::with_uri_str(&scene.uri).await.expect("a client");
        let lock = client.database(scene.database.name()).collection_with_options::<Document>("migrations_lock", options);
        lock.find_one(doc! { "_id": "lease" }).await.expect("the lease")
    });
    if lock.is_some_and(|lease| lease.get_str("owner").is_ok()) {
        std::thread::sleep(Duration::from_millis(u64::from(scene.lease_ms) + 200));
    }
}

/// Brings everything to be registered: a person's decisions, then a plain `execute`.
pub(crate) fn put_right(scene: &Scene, truths: &BTreeMap<String, Truth>, decision: usize) {
    let undecided: Vec<&String> = truths
        .iter()
        .filter(|(stem, truth)| **truth == Truth::Interrupted && !is_transactional(stem))
        .map(|(stem, _)| stem)
        .collect();
    if !undecided.is_empty() {
        let before = scene.witness();
        let refused = scene.run("execute --wait 20s").exits(3);
        assert_has(&refused.stderr, &["was interrupted", undecided[0]]);
        assert_eq!(scene.witness(), before, "nothing runs until a person has decided");
        for stem in undecided {
            let verb = ["execute", "ignore", "rollback"][decision % 3];
            scene.run(&format!("{verb}:{stem}")).exits(0);
            check_what_is_told(scene);
        }
    }
    scene.run("execute --wait 20s").exits(0);
    let truths = check_what_is_told(scene);
    assert!(truths.values().all(|truth| *truth == Truth::Registered), "{truths:?}");
    let before = scene.witness();
    let again = scene.run("execute").exits(0);
    assert_has(&again.stderr, &["nothing to execute"]);
    assert_eq!(scene.witness(), before);
}

/// A process that freezes at one of its points; ended with the test.
pub(crate) struct Frozen(pub(crate) Child);

impl Frozen {
    /// Runs `args` until it is frozen at the point of that number.
    pub(crate) fn at(scene: &Scene, args: &str, point: usize) -> Self {
        let line = scene.line(args.split_whitespace()).env("CARGO_MIGRATIONS_CRASH_AT", format!("STOP:{point}"));
        let this = Self(line.spawn());
        let since = Instant::now();
        while !is_stopped(&this.0) {
            assert!(since.elapsed() < Duration::from_secs(60), "it does not come to {point}");
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
