//! The first contact with a server, watched by itself.
//!
//! The driver would keep looking for a server for 30 seconds, which is right in the middle of a run (a primary may be stepping
//! down) and wrong at its start. So the driver's own monitors tell when a server has answered, which costs no command, and
//! after a while without any answer they tell why not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use mongodb::error::ErrorKind as DriverErrorKind;
use mongodb::event::sdam::SdamEvent;
use tokio::sync::Notify;

use super::Target;
use crate::error::Error;
use crate::error::describe;

/// What the driver's monitors saw so far.
#[derive(Default)]
pub(super) struct Contact {
    pub(super) reached: Notify,
    failures: Mutex<BTreeMap<String, String>>,
    /// The replica set that a server which answered belongs to, if any.
    answered: Mutex<Option<Option<String>>>,
    pub(super) is_standalone: AtomicBool,
}

impl Contact {
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
                use mongodb::ServerType::{RsGhost, RsOther, Standalone, Unknown};
                let servers = event.new_description.servers();
                let is_standalone = servers.iter().any(|(_, server)| server.server_type() == Standalone);
                self.is_standalone.store(is_standalone, Ordering::Relaxed);
                if servers.iter().any(|(_, server)| !matches!(server.server_type(), Unknown | RsGhost | RsOther)) {
                    self.reached.notify_one();
                }
            }
            _ => {}
        }
    }

    pub(super) fn explain(&self, target: &Target, tls: bool, asked_for: Option<&str>) -> Error {
        let hosts = &target.hosts;
        let source = target.source.as_str();
        let named = |text: &str| match source {
            "MONGO_URI" => text.to_owned(),
            other => text.replace(" or MONGO_HOST", "").replace("MONGO_URI", other),
        };
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = answered.as_ref().filter(|set| set.as_deref() != asked_for) {
            let what = match set {
                Some(set) => format!("belongs to the replica set `{set}`"),
                None => "belongs to no replica set, or to one that is not initiated".into(),
            };
            return Error::failed(format!("{hosts} answers, but {what}; {}", named("check replicaSet in MONGO_URI")));
        }
        let told = failures.iter().map(|(host, why)| format!("{host} ({why})")).collect::<Vec<_>>().join(", ");
        let told = if told.is_empty() { format!("{hosts} (no answer)") } else { told };
        let hint = if told.contains("certificate") || told.contains("handshake") {
            "check tlsCAFile in MONGO_URI, and that the host's name is the one in the certificate"
        } else if answered.is_some() {
            "the replica set's own configuration names these hosts: they must be reachable from here under those names, \
             or add directConnection=true to MONGO_URI"
        } else if tls {
            "check host and port in MONGO_URI, that mongod runs there and speaks TLS, and the firewall between"
        } else if told.contains("closed the connection") {
            "check whether the server asks for TLS (then add tls=true to MONGO_URI), and that it is a mongod at all"
        } else {
            "check host and port in MONGO_URI or MONGO_HOST, that mongod runs there, and the firewall between"
        };
        Error::failed(format!("no server could be reached: {told}; {}", named(hint)))
    }
}

/// Why a monitor failed, in a few words.
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
                    "the host name is not known".into()
                } else {
                    text
                }
            }
        },
        _ => describe::driver(error),
    }
}
