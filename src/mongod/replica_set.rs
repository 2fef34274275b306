//! Makes a server a replica set of one member, which has transactions and majority reads like a larger one.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};

use crate::error::Error;

/// The replica set's name.
pub(super) const NAME: &str = "cargo-migrations";

/// How long the election of the only member may take, on a machine under load.
const ELECTION: Duration = Duration::from_secs(60);

pub(super) fn uri(port: u16) -> String {
    format!("mongodb://127.0.0.1:{port}/?replicaSet={NAME}")
}

/// Returns a client that talks to that server in whatever state it is.
pub(super) async fn direct(port: u16) -> Result<Client, Error> {
    let failed = |error| Error::failed("the local server cannot be reached").caused_by(describe(error));
    let mut options =
        ClientOptions::parse(format!("mongodb://127.0.0.1:{port}/?directConnection=true")).await.map_err(failed)?;
    options.server_selection_timeout = Some(Duration::from_secs(2));
    Client::with_options(options).map_err(failed)
}

/// Initiates the set, or reconfigures it when the port has changed, and waits until the server is the primary.
pub(super) async fn ensure_primary(port: u16) -> Result<(), Error> {
    let client = direct(port).await?;
    let admin = client.database("admin");
    let member = format!("127.0.0.1:{port}");
    let started = Instant::now();
    let mut last = String::from("it did not answer");
    while started.elapsed() < ELECTION {
        match advance(&admin, &member).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => last = crate::error::describe::driver(&error),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(Error::failed(format!("the local server on {member} did not become the primary: {last}")))
}

/// Takes the next step towards a primary. Returns whether the server is the primary already.
async fn advance(admin: &Database, member: &str) -> mongodb::error::Result<bool> {
    let hello = admin.run_command(doc! { "hello": 1 }).await?;
    if hello.get_bool("isWritablePrimary").unwrap_or(false) {
        return Ok(true);
    }
    if hello.get_bool("isreplicaset").unwrap_or(false) {
        // The set is not initiated, or was initiated with another port.
        match admin.run_command(doc! { "replSetGetConfig": 1 }).await {
            Ok(reply) => reconfigure(admin, member, &reply).await?,
            Err(_) => {
                let config = doc! { "_id": NAME, "members": [{ "_id": 0, "host": member }] };
                admin.run_command(doc! { "replSetInitiate": config }).await?;
            }
        }
    }
    Ok(false)
}

async fn reconfigure(admin: &Database, member: &str, reply: &Document) -> mongodb::error::Result<()> {
    let Ok(config) = reply.get_document("config") else { return Ok(()) };
    let mut config = config.clone();
    config.insert("version", config.get_i32("version").unwrap_or(1) + 1);
    config.insert("members", vec![doc! { "_id": 0, "host": member }]);
    admin.run_command(doc! { "replSetReconfig": config, "force": true }).await?;
    Ok(())
}

fn describe(error: mongodb::error::Error) -> Error {
    Error::failed(crate::error::describe::driver(&error))
}
