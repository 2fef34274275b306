//! A replica set of three `mongod`s on loopback.

use std::time::{Duration, Instant};

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{Document, doc};

use super::block_on;
use super::run::send;

const NAME: &str = "three";

pub(crate) struct ReplicaSet {
    members: Vec<Throwaway>,
}

impl ReplicaSet {
    pub(crate) fn start() -> Self {
        Self::start_with(false)
    }

    /// A primary, a secondary, and an arbiter, which has no data: a majority is both of the others.
    pub(crate) fn with_arbiter() -> Self {
        Self::start_with(true)
    }

    fn start_with(has_arbiter: bool) -> Self {
        let arguments = ["--replSet", NAME, "--setParameter", "enableTestCommands=1", "--oplogSize", "64"];
        let lifetime = ["--setParameter", "transactionLifetimeLimitSeconds=5"];
        let arguments = [&arguments[..], &lifetime].concat();
        let members: Vec<_> = (0..3).map(|_| block_on(Throwaway::start(&arguments)).expect("a mongod")).collect();
        let list: Vec<Document> = members
            .iter()
            .enumerate()
            .map(|(index, member)| {
                let is_arbiter = has_arbiter && index == 2;
                doc! { "_id": index as i32, "host": format!("127.0.0.1:{}", member.port()), "arbiterOnly": is_arbiter }
            })
            .collect();
        // Elections take about a second, so that a test sees many.
        let settings = doc! { "electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 300 };
        let config = doc! { "_id": NAME, "members": list, "settings": settings };
        block_on(direct(members[0].port(), doc! { "replSetInitiate": config })).expect("a replica set");
        let this = Self { members };
        this.primary();
        this
    }

    pub(crate) fn uri(&self) -> String {
        let hosts: Vec<_> = self.members.iter().map(|member| format!("127.0.0.1:{}", member.port())).collect();
        // The tests' own reads and writes must survive a failover as well.
        format!("mongodb://{}/?replicaSet={NAME}&readConcernLevel=majority&w=majority", hosts.join(","))
    }

    /// Waits until there is a primary, and returns its index among the members.
    pub(crate) fn primary(&self) -> usize {
        let since = Instant::now();
        loop {
            for (index, member) in self.members.iter().enumerate() {
                let hello = block_on(direct(member.port(), doc! { "hello": 1 }));
                if hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false)) {
                    return index;
                }
            }
            assert!(since.elapsed() < Duration::from_secs(60), "no primary");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The secondary of a set with an arbiter.
    pub(crate) fn secondary(&self) -> Secondary {
        let port = self.members[1 - self.primary()].port();
        let status = block_on(direct(port, doc! { "serverStatus": 1 })).expect("a secondary");
        Secondary { port, pid: status.get_i64("pid").expect("a process") }
    }

    /// Makes the primary refuse a command, as if the user lacked the right.
    pub(crate) fn refuse(&self, command: &str) {
        let data = doc! { "failCommands": [command], "errorCode": 13, "failInternalCommands": false };
        let fail = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data };
        block_on(direct(self.members[self.primary()].port(), fail)).expect("a fail point");
    }

    /// Makes the primary step down.
    pub(crate) fn step_down(&self) {
        let port = self.members[self.primary()].port();
        block_on(direct(port, doc! { "replSetStepDown": 5, "secondaryCatchUpPeriodSecs": 2, "force": true }))
            .expect("a step-down");
    }

    /// Kills the primary, and returns its index for [`ReplicaSet::restart`].
    pub(crate) fn kill_primary(&mut self) -> usize {
        let primary = self.primary();
        self.members[primary].kill();
        primary
    }

    pub(crate) fn restart(&mut self, index: usize) {
        block_on(self.members[index].restart()).expect("the member starts again");
    }
}

/// A process that can be frozen.
pub(crate) struct Secondary {
    port: u16,
    pid: i64,
}

impl Secondary {
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn freeze(&self) {
        send("STOP", &self.pid.to_string());
    }

    pub(crate) fn wake(&self) {
        send("CONT", &self.pid.to_string());
    }
}

/// Runs a command on one member, whatever its state.
async fn direct(port: u16, command: Document) -> cargo_migrations::mongodb::error::Result<Document> {
    let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=1000");
    Client::with_uri_str(uri).await?.database("admin").run_command(command).await
}
