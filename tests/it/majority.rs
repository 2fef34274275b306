//! A replica set whose majority confirms nothing: a primary, an arbiter, and a secondary that is frozen.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr};

use super::support::recover::{Frozen, reported_states, wait_for_lease_to_expire};
use super::support::{ReplicaSet, Scene, assert_has, check, crash, signal};

/// Reads what a process says until a line contains the text, and returns all of it.
fn read_until(stderr: &mut BufReader<ChildStderr>, text: &str) -> String {
    let mut all = String::new();
    while !all.contains(text) {
        assert!(stderr.read_line(&mut all).unwrap() > 0, "it ended without `{text}`:\n{all}");
    }
    all
}

fn stderr_of(child: &mut Child) -> BufReader<ChildStderr> {
    BufReader::new(child.stderr.take().unwrap())
}

/// The rest of what it says, and its exit code.
fn end(child: &mut Child, stderr: &mut BufReader<ChildStderr>) -> (String, Option<i32>) {
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    (rest, child.wait().unwrap().code())
}

const SAID: &str = "warning: a majority of the replica set does not confirm writes: ";

#[test]
fn before_anything_ran_it_is_said_bounded_and_stopped() {
    let set = ReplicaSet::with_arbiter();
    let secondary = set.secondary();
    let mut scene = Scene::new(crash(), &set.uri());
    scene.lease_ms = 10_000;
    scene.run("execute:1").exits(0);
    let registered = || scene.database.documents("migrations").len();

    // It waits, and goes on once the member answers.
    secondary.freeze();
    let mut child = scene.line(["execute:2"]).spawn();
    let mut stderr = stderr_of(&mut child);
    let said = read_until(&mut stderr, SAID);
    assert_has(&said, &[&secondary.address()]);
    assert!(!said.contains("Executing"), "{said}");
    secondary.wake();
    let (rest, code) = end(&mut child, &mut stderr);
    assert_eq!(code, Some(0), "{rest}");
    assert_has(&rest, &["it goes on by itself once they are confirmed", "0002_tx"]);
    assert_eq!(registered(), 2);

    // With `--wait` it gives up, and nothing has run. A user without the right to ask the set learns who is silent all the same.
    set.refuse("replSetGetStatus");
    secondary.freeze();
    let outcome = scene.run("execute --wait 1s").exits(3);
    assert_has(
        &outcome.stderr,
        &[
            "error: the lock could not be taken, because a majority of the replica set does not confirm writes: ",
            &format!("{} (no answer)", secondary.address()),
            "Nothing has run",
            "hint: get these members to answer",
        ],
    );
    assert_eq!(scene.witnessed("begin up 0003"), 0);

    // Ctrl-C ends it at once.
    let mut child = scene.line(["execute"]).spawn();
    let mut stderr = stderr_of(&mut child);
    read_until(&mut stderr, SAID);
    signal(&child, "INT");
    let (rest, code) = end(&mut child, &mut stderr);
    assert_eq!(code, Some(130), "{rest}");

    // Neither of them has left an interrupted migration.
    secondary.wake();
    assert_eq!(reported_states(&scene)["0003_plain"], "unregistered");

    // Nor does one whose start is written already, but not confirmed.
    wait_for_lease_to_expire(&scene);
    secondary.freeze();
    let mut child = scene.line(["execute"]).spawn();
    let mut stderr = stderr_of(&mut child);
    read_until(&mut stderr, SAID);
    signal(&child, "INT");
    let (rest, code) = end(&mut child, &mut stderr);
    assert_eq!(code, Some(130), "{rest}");
    assert_has(&rest, &["No migration has begun"]);
    secondary.wake();
    scene.run("execute --wait 20s").exits(0);
    assert_eq!(registered(), 4);
    check(&scene);
}

/// The index of the first point of that name in a run of everything.
fn point(scene: &Scene, name: &str) -> usize {
    scene.trace("execute").iter().position(|point| point == name).unwrap()
}

#[test]
fn once_a_migration_ran_the_run_waits_and_registers_it() {
    let set = ReplicaSet::with_arbiter();
    let secondary = set.secondary();
    let new = || {
        let mut scene = Scene::new(crash(), &set.uri());
        scene.lease_ms = 10_000;
        scene
    };
    let (ended, raised) = (point(&new(), "ended, not registered"), point(&new(), "fence raised"));

    let scene = new();
    let mut frozen = Frozen::at(&scene, "execute --wait 1s", ended);
    secondary.freeze();
    frozen.wake();
    let mut stderr = stderr_of(&mut frozen.0);
    read_until(&mut stderr, SAID);
    // The first signal lets the migration be registered, as always.
    signal(&frozen.0, "INT");
    assert_has(&read_until(&mut stderr, "press Ctrl-C again"), &["stopping after the migration under way"]);
    secondary.wake();
    let (rest, code) = end(&mut frozen.0, &mut stderr);
    assert_eq!(code, Some(130), "{rest}");
    check(&scene);
    assert_eq!(scene.database.documents("migrations").len(), 1, "{rest}");
    scene.run("execute").exits(0);

    // The start of the run is not confirmed: the first signal ends it, since no migration has begun.
    let scene = new();
    let mut frozen = Frozen::at(&scene, "execute", raised);
    secondary.freeze();
    frozen.wake();
    let mut stderr = stderr_of(&mut frozen.0);
    read_until(&mut stderr, SAID);
    signal(&frozen.0, "INT");
    let (rest, code) = end(&mut frozen.0, &mut stderr);
    assert_eq!(code, Some(130), "{rest}");
    secondary.wake();
    assert!(scene.witness().is_empty(), "{:?}", scene.witness());
    check(&scene);
    scene.run("execute --wait 20s").exits(0);
    check(&scene);
}
