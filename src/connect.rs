//! From a configuration to a database: the driver's options, and the first contact.
//!
//! The driver would keep looking for a server for 30 seconds, which is right in the middle of a run (a primary may be stepping
//! down) and wrong at its start. So the first contact is watched by itself: the driver's own monitors tell when a server has
//! answered, which costs no command, and after [`FIRST_CONTACT`] without any answer they tell why not.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mongodb::error::ErrorKind as DriverErrorKind;
use mongodb::event::EventHandler;
use mongodb::event::sdam::SdamEvent;
use mongodb::options::{ClientOptions, Credential, ServerAddress};
use mongodb::{Client, Database};
use tokio::sync::Notify;

use crate::config::Config;
use crate::describe;
use crate::error::Error;
use crate::term;

/// How long the first contact may take, unless the connection string has a `serverSelectionTimeoutMS`.
const FIRST_CONTACT: Duration = Duration::from_millis(4500);

/// The name under which servers log our connections.
const APP_NAME: &str = "cargo-migrations";

/// A client that has reached a server, and the database it is for.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) database: Database,
    /// The hosts that were named, for people.
    pub(crate) hosts: String,
    /// The server is a replica set or a sharded cluster, no standalone one.
    pub(crate) has_transactions: bool,
}

/// Connects to what the configuration names. `uri` stands in for it where the configuration has no server of its own.
pub(crate) async fn connect(config: &Config, uri: Option<&str>) -> Result<Connection, Error> {
    config.check()?;
    let started = Instant::now();
    let mut options = options(config, uri).await?;
    let database = config.mongo_database.clone().or_else(|| options.default_database.clone()).ok_or_else(|| {
        Error::usage("no database is named; set MONGO_DATABASE, or `mongo_database` in the manager's config, or end MONGO_URI in its name")
    })?;
    if let Some(problem) = bad_database_name(&database) {
        return Err(Error::usage(format!("`{database}` cannot be a database's name: {problem}")));
    }
    let contact = Arc::new(Contact::default());
    let watch = Arc::clone(&contact);
    options.sdam_event_handler = Some(EventHandler::callback(move |event| watch.note(event)));
    options.app_name.get_or_insert_with(|| APP_NAME.into());

    // Looking up an SRV record has taken its part of the time.
    let patience = options.server_selection_timeout.unwrap_or(FIRST_CONTACT.saturating_sub(started.elapsed()));
    let set = options.repl_set_name.clone();
    let hosts = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let tls = options.tls.is_some();
    let client = Client::with_options(options).map_err(invalid_options)?;
    if tokio::time::timeout(patience, contact.reached.notified()).await.is_err() {
        return Err(contact.explain(&hosts, tls, set.as_deref()));
    }
    let has_transactions = !contact.is_standalone.load(Ordering::Relaxed);
    Ok(Connection { database: client.database(&database), hosts, has_transactions })
}

/// The driver's options, from the connection string or from migopy's parts.
async fn options(config: &Config, uri: Option<&str>) -> Result<ClientOptions, Error> {
    if let Some(uri) = config.mongo_uri.as_deref() {
        return parse(uri).await;
    }
    if let Some(host) = &config.mongo_host {
        return from_parts(config, host);
    }
    match uri {
        Some(uri) => parse(uri).await,
        None => Err(Error::usage(
            "no server is named; set MONGO_URI (mongodb://host:27017/database) or MONGO_HOST, \
             or `mongo_uri` in the manager's config",
        )),
    }
}

async fn parse(uri: &str) -> Result<ClientOptions, Error> {
    let without_user = without_user(uri);
    // A URI that cannot be parsed is never shown: whatever is wrong with it may be the password.
    let parsed = tokio::time::timeout(FIRST_CONTACT, ClientOptions::parse(uri)).await;
    let error = match parsed {
        Ok(Ok(options)) => {
            if let Some(password) = options.credential.as_ref().and_then(|credential| credential.password.as_deref()) {
                term::keep_secret(password);
            }
            raw_password(uri).into_iter().for_each(term::keep_secret);
            return Ok(options);
        }
        Ok(Err(error)) => Some(error),
        Err(_) => None,
    };
    let host = without_user.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    match error.as_ref().map(|error| &*error.kind) {
        None | Some(DriverErrorKind::DnsResolve { .. }) => Err(Error::failed(format!(
            "the name service knows no SRV record for {host}; check the host name in MONGO_URI, and that this machine has DNS"
        ))),
        Some(_) if uri != without_user && ClientOptions::parse(&without_user).await.is_ok() => Err(Error::usage(
            "MONGO_URI has a user name or password that cannot be read; percent-encode every character in them \
             that is no letter or digit (`@` is %40, `:` is %3A, `/` is %2F, `%` is %25)",
        )),
        Some(_) => {
            // Options may hold a password as well.
            let why = match ClientOptions::parse(&without_user).await {
                Err(error) if !without_user.to_lowercase().contains("password") => {
                    describe::driver(&error).replace("An invalid argument was provided: ", "")
                }
                _ => "it cannot be read".into(),
            };
            Err(Error::usage(format!(
                "MONGO_URI is no connection string: {why}; it looks like mongodb://host:27017/database"
            )))
        }
    }
}

