//! From a configuration to a database: the driver's options, and the first contact.

mod contact;
mod majority;
mod recorder;
mod target;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mongodb::error::ErrorKind as DriverErrorKind;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::{ClientOptions, Socks5Proxy};
use mongodb::{Client, Database};

use crate::error::Error;
use crate::error::describe;
use contact::Contact;
pub(crate) use majority::Progress;
pub(crate) use recorder::Recorder;
pub(crate) use target::{Target, bad_database_name, check_database_name};

/// The name under which servers log our connections.
const APP_NAME: &str = "cargo-migrations";

/// A connection that has reached a server, to one of its databases.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) database: Database,
    /// The options for another client of the same server.
    options: Arc<ClientOptions>,
    /// Whether the server supports transactions: it is a replica set or a sharded cluster, not a standalone server.
    pub(crate) has_transactions: bool,
    /// Whether it may be the router of a sharded cluster.
    pub(crate) is_router: bool,
    /// Whether it logs in as a user.
    pub(crate) has_login: bool,
    /// Records what the commands of this client do, while a migration runs.
    pub(crate) recorder: Arc<Recorder>,
    /// Whether this is one of several databases that are worked on with one client.
    pub(crate) is_shared: bool,
}

impl Connection {
    /// Returns the connection for another database of the server.
    pub(crate) fn to(&self, database: &str) -> Self {
        Self { database: self.database.client().database(database), is_shared: true, ..self.clone() }
    }

    /// The driver's options, as the connection string or the other settings give them.
    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Returns the same connection with a client of its own: whatever happens to the connections of this one, it has another.
    ///
    /// It belongs to the runtime that this is called on.
    pub(crate) fn with_own_client(&self) -> mongodb::error::Result<Self> {
        // It needs one connection, and another for a session that the driver may open.
        let mut few = ClientOptions::clone(&self.options);
        (few.min_pool_size, few.max_pool_size) = (None, Some(2));
        Ok(self.with_client(&Client::with_options(few)?))
    }

    /// Returns the same connection with a client whose commands are not recorded, for what reads or writes a lot.
    pub(crate) fn without_records(&self) -> mongodb::error::Result<Self> {
        Ok(self.with_client(&Client::with_options(ClientOptions::clone(&self.options))?))
    }

    fn with_client(&self, client: &Client) -> Self {
        Self { database: client.database(self.database.name()), ..self.clone() }
    }
}

/// Called after each command that was sent to the server, with its name, how long it took, and whether it succeeded.
pub(crate) type OnCommand = dyn Fn(&str, Duration, bool) + Send + Sync;

/// Connects to the target, through the SOCKS proxy on the loopback port `proxy` if one is given. `records` says that what its commands
/// do can be recorded. Each answer is read twice then.
///
/// # Errors
/// The options contradict each other, or no server can be used in time.
pub(crate) async fn connect(
    target: &Target,
    proxy: Option<u16>,
    on_command: Option<Box<OnCommand>>,
    records: bool,
) -> Result<Connection, Error> {
    let mut options = target.options.clone();
    options.app_name.get_or_insert_with(|| APP_NAME.into());
    if let Some(port) = proxy {
        options.socks5_proxy = Some(Socks5Proxy::builder().host("127.0.0.1").port(port).build());
    }
    let of_another = options.clone();
    let recorder = Arc::new(Recorder::default());
    let observed = Arc::clone(&recorder);
    let is_observed = records || on_command.is_some();
    let observe = move |event: CommandEvent| {
        observed.observe(&event);
        match (&on_command, event) {
            (Some(observe), CommandEvent::Succeeded(event)) => observe(&event.command_name, event.duration, true),
            (Some(observe), CommandEvent::Failed(event)) => observe(&event.command_name, event.duration, false),
            _ => {}
        }
    };
    options.command_event_handler = is_observed.then(|| EventHandler::callback(observe));
    let contact = Arc::new(Contact::default());
    let watch = Arc::clone(&contact);
    options.sdam_event_handler = Some(EventHandler::callback(move |event| watch.note(event)));
    let replica_set = options.repl_set_name.clone();
    let (uses_tls, has_login) = (options.tls.is_some(), options.credential.is_some());
    let client = Client::with_options(options).map_err(|error| invalid_options(&error, &target.source))?;
    if tokio::time::timeout(target.first_contact, contact.reached.notified()).await.is_err() {
        return Err(contact.explain(target, uses_tls, replica_set.as_deref()));
    }
    let is_router = contact.is_router.load(Ordering::Relaxed);
    let has_transactions = !contact.is_standalone.load(Ordering::Relaxed);
    // Where several databases are worked on, none is named here: `Connection::to` chooses each.
    let database = client.database(target.database.as_deref().unwrap_or_default());
    let (options, is_shared) = (Arc::new(of_another), false);
    Ok(Connection { database, options, has_transactions, is_router, has_login, recorder, is_shared })
}

/// The error for options that the driver does not accept. They were set in `source`.
fn invalid_options(error: &mongodb::error::Error, source: &str) -> Error {
    let reason = describe::driver(error).replace("An invalid argument was provided: ", "");
    match &*error.kind {
        DriverErrorKind::InvalidTlsConfig { .. } => Error::usage(format!("the TLS settings cannot be used: {reason}"))
            .with_hint(format!("check tlsCAFile and tlsCertificateKeyFile in {source}")),
        _ => Error::usage(format!("the connection's settings cannot be used: {reason}"))
            .with_hint(format!("check the options in {source}")),
    }
}
