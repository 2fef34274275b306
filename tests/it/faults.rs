//! Guarantee 5: every command that the tool sends fails, in every way, before its effect and after it.
//!
//! The server's own fault injection (`failCommand`) makes it fail; a proxy loses the answer to what the server has done.

use std::collections::BTreeMap;
use std::sync::Mutex;

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{Document, doc};

use super::support::recover::{check_reported_states, recover, wait_for_lease_to_expire};
use super::support::{Outcome, Proxy, Scene, Then, UPKEEP, block_on, check, crash};

/// How many cases are tried at a time, each lane on a server of its own: a fault is injected for all clients of a server.
const LANES: usize = 4;

/// One way to fail.
#[derive(Clone)]
enum Fault {
    /// The server fails the command, before its effect.
    Fails(&'static str, Document),
    /// The server carries it out, and says that it is not confirmed.
    Unconfirmed(&'static str, Document),
    /// The answer is lost.
    AnswerLost,
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::Fails("the connection is closed", doc! { "closeConnection": true }),
        Fault::Fails("no primary any more", doc! { "errorCode": 10107 }),
        Fault::Fails("time is over", doc! { "errorCode": 50 }),
        Fault::Fails("interrupted by a shut-down", doc! { "errorCode": 11600 }),
        Fault::Unconfirmed(
            "confirmed too late",
            doc! { "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } },
        ),
        Fault::Unconfirmed(
            "shutting down",
            doc! { "writeConcernError": { "code": 91, "errmsg": "shutting down", "errorLabels": ["RetryableWriteError"] } },
        ),
        Fault::AnswerLost,
    ]
}

/// How often each command is sent by a run without faults.
fn commands_of(stage: &Stage) -> BTreeMap<String, usize> {
    let mut scene = Scene::new(crash(), &stage.server.uri());
    scene.run(stage.prepare);
    scene.uri = stage.proxy.uri();
    scene.run(stage.line).exits(0);
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for command in &stage.proxy.commands() {
        *count.entry(command.keys().next().unwrap().clone()).or_default() += 1;
    }
    for name in UPKEEP {
        count.remove(name);
    }
    count
}

/// Lets the server fail the tool's next commands of that name.
fn set_fault(server: &str, fault: &Document, command: &str, times: usize) {
    let mut data = doc! { "failCommands": [command], "appName": "cargo-migrations" };
    data.extend(fault.clone());
    fail_command(server, doc! { "configureFailPoint": "failCommand", "mode": { "times": times as i32 }, "data": data });
}

fn fail_command(server: &str, command: Document) {
    block_on(async {
        Client::with_uri_str(server).await.unwrap().database("admin").run_command(command).await.unwrap();
    });
}

/// It ended well, or with one clear error.
#[track_caller]
fn ended_clearly(outcome: &Outcome, case: &str) {
    assert!([0, 1].contains(&outcome.code), "{case}: {outcome:?}");
    if outcome.code == 1 {
        let errors = outcome.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{case}: {outcome:?}");
    }
    for dump in ["Error {", "Kind:", "panicked", "Some("] {
        assert!(!outcome.stderr.contains(dump), "{case}: {outcome:?}");
    }
}

/// A server, and the proxy through which the tool talks to it.
struct Stage {
    server: Throwaway,
    proxy: Proxy,
    prepare: &'static str,
    line: &'static str,
}

impl Stage {
    /// One case: the fault, the run, what is known then, and the way back.
    fn case(&self, fault: &Fault, command: &str, nth: usize, times: usize) {
        let server = self.server.uri();
        let mut scene = Scene::new(crash(), &server);
        scene.run(self.prepare);
        let (what, catch, then) = match fault {
            Fault::Fails(what, data) | Fault::Unconfirmed(what, data) => {
                let (data, name) = (data.clone(), command.to_owned());
                let server = server.clone();
                (*what, 1, Then::Arm(Box::new(move || set_fault(&server, &data, &name, times))))
            }
            Fault::AnswerLost => ("the answer is lost", times, Then::LoseAnswer),
        };
        let case = format!("{}: {command} {nth}, {times} times: {what}", self.line);
        self.proxy.catch(command, nth, catch, then);
        scene.uri = self.proxy.uri();
        let outcome = scene.run(self.line);
        scene.uri = server.clone();
        assert!(self.proxy.let_go(catch), "{case}: it was never sent");
        fail_command(&server, doc! { "configureFailPoint": "failCommand", "mode": "off" });
        ended_clearly(&outcome, &case);
        check(&scene);
        wait_for_lease_to_expire(&scene);
        let truths = check_reported_states(&scene);
        recover(&scene, &truths, nth);
    }
}

/// Every command of a line, every fault. CARGO_MIGRATIONS_FAULTS=all for each place of each command, else the first and last.
fn every_fault(prepare: &'static str, line: &'static str) {
    let all = std::env::var("CARGO_MIGRATIONS_FAULTS").is_ok_and(|which| which == "all");
    let stages: Vec<Stage> = (0..LANES)
        .map(|_| {
            let server =
                block_on(Throwaway::replica_set_with(&["--setParameter", "enableTestCommands=1"])).expect("a mongod");
            let proxy = Proxy::start(server.port());
            Stage { server, proxy, prepare, line }
        })
        .collect();
    let commands = commands_of(&stages[0]);
    assert!(commands.contains_key("commitTransaction") && commands.contains_key("update"), "{commands:?}");
    let mut cases = Vec::new();
    for fault in faults() {
        for (command, &count) in &commands {
            // Of the reads none is to be confirmed, and of a transaction only its end.
            let is_write = !["aggregate", "find", "getMore"].contains(&command.as_str());
            if matches!(fault, Fault::Unconfirmed(..)) && !is_write {
                continue;
            }
            let mut places: Vec<usize> = if all { (0..count).collect() } else { vec![0, count - 1] };
            places.dedup();
            for place in places {
                // Once, which the driver makes good, or more often than it tries.
                let often = [1, 3];
                let chosen = if all { &often[..] } else { &often[place % 2..=place % 2] };
                cases.extend(chosen.iter().map(|&times| (fault.clone(), command.clone(), place, times)));
            }
        }
    }
    let cases = Mutex::new(cases);
    std::thread::scope(|scope| {
        for stage in &stages {
            scope.spawn(|| {
                loop {
                    let Some((fault, command, nth, times)) = cases.lock().unwrap().pop() else { return };
                    stage.case(&fault, &command, nth, times);
                }
            });
        }
    });
}

#[test]
fn execute_with_every_fault() {
    every_fault("show_status", "execute");
}

#[test]
fn rollback_with_every_fault() {
    every_fault("execute", "rollback:3 rollback:4");
}
