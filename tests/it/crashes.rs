//! Guarantees 2 to 4: a manager that is killed, or frozen, at every point that it comes to, and at random.
//!
//! After each, a checker that knows nothing of the tool reads what is stored; then the next commands must put it right.

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cargo_migrations::mongodb::bson::{DateTime, Document, doc};

use super::support::recover::{AT_A_TIME, Frozen, check_reported_states, in_parallel, recover, wait_for_lease_to_expire};
use super::support::{
    Outcome, STEMS, Scene, Truth, assert_has, check, crash, crash_plain, crash_rerun, faulty_server, is_rerun_safe,
    is_transactional, standalone_server,
};

#[track_caller]
fn was_killed(outcome: &Outcome) -> bool {
    assert!([-1, 0, 1].contains(&outcome.code), "{outcome:?}");
    outcome.code == -1
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
        // While its lease may hold: what is under way is not reported as interrupted. Then it is.
        check(&scene);
        wait_for_lease_to_expire(&scene);
        let truths = check_reported_states(&scene);
        recover(&scene, &truths, index);
    });
}

fn on_replica_set() -> Scene {
    Scene::new(crash(), &faulty_server().uri())
}

fn plain_on_replica_set() -> Scene {
    Scene::new(crash_plain(), &faulty_server().uri())
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

/// Begins in the transaction that takes the lock. Its last migration is transactional, or releases the lock in the transaction that
/// registers it.
#[test]
fn later_execute_killed_at_every_point() {
    killed_at_every_point(on_replica_set, "execute:1", "execute");
    killed_at_every_point(plain_on_replica_set, "execute:1", "execute");
}

#[test]
fn later_execute_killed_at_every_point_on_a_standalone_server() {
    killed_at_every_point(on_standalone, "execute:1", "execute");
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

#[test]
fn adopt_killed_at_every_point() {
    let new = || {
        let scene = on_replica_set();
        let records = ["0001_plain.js", "0002_tx.js", "0003_plain.js"];
        scene.database.insert("changelog", records.map(|name| doc! { "fileName": name, "appliedAt": DateTime::now() }));
        scene
    };
    killed_at_every_point(new, "show_status", "adopt:migrate-mongo --yes");
}

#[test]
fn rollback_to_a_migration_killed_at_every_point() {
    killed_at_every_point(on_replica_set, "execute", "rollback:to=1");
}

#[test]
fn rollback_to_a_migration_killed_at_every_point_on_a_standalone_server() {
    killed_at_every_point(on_standalone, "execute", "rollback:to=0");
}

#[test]
fn redo_killed_at_every_point() {
    killed_at_every_point(on_replica_set, "execute", "redo:3");
    killed_at_every_point(on_replica_set, "execute", "redo:4");
}

#[test]
fn redo_killed_at_every_point_on_a_standalone_server() {
    killed_at_every_point(on_standalone, "execute", "redo:3");
}

#[test]
fn to_killed_at_every_point() {
    killed_at_every_point(on_replica_set, "execute:1 execute:3 execute:4", "to:2 --yes");
}

#[test]
fn to_killed_at_every_point_on_a_standalone_server() {
    killed_at_every_point(on_standalone, "execute:3", "to:1 --yes");
}

/// What may run again does so without a person, also when that run is killed too. What is not known to be safe still waits.
#[test]
fn what_may_run_again_does_so_after_a_kill_at_every_point() {
    killed_at_every_point(|| Scene::new(crash_rerun(), &faulty_server().uri()), "show_status", "execute");
    killed_at_every_point(|| Scene::new(crash_rerun(), &standalone_server().uri()), "show_status", "execute");
}

#[test]
fn a_rollback_of_what_may_run_again_waits_for_a_person() {
    killed_at_every_point(|| Scene::new(crash_rerun(), &faulty_server().uri()), "execute", "rollback:3");
    killed_at_every_point(|| Scene::new(crash_rerun(), &standalone_server().uri()), "execute", "rollback:3");
}

#[test]
fn what_runs_again_may_be_killed_again() {
    let new = || {
        let scene = Scene::new(crash_rerun(), &faulty_server().uri());
        let up = scene.line(["execute:1"]).env("PAUSE_MS", "60000").spawn();
        let mut up = Frozen(up);
        while scene.witnessed("begin up 0001") == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        up.0.kill().unwrap();
        wait_for_lease_to_expire(&scene);
        scene
    };
    let points = new().trace("execute");
    in_parallel(points.len(), |index| {
        let scene = new();
        let outcome = scene.line(["execute"]).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{index}")).run();
        assert!(was_killed(&outcome), "at {index} ({}): {outcome:?}", points[index]);
        wait_for_lease_to_expire(&scene);
        let truths = check_reported_states(&scene);
        assert!(truths.iter().all(|(stem, truth)| !is_rerun_safe(stem) || *truth != Truth::Interrupted), "{truths:?}");
        recover(&scene, &truths, index);
    });
}

/// A line that can be said twice does what is left after it was killed: no more, no less.
fn goes_on_after_a_kill(prepare: &str, line: &str, registered: &[&str]) {
    let new = || {
        let scene = on_replica_set();
        scene.run(prepare).exits(0);
        scene
    };
    let scene = new();
    let points = scene.trace(line);
    assert_eq!(scene.database.registered(), registered);
    in_parallel(points.len(), |index| {
        let scene = new();
        let outcome = scene.line(line.split_whitespace()).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{index}")).run();
        assert!(was_killed(&outcome), "at {index} ({}): {outcome:?}", points[index]);
        wait_for_lease_to_expire(&scene);
        let truths = check_reported_states(&scene);
        for (stem, truth) in truths.iter().filter(|(stem, _)| !is_transactional(stem)) {
            if *truth == Truth::Interrupted {
                let refused = scene.run(line).exits(3);
                assert_has(&refused.stderr, &[stem, "was interrupted"]);
                let is_left = registered.contains(&format!("{stem}.rs").as_str());
                scene.run(&format!("{}:{stem}", if is_left { "execute" } else { "rollback" })).exits(0);
            }
        }
        scene.run(line).exits(0);
        check_reported_states(&scene);
        assert_eq!(scene.database.registered(), registered, "at {index} ({})", points[index]);
    });
}

#[test]
fn the_same_line_does_what_is_left_after_a_kill() {
    goes_on_after_a_kill("execute:1 execute", "rollback:run=last", &["0001_plain.rs"]);
    goes_on_after_a_kill("execute", "rollback:to=1", &["0001_plain.rs"]);
    goes_on_after_a_kill("execute:1 execute:3 execute:4", "to:2 --yes", &["0001_plain.rs", "0002_tx.rs"]);
}

fn stored(scene: &Scene) -> Vec<Document> {
    ["migrations", "migrations_log"].iter().flat_map(|collection| scene.database.documents(collection)).collect()
}

/// The points behind the last write that the fence guards.
const AT_THE_END: [&str; 6] = ["committed", "merge sent", "log merged", "registered", "before release", "released"];

/// Whether a run that is frozen at that point plans again when it wakes up.
fn plans_again(points: &[String], index: usize) -> bool {
    match points.iter().position(|point| point == "committed") {
        Some(begun) if points[0] == "planned" => index < begun,
        _ => ["lease taken", "fence raised"].contains(&points[index].as_str()),
    }
}

/// After `prepare`, another run takes over from one that is frozen at a point of its own, and finishes; then the frozen one wakes up.
fn frozen_at_every_point(new: impl Fn() -> Scene + Sync, prepare: &str) {
    let prepared = || {
        let scene = new();
        scene.run(prepare).exits(0);
        scene
    };
    let points = prepared().trace("execute");
    in_parallel(points.len(), |index| {
        let scene = prepared();
        let mut frozen = Frozen::at(&scene, "execute", index);
        wait_for_lease_to_expire(&scene);
        let truths = check(&scene);
        recover(&scene, &truths, index);
        // If it had registered everything, no run had to take over. Here one does.
        scene.run("unlock --yes").exits(0);
        let before = stored(&scene);
        frozen.wake();
        let status = frozen.0.wait().unwrap();
        // One that plans again finds nothing to do; one that had done all, but for giving the lock back, has done it.
        let had_no_plan = plans_again(&points, index);
        let had_ended = points[index..].iter().all(|point| AT_THE_END.contains(&point.as_str()));
        assert!(status.code() == Some(i32::from(!had_no_plan && !had_ended)), "at {index} ({}): {status:?}", points[index]);
        assert_eq!(stored(&scene), before, "at {index} ({}) it wrote when it woke up", points[index]);
        check_reported_states(&scene);
    });
}

#[test]
fn a_run_that_was_frozen_registers_nothing_when_it_wakes_up() {
    frozen_at_every_point(on_replica_set, "show_status");
}

#[test]
fn a_run_that_was_frozen_registers_nothing_on_a_standalone_server() {
    frozen_at_every_point(on_standalone, "show_status");
}

#[test]
fn a_later_run_that_was_frozen_registers_nothing_when_it_wakes_up() {
    frozen_at_every_point(on_replica_set, "execute:1");
    frozen_at_every_point(plain_on_replica_set, "execute:1");
}

#[test]
fn a_later_run_that_was_frozen_registers_nothing_on_a_standalone_server() {
    frozen_at_every_point(on_standalone, "execute:1");
}

#[test]
fn a_plan_is_made_again_if_a_run_that_was_frozen_registers_in_the_meantime() {
    let prepared = || {
        let scene = plain_on_replica_set();
        scene.run("execute:1").exits(0);
        scene
    };
    let ended = prepared().trace("execute").iter().position(|point| point == "ended, not registered").unwrap();
    let scene = prepared();
    let mut first = Frozen::at(&scene, "execute", ended);
    wait_for_lease_to_expire(&scene);
    let mut second = Frozen::at(&scene, "execute:3", 0);
    // No other run has taken the lock, so it still registers. The term of the lease and the number of the fence stay the same.
    first.wake();
    assert_eq!(first.0.wait().unwrap().code(), Some(0));
    let before = stored(&scene);
    second.wake();
    second.0.wait().unwrap();
    assert_eq!(scene.witnessed("begin up 0003"), 1, "{:?}", scene.witness());
    assert_eq!(stored(&scene), before);
    check_reported_states(&scene);
}

#[test]
fn ctrl_c_while_a_migration_is_registered_leaves_the_next_one_as_it_was() {
    // The start of the next one is in that same write.
    let points = on_replica_set().trace("execute");
    let commits: Vec<usize> = (0..points.len()).filter(|&index| points[index] == "before commit").collect();
    for &point in &commits[1..=2] {
        let scene = on_replica_set();
        let mut frozen = Frozen::at(&scene, "execute", point);
        frozen.signal("INT");
        frozen.wake();
        assert_eq!(frozen.0.wait().unwrap().code(), Some(130));
        let truths = check_reported_states(&scene);
        let registered = truths.values().filter(|truth| **truth == Truth::Registered).count();
        assert!((1..=2).contains(&registered), "{truths:?}");
        assert!(truths.values().all(|truth| [Truth::Registered, Truth::Unregistered].contains(truth)), "{truths:?}");
        // The lock is free at once.
        scene.run("execute").exits(0);
        check_reported_states(&scene);
    }
}

#[test]
fn what_is_left_after_ctrl_c_is_named() {
    for (prepare, line, rest, left, registered) in [
        ("execute", "redo:3", "execute:0003_plain", 3, 4),
        ("execute", "rollback:steps=3", "rollback:steps=2", 3, 1),
        ("execute", "rollback:to=1", "rollback:to=1", 3, 1),
        ("execute:1 execute:4", "to:2 --yes", "to:2", 1, 2),
    ] {
        let new = || {
            let scene = on_replica_set();
            scene.run(prepare).exits(0);
            scene
        };
        let points = new().trace(line);
        // The first is that of the run's start, and the second registers the first step.
        let second = (0..points.len()).filter(|&index| points[index] == "before commit").nth(1).unwrap();
        let scene = new();
        let mut frozen = Frozen::at(&scene, line, second);
        frozen.signal("INT");
        frozen.wake();
        let mut stderr = String::new();
        frozen.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(frozen.0.wait().unwrap().code(), Some(130), "{stderr}");
        assert_has(
            &stderr,
            &["Stopped after 1 migration was rolled back", &format!("hint: run `manager {rest}` to do the rest")],
        );
        assert_eq!(scene.database.registered().len(), left, "{line}");
        check_reported_states(&scene);
        scene.run(&format!("{rest} --yes")).exits(0);
        assert_eq!(scene.database.registered().len(), registered, "{line}");
        check_reported_states(&scene);
    }
}

/// CARGO_MIGRATIONS_KILLS=500 for the long form.
#[test]
fn killed_at_random_again_and_again() {
    let kills: usize = std::env::var("CARGO_MIGRATIONS_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(24);
    let killed = AtomicUsize::new(0);
    let started = Instant::now();
    in_parallel(AT_A_TIME, |lane| {
        // Different each time, and printed when it fails.
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
                    wait_for_lease_to_expire(&scene);
                    let truths = check_reported_states(&scene);
                    recover(&scene, &truths, round);
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
