//! Backfills of real processes are paused, slowed and resumed from outside, also after their processes were killed.

use std::process::Child;
use std::time::{Duration, Instant};

use cargo_migrations::mongodb::bson::doc;
use serde_json::Value;

use super::support::recover::wait_for_lease_to_expire;
use super::support::{Outcome, Scene, assert_has, backfilling, block_on, faulty_server, signal};

fn scene(documents: i32) -> Scene {
    let scene = Scene::new(backfilling(), &faulty_server().uri());
    scene.database.insert("users", (0..documents).map(|n| doc! { "_id": n, "name": format!("user {n}") }));
    scene
}

/// A process that executes the migration, with so many documents a second at most, and two batches in flight.
fn execute(scene: &Scene, at_most: u32) -> Child {
    execute_with(scene, at_most, 2)
}

/// As [`execute`], with so many batches in flight. Each range has about 250 documents.
fn execute_with(scene: &Scene, at_most: u32, in_flight: u32) -> Child {
    let line = scene.line(["execute:1", "--wait", "60s"]).env("CARGO_MIGRATIONS_RANGE", "250");
    line.env("IN_FLIGHT", in_flight.to_string()).env("AT_MOST", at_most.to_string()).spawn()
}

fn end(child: Child) -> Outcome {
    Outcome::new("execute:1".into(), child.wait_with_output().unwrap())
}

/// What `backfill` shows of the one backfill.
fn shown(scene: &Scene) -> Value {
    scene.run("backfill --format json").exits(0).json()["backfills"][0].clone()
}

