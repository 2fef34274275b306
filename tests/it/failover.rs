//! Guarantee 5: primaries that step down or are killed in every phase of a run, on a replica set of three.

use std::time::Duration;

use super::support::recover::{Frozen, check_reported_states, recover, wait_for_lease_to_expire};
use super::support::{ReplicaSet, Scene, check, fifty};

/// Runs that are frozen at a time, each at a point of its own, while the primary goes.
const AT_A_TIME: usize = 8;

/// The points of a run to try: its first, those of a plain migration and of a transactional one in its middle, and its last.
fn phases(points: &[String]) -> Vec<usize> {
    let ends: Vec<usize> = (0..points.len()).filter(|&index| points[index] == "committed").collect();
    // The commit of the run's begin is the first, then one for each migration: 9 is plain, 10 in a transaction.
    let middle = ends[8] + 1..ends[10] + 2;
    let last = ends[ends.len() - 2]..points.len();
    (0..ends[0] + 2).chain(middle).chain(last).collect()
}

fn goes_in_every_phase(mut goes: impl FnMut(&mut ReplicaSet) -> Option<usize>) {
    let mut set = ReplicaSet::start();
    let points = Scene::new(fifty(), &set.uri()).trace("execute");
    let phases = phases(&points);
    assert!(phases.len() > 20, "{phases:?}");
    for group in phases.chunks(AT_A_TIME) {
        let frozen: Vec<(usize, Scene, Frozen)> = std::thread::scope(|scope| {
            let started: Vec<_> = group
                .iter()
                .map(|&point| {
                    let mut scene = Scene::new(fifty(), &set.uri());
                    // The real one: all of it passes while they are frozen and a primary is elected.
                    scene.lease_ms = 10_000;
                    scope.spawn(move || {
                        let frozen = Frozen::at(&scene, "execute", point);
                        (point, scene, frozen)
                    })
                })
                .collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let gone = goes(&mut set);
        frozen.iter().for_each(|(_, _, frozen)| frozen.wake());
        set.primary();
        for (point, scene, mut frozen) in frozen {
            let status = frozen.0.wait().unwrap();
            let mut stderr = String::new();
            std::io::Read::read_to_string(frozen.0.stderr.as_mut().unwrap(), &mut stderr).unwrap();
            let case = format!("at {point} ({}): {status:?}, {stderr}", points[point]);
            assert!(matches!(status.code(), Some(0 | 1)), "{case}");
            assert!(status.success() || stderr.contains("error: "), "{case}");
            assert!(!stderr.contains("Error {") && !stderr.contains("panicked"), "{case}");
            check(&scene);
            wait_for_lease_to_expire(&scene);
            let truths = check_reported_states(&scene);
            recover(&scene, &truths, point);
        }
        if let Some(member) = gone {
            set.restart(member);
        }
    }
}

#[test]
fn a_primary_that_steps_down_in_every_phase() {
    goes_in_every_phase(|set| {
        set.step_down();
        None
    });
}

#[test]
fn a_primary_that_is_killed_in_every_phase() {
    goes_in_every_phase(|set| Some(set.kill_primary()));
}

#[test]
fn fifty_migrations_while_primaries_come_and_go() {
    let mut set = ReplicaSet::start();
    let scene = Scene::new(fifty(), &set.uri());
    let mut child = scene.line(["execute"]).env("PAUSE_MS", "60").spawn();
    let mut changes = 0;
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(400));
        if changes % 2 == 0 {
            set.step_down();
        } else {
            let member = set.kill_primary();
            set.primary();
            set.restart(member);
        }
        changes += 1;
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(changes >= 2, "it was over before anything happened: {stderr}");
    assert!(matches!(output.status.code(), Some(0 | 1)), "{stderr}");
    set.primary();
    check(&scene);
    wait_for_lease_to_expire(&scene);
    let truths = check_reported_states(&scene);
    recover(&scene, &truths, 0);
}
