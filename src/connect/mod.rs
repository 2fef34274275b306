//! From a configuration to a database: the driver's options, and the first contact.

mod contact;
mod target;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mongodb::error::ErrorKind as DriverErrorKind;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::options::Socks5Proxy;
use mongodb::{Client, Database};

use crate::error::Error;
use crate::error::describe;
use contact::Contact;
pub(crate) use target::{Target, bad_database_name};

/// The name under which servers log our connections.
const APP_NAME: &str = "cargo-migrations";

/// A client that has reached a server, and the database it is for.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) database: Database,
    /// The server is a replica set or a sharded cluster, no standalone one.
    pub(crate) has_transactions: bool,
}

impl Connection {
    /// The same server, and another of its databases.
    pub(crate) fn to(&self, database: &str) -> Self {
        Self { database: self.database.client().database(database), has_transactions: self.has_transactions }
    }
}

/// Hears of a command that was sent: its name, how long it took, and whether the server took it.
pub(crate) type OnCommand = dyn Fn(&str, Duration, bool) + Send + Sync;

/// Connects, through the proxy on that loopback port if one is given.
pub(crate) async fn connect(
    target: &Target,
    proxy: Option<u16>,
    on_command: Option<Box<OnCommand>>,
) -> Result<Connection, Error> {
    let mut options = target.options.clone();
    options.command_event_handler = on_command.map(|hear| {
        EventHandler::callback(move |event| match event {
            CommandEvent::Succeeded(event) => hear(&event.command_name, event.duration, true),
            CommandEvent::Failed(event) => hear(&event.command_name, event.duration, false),
            _ => {}
        })
    });
    let contact = Arc::new(Contact::default());
    let watch = Arc::clone(&contact);
    options.sdam_event_handler = Some(EventHandler::callback(move |event| watch.note(event)));
    options.app_name.get_or_insert_with(|| APP_NAME.into());
    if let Some(port) = proxy {
        options.socks5_proxy = Some(Socks5Proxy::builder().host("127.0.0.1").port(port).build());
    }
    let patience = target.patience;
    let set = options.repl_set_name.clone();
    let tls = options.tls.is_some();
    let client = Client::with_options(options).map_err(invalid_options)?;
    if tokio::time::timeout(patience, contact.reached.notified()).await.is_err() {
        return Err(contact.explain(target, tls, set.as_deref()));
    }
    let has_transactions = !contact.is_standalone.load(Ordering::Relaxed);
    Ok(Connection { database: client.database(&target.database), has_transactions })
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
