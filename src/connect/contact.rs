//! The first contact with a server, which has a shorter timeout than the rest of a run.
//!
//! The driver looks for a server for 30 seconds. That is right in the middle of a run, when a primary may be stepping down,
//! but too long at its start. So the events of the driver's own monitors are used, which need no command: they show that a
//! server has answered, or, when none has in time, why not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use mongodb::error::ErrorKind as DriverErrorKind;
use mongodb::event::sdam::SdamEvent;
use tokio::sync::Notify;

use super::Target;
use crate::error::Error;
use crate::error::describe;
use crate::model::variables;

/// What the driver's monitors have seen so far.
#[derive(Default)]
pub(super) struct Contact {
    /// Notified when a server is found that can be used.
    pub(super) reached: Notify,
    /// Why each server could not be reached, by address.
    failures: Mutex<BTreeMap<String, String>>,
    /// Set once a server has answered: the name of its replica set, if it belongs to one.
    answered: Mutex<Option<Option<String>>>,
    pub(super) is_standalone: AtomicBool,
    pub(super) is_router: AtomicBool,
}

impl Contact {
    /// Notes what an event of the driver's monitors shows.
    pub(super) fn note(&self, event: SdamEvent) {
        match event {
            SdamEvent::ServerHeartbeatSucceeded(event) => {
                let set = event.reply.get_str("setName").ok().map(str::to_owned);
                *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(set);
            }
            SdamEvent::ServerHeartbeatFailed(event) => {
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.insert(event.server_address.to_string(), reason(&event.failure));
            }
            SdamEvent::TopologyDescriptionChanged(event) => {
                use mongodb::ServerType::{LoadBalancer, Mongos, RsGhost, RsOther, Standalone, Unknown};
                let servers = event.new_description.servers();
                let is_standalone = servers.iter().any(|(_, server)| server.server_type() == Standalone);
                self.is_standalone.store(is_standalone, Ordering::Relaxed);
                let is_router = servers.iter().any(|(_, server)| matches!(server.server_type(), LoadBalancer | Mongos));
                self.is_router.store(is_router, Ordering::Relaxed);
                if servers.iter().any(|(_, server)| !matches!(server.server_type(), Unknown | RsGhost | RsOther)) {
                    self.reached.notify_one();
                }
            }
            _ => {}
        }
    }

    /// Returns the error for when no server could be used in time. `replica_set` is the one that the connection string
    /// names.
    pub(super) fn explain(&self, target: &Target, uses_tls: bool, replica_set: Option<&str>) -> Error {
        let hosts = &target.hosts;
        // The texts name MONGO_URI. What is set elsewhere has to be fixed there.
        let named = |text: &str| match target.source.as_str() {
            variables::MONGO_URI => text.to_owned(),
            source => text.replace(" or MONGO_HOST", "").replace(variables::MONGO_URI, source),
        };
        let error = |message: String, hint: &str| Error::failed(named(&message)).with_hint(named(hint));
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = answered.as_ref().filter(|set| set.as_deref() != replica_set) {
            let belongs = match set {
                Some(set) => format!("belongs to the replica set `{set}`"),
                None => "does not belong to an initiated replica set".into(),
            };
            return error(format!("{hosts} answers, but {belongs}"), "check replicaSet in MONGO_URI");
        }
        let reasons = failures.iter().map(|(host, why)| format!("{host} ({why})")).collect::<Vec<_>>().join(", ");
        let reasons = if reasons.is_empty() { format!("{hosts} (no answer)") } else { reasons };
        let hint = if reasons.contains("certificate") || reasons.contains("handshake") {
            "check tlsCAFile in MONGO_URI, and that the certificate is for this host name"
        } else if answered.is_some() {
            "make these hosts, which the replica set's own configuration names, reachable from here under those names, \
             or add directConnection=true to MONGO_URI"
        } else if uses_tls {
            "check the host and port in MONGO_URI, that mongod runs there with TLS, and the firewall in between"
        } else if reasons.contains("closed the connection") {
            "check that a mongod listens there, and whether it requires TLS (then add tls=true to MONGO_URI)"
        } else {
            "check the host and port in MONGO_URI or MONGO_HOST, that mongod runs there, and the firewall in between"
        };
        error(format!("no server could be reached: {reasons}"), hint)
    }
}

/// Says in a few words why a monitor failed.
fn reason(error: &mongodb::error::Error) -> String {
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, TimedOut, UnexpectedEof};
    match &*error.kind {
        DriverErrorKind::Io(io) => match io.kind() {
            ConnectionRefused => "connection refused".into(),
            TimedOut => "no answer".into(),
            ConnectionReset | UnexpectedEof => "it closed the connection".into(),
            _ => {
                let text = io.to_string();
                if text.contains("lookup") || text.contains("resolve") || text.contains("Name or service") {
                    "unknown host name".into()
                } else {
                    text
                }
            }
        },
        _ => describe::driver(error),
    }
}