/// Waits until that is so.
#[track_caller]
fn wait(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Steers it, and returns its answer.
#[track_caller]
fn steer(scene: &Scene, task: &str) -> String {
    let events = scene.run(&format!("backfill:{task} --format json")).exits(0).json_lines();
    assert_eq!(events.len(), 1, "{events:?}");
    events[0]["answer"].as_str().unwrap().to_owned()
}

fn written(scene: &Scene) -> u64 {
    let filter = doc! { "shout": { "$exists": true } };
    block_on(scene.database.collection("users").count_documents(filter).into_future()).unwrap()
}

#[test]
fn a_pause_holds_until_it_is_resumed_and_a_limit_slows_it() {
    let scene = scene(8000);
    let child = execute(&scene, 800);
    wait("it begins", || scene.witness_length() > 0);
    assert_eq!(steer(&scene, "pause"), "done");
    let at_pause = (written(&scene), scene.witness_length());
    assert!(at_pause.0 < 8000, "it is in the middle");
    let paused = shown(&scene);
    assert_eq!((&paused["state"], &paused["workers"][0]["in_flight"]), (&"paused".into(), &0.into()), "{paused}");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!((written(&scene), scene.witness_length()), at_pause, "nothing is read or written");

    // A limit counts from when it was answered. What was in flight then comes on top.
    assert_eq!(steer(&scene, "throttle=40"), "done");
    assert_eq!(written(&scene), at_pause.0, "a limit does not resume");
    assert_eq!(steer(&scene, "resume"), "done");
    let (since, before) = (Instant::now(), written(&scene));
    std::thread::sleep(Duration::from_secs(2));
    let (done, seconds) = (written(&scene) - before, since.elapsed().as_secs_f64());
    assert!(done as f64 <= 40.0 * (seconds + 2.0), "{done} in {seconds} s");
    wait("it goes on", || written(&scene) > at_pause.0);
    assert_eq!(shown(&scene)["state"], "running");

    assert_eq!(steer(&scene, "throttle=off"), "done");
    let outcome = end(child).exits(0);
    assert_has(&outcome.stderr, &["the backfill of `users` is paused", "backfill:resume` lets it go on"]);
    assert_eq!((written(&scene), scene.witness_length()), (8000, 8000));
    scene.run("backfill").exits(0);
    scene.run("backfill:pause").exits(2);
}

#[test]
fn one_that_is_slowed_to_almost_nothing_can_be_paused_and_resumed() {
    let scene = scene(10_000);
    let child = execute_with(&scene, 1000, 30);
    wait("it begins", || scene.witness_length() > 0);
    // For what is in flight this would take half a minute.
    for task in ["throttle=1", "pause", "resume", "pause", "throttle=off", "resume"] {
        assert_eq!(steer(&scene, task), "done", "{task}");
    }
    end(child).exits(0);
    assert_eq!(written(&scene), 10_000);
}

#[test]
fn one_that_is_paused_and_killed_stays_paused_and_its_next_run_waits() {
    let scene = scene(4000);
    let child = execute(&scene, 200);
    wait("it begins", || scene.witness_length() > 0);
    assert_eq!(steer(&scene, "pause"), "done");
    signal(&child, "KILL");
    end(child);
    assert_eq!(shown(&scene)["state"], "paused");
    wait_for_lease_to_expire(&scene);
    let dead = shown(&scene);
    assert_eq!((&dead["state"], dead["workers"].as_array().unwrap().len()), (&"paused".into(), 0), "{dead}");
    let before = scene.witness_length();

    let child = execute(&scene, 1_000_000);
    wait("it waits", || shown(&scene)["workers"][0]["paused"] == true);
    assert_eq!(shown(&scene)["state"], "paused");
    // It would have written everything long ago.
    std::thread::sleep(Duration::from_millis(1000));
    assert_eq!(scene.witness_length(), before);
    // It may be at its end before it can be asked.
    assert!(["done", "ended"].contains(&steer(&scene, "resume").as_str()));
    let outcome = end(child).exits(0);
    assert_has(&outcome.stderr, &["the backfill of `users` is paused"]);
    assert_eq!(written(&scene), 4000);
}

#[test]
fn one_that_waits_can_be_stopped_and_goes_on_later() {
    let scene = scene(4000);
    let child = execute(&scene, 200);
    wait("it begins", || scene.witness_length() > 0);
    assert_eq!(steer(&scene, "pause"), "done");
    signal(&child, "INT");
    let outcome = end(child).exits(130);
    assert_has(
        &outcome.stderr,
        &[
            "Stopped before any migration was executed",
            "error: the migration 0001_shout was stopped, and is not registered",
            "the backfill of `users` stopped as asked: what is done stays done",
            "hint: run `manager execute` again to do the rest",
        ],
    );
    // It has given back what it had, and there is no process to wait for.
    assert_eq!(shown(&scene)["state"], "paused");
    assert_eq!(steer(&scene, "resume"), "not_running");
    assert_eq!(shown(&scene)["state"], "stopped");
    end(execute(&scene, 1_000_000)).exits(0);
    assert_eq!(written(&scene), 4000);
}

/// So many times in all, in as many databases at a time.
const KILLS: usize = 50;
const SCENES: usize = 5;

#[test]
fn killed_at_any_time_after_a_pause_it_is_paused_once_the_lease_has_run_out() {
    std::thread::scope(|scope| {
        for seed in 0..SCENES {
            scope.spawn(move || {
                let scene = scene(20_000);
                let mut random = u64::from(std::process::id()) * 2 + 2 * seed as u64 + 1;
                for round in 0..KILLS / SCENES {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    killed_while_pausing(&scene, Duration::from_millis(random % 1200), round % 2 == 0);
                }
                end(execute(&scene, 1_000_000)).exits(0);
                assert_eq!(written(&scene), 20_000);
            });
        }
    });
}

/// Starts a run, has it pause, and kills it some time later, which may be before it knows. It goes on for the next one.
fn killed_while_pausing(scene: &Scene, after: Duration, is_resumed_dead: bool) {
    let child = execute(scene, 200);
    let before = scene.witness_length();
    wait("it works", || scene.witness_length() > before);
    std::thread::scope(|scope| {
        let pausing = scope.spawn(|| steer(scene, "pause"));
        std::thread::sleep(after);
        signal(&child, "KILL");
        // It was paused by then, or is not there to answer.
        let answer = pausing.join().unwrap();
        assert!(["done", "not_running"].contains(&answer.as_str()), "{answer}");
    });
    end(child);
    wait("it is paused, and no longer pausing", || {
        let shown = shown(scene);
        let state = shown["state"].as_str().unwrap().to_owned();
        assert!(["pausing", "paused"].contains(&state.as_str()), "{shown}");
        state == "paused"
    });
    wait_for_lease_to_expire(scene);
    let dead = shown(scene);
    assert_eq!((&dead["state"], dead["workers"].as_array().unwrap().len()), (&"paused".into(), 0), "{dead}");
    if is_resumed_dead {
        assert_eq!(steer(scene, "resume"), "not_running");
        return;
    }
    // The next run waits, and is killed while it does.
    let child = execute(scene, 200);
    wait("it waits", || shown(scene)["workers"][0]["paused"] == true);
    signal(&child, "KILL");
    end(child);
    assert_eq!(shown(scene)["state"], "paused");
    wait_for_lease_to_expire(scene);
    assert_eq!(steer(scene, "resume"), "not_running");
}
