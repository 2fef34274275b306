//! Guarantees 2 to 4: a manager that is killed, or frozen, at every point that it comes to, and at random.
//!
//! After each, a checker that knows nothing of the tool reads what is stored; then the next commands must put it right.

use std::collections::BTreeMap;
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cargo_migrations::mongodb::bson::Document;

use super::support::{
    Outcome, STEMS, Scene, Truth, assert_has, check, crash, crash_plain, faulty_server, is_transactional, standalone_server,
};

/// How many of the points are tried at a time: each waits for a lease to run out.
const AT_A_TIME: usize = 6;

/// Runs `each` for every number below `count`.
fn in_parallel(count: usize, each: impl Fn(usize) + Sync) {
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

#[track_caller]
fn was_killed(outcome: &Outcome) -> bool {
    assert!([-1, 0, 1].contains(&outcome.code), "{outcome:?}");
    outcome.code == -1
}

/// What the tool says of each migration.
fn told(scene: &Scene) -> BTreeMap<String, String> {
    let status = scene.run("show_status --format json").exits(0).json();
    let migrations = status["migrations"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().trim_end_matches(".rs").to_owned();
    migrations.iter().map(|migration| (text(&migration["name"]), text(&migration["state"]))).collect()
}

/// Guarantee 3: what the tool says is what is so.
#[track_caller]
fn check_what_is_told(scene: &Scene) -> BTreeMap<String, Truth> {
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

/// Waits until a dead run's lease is over.
fn let_the_lease_run_out(scene: &Scene) {
    std::thread::sleep(Duration::from_millis(u64::from(scene.lease_ms) + 200));
}

/// Brings everything to be registered: a person's decisions, then a plain `execute`.
fn put_right(scene: &Scene, truths: &BTreeMap<String, Truth>, decision: usize) {
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

/// `line` is killed at each of its points in turn, after `prepare`.
fn killed_at_every_point(new: impl Fn() -> Scene + Sync, prepare: &str, line: &str) {
    let scene = new();
    scene.run(prepare);
    let points = scene.trace(line);
    assert!(points.len() > 5, "{points:?}");
    in_parallel(points.len(), |index| {
        let scene = new();
        scene.run(prepare);
        let outcome = scene.line(line.split_whitespace()).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{index}")).run();
        assert!(was_killed(&outcome), "at {index} ({}): {outcome:?}", points[index]);
        // While its lease may hold: what is under way is not told as interrupted. Then it is.
        check(&scene);
        let_the_lease_run_out(&scene);
        let truths = check_what_is_told(&scene);
        put_right(&scene, &truths, index);
    });
}

fn on_replica_set() -> Scene {
    Scene::new(crash(), &faulty_server().uri())
}

fn on_standalone() -> Scene {
    Scene::new(crash_plain(), &standalone_server().uri())
}

#[test]
fn execute_killed_at_every_point() {
    killed_at_every_point(on_replica_set, "show_status", "execute");
}

#[test]
fn execute_killed_at_every_point_on_a_standalone_server() {
    killed_at_every_point(on_standalone, "show_status", "execute");
}

#[test]
fn rollback_killed_at_every_point() {
    killed_at_every_point(on_replica_set, "execute", "rollback:3 rollback:4");
}

#[test]
fn rollback_killed_at_every_point_on_a_standalone_server() {
    killed_at_every_point(on_standalone, "execute", "rollback:3");
}

#[test]
fn ignore_killed_at_every_point() {
    killed_at_every_point(on_replica_set, "execute:1", "ignore");
}

/// A frozen process, ended with the test.
struct Frozen(Child);

impl Frozen {
    fn wake(&self) {
        signal(&self.0, "CONT");
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(child: &Child, name: &str) {
    assert!(
        std::process::Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success()
    );
}

fn is_stopped(child: &Child) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}

fn stored(scene: &Scene) -> Vec<Document> {
    ["migrations", "migrations_log"].iter().flat_map(|collection| scene.database.documents(collection)).collect()
}

/// The points behind the last write that the fence guards.
const AT_THE_END: [&str; 6] = ["committed", "merge sent", "log merged", "registered", "before release", "released"];

/// Another run takes over from one that is frozen at a point of its own, and finishes; then the frozen one wakes up.
fn frozen_at_every_point(new: impl Fn() -> Scene + Sync) {
    let points = new().trace("execute");
    in_parallel(points.len(), |index| {
        let scene = new();
        let mut frozen = Frozen(scene.line(["execute"]).env("CARGO_MIGRATIONS_CRASH_AT", format!("STOP:{index}")).spawn());
        let since = Instant::now();
        while !is_stopped(&frozen.0) {
            assert!(since.elapsed() < Duration::from_secs(60), "it does not come to {index} ({})", points[index]);
            std::thread::sleep(Duration::from_millis(20));
        }
        let_the_lease_run_out(&scene);
        let truths = check(&scene);
        put_right(&scene, &truths, index);
        // Where it had registered all there was, nobody had to take over: here somebody does.
        scene.run("unlock --yes").exits(0);
        let before = stored(&scene);
        frozen.wake();
        let status = frozen.0.wait().unwrap();
        // One that had made no plan yet finds nothing to do; one that had done all, but for giving the lock back, has done it.
        let had_no_plan = ["lease taken", "fence raised"].contains(&points[index].as_str());
        let had_ended = points[index..].iter().all(|point| AT_THE_END.contains(&point.as_str()));
        assert!(status.code() == Some(i32::from(!had_no_plan && !had_ended)), "at {index} ({}): {status:?}", points[index]);
        assert_eq!(stored(&scene), before, "at {index} ({}) it wrote when it woke up", points[index]);
        check_what_is_told(&scene);
    });
}

#[test]
fn a_run_that_was_frozen_registers_nothing_when_it_wakes_up() {
    frozen_at_every_point(on_replica_set);
}

#[test]
fn a_run_that_was_frozen_registers_nothing_on_a_standalone_server() {
    frozen_at_every_point(on_standalone);
}

/// CARGO_MIGRATIONS_KILLS=500 for the whole.
#[test]
fn killed_at_random_again_and_again() {
    let kills: usize = std::env::var("CARGO_MIGRATIONS_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(24);
    let killed = AtomicUsize::new(0);
    let started = Instant::now();
    in_parallel(AT_A_TIME, |lane| {
        // Not the same each time, and told when it fails.
        let mut random = u64::from(std::process::id()).wrapping_mul(6_364_136_223_846_793_005) ^ lane as u64;
        while killed.load(Ordering::Relaxed) < kills {
            let scene = on_replica_set();
            let mut line = "execute --wait 20s".to_owned();
            for round in 0.. {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let mut child = scene.line(line.split_whitespace()).env("PAUSE_MS", "15").spawn();
                std::thread::sleep(Duration::from_millis((random >> 33) % 900));
                let _ = child.kill();
                let output = child.wait_with_output().unwrap();
                if output.status.code().is_none() {
                    killed.fetch_add(1, Ordering::Relaxed);
                }
                let truths = check(&scene);
                let is_decided = |(stem, truth): (&String, &Truth)| *truth != Truth::Interrupted || is_transactional(stem);
                if killed.load(Ordering::Relaxed) >= kills || round > 12 || !truths.iter().all(is_decided) {
                    let_the_lease_run_out(&scene);
                    let truths = check_what_is_told(&scene);
                    put_right(&scene, &truths, round);
                    break;
                }
                let all = STEMS.iter().all(|stem| truths.get(*stem) == Some(&Truth::Registered));
                line = if all { "rollback:4 rollback:3 rollback:2 --wait 20s".into() } else { "execute --wait 20s".into() };
            }
        }
    });
    let killed = killed.load(Ordering::Relaxed);
    assert!(killed >= kills, "{killed} kills in {:?}", started.elapsed());
}