fn from_parts(config: &Config, host: &str) -> Result<ClientOptions, Error> {
    // It may be half a connection string, password and all.
    let shown = if host.contains('@') { "what is set" } else { host };
    let invalid = |_| Error::usage(format!("`{shown}` cannot be a host's name; check MONGO_HOST, or use MONGO_URI"));
    let address = match ServerAddress::parse(host).map_err(invalid)? {
        ServerAddress::Tcp { host, port } => ServerAddress::Tcp { host, port: port.or(Some(config.mongo_port)) },
        other => other,
    };
    let credential = match (&config.mongo_user, &config.mongo_user_password) {
        (Some(user), password) => {
            if let Some(password) = password {
                term::keep_secret(password);
            }
            let mut credential = Credential::default();
            credential.username = Some(user.clone());
            credential.password = password.clone();
            credential.source = config.mongo_database.clone();
            Some(credential)
        }
        (None, Some(_)) => {
            return Err(Error::usage("a password is set (MONGO_USER_PASSWORD) but no user; set MONGO_USER too"));
        }
        (None, None) => None,
    };
    let mut options = ClientOptions::default();
    options.hosts = vec![address];
    options.credential = credential;
    Ok(options)
}

/// The connection string without all that stands ahead of its last `@`, wherever that is: a password that is not encoded may
/// hold anything, a `?` or `/` too.
fn without_user(uri: &str) -> String {
    match (uri.split_once("://"), uri.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => uri.to_owned(),
    }
}

/// The password as the connection string has it, encoded.
fn raw_password(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let (user, _) = rest.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// Why the server would refuse a database of that name.
pub(crate) fn bad_database_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > 63 {
        Some("it has more than 63 bytes")
    } else if name.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
        Some("no `/`, `\\`, `.`, `\"`, `$` or space may stand in one")
    } else {
        None
    }
}

fn invalid_options(error: mongodb::error::Error) -> Error {
    let text = describe::driver(&error).replace("An invalid argument was provided: ", "");
    let text = match &*error.kind {
        DriverErrorKind::InvalidTlsConfig { .. } => {
            format!("the TLS settings cannot be used: {text}; check tlsCAFile and tlsCertificateKeyFile in MONGO_URI")
        }
        _ => format!("the connection's settings cannot be used: {text}"),
    };
    Error::usage(text)
}

/// What the driver's monitors saw so far.
#[derive(Default)]
struct Contact {
    reached: Notify,
    failures: Mutex<BTreeMap<String, String>>,
    /// The replica set that a server which answered belongs to, if any.
    answered: Mutex<Option<Option<String>>>,
    is_standalone: AtomicBool,
}

impl Contact {
    fn note(&self, event: SdamEvent) {
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

    fn explain(&self, hosts: &str, tls: bool, asked_for: Option<&str>) -> Error {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = answered.as_ref().filter(|set| set.as_deref() != asked_for) {
            let what = match set {
                Some(set) => format!("belongs to the replica set `{set}`"),
                None => "belongs to no replica set, or to one that is not initiated".into(),
            };
            return Error::failed(format!("{hosts} answers, but {what}; check replicaSet in MONGO_URI"));
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
        Error::failed(format!("no server could be reached: {told}; {hint}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(uri: &str) -> (u8, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(parse(uri)).unwrap_err();
        (error.exit_code(), error.to_string())
    }

    #[test]
    fn a_bad_connection_string_is_told_without_its_password() {
        for uri in [
            "mongodb://deploy:hu@sh/er@db-1/blog",
            "mongodb://deploy:hush%@db-1/blog",
            "mongodb://de/ploy:hush@db-1/blog",
            "mongodb://deploy:hu?sh@db-1/blog",
            "mongodb://deploy:1234?hush@db-1/blog",
            "mongodb://deploy:hu@sh?x=1@db-1/blog",
        ] {
            let (code, text) = message(uri);
            assert_eq!(code, 2, "{uri}");
            assert!(text.contains("percent-encode") && !text.contains("hu"), "{uri}: {text}");
        }
        for uri in [
            "localhost:27017",
            "http://deploy:hush@db-1",
            "mongodb://deploy:hush@db-1:port/blog",
            "mongodb://h:1/?tlsCertificateKeyFilePassword=hush&x",
            "",
        ] {
            let (code, text) = message(uri);
            assert_eq!(code, 2, "{uri}");
            assert!(text.starts_with("MONGO_URI is no connection string") && !text.contains("hush"), "{uri}: {text}");
        }
    }

    #[test]
    fn names_that_the_server_would_refuse() {
        assert!(bad_database_name("blog").is_none());
        assert!(bad_database_name("a.b").is_some());
        assert!(bad_database_name(&"x".repeat(64)).is_some());
    }
}
