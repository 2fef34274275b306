//! `mongod`: the local development server.

use std::time::Duration;

use crate::config::Config;
use crate::connect::{self, Target, bad_database_name};
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::line::program::program;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, any_values};
use crate::manager::texts::NOTHING;
use crate::model::right;
use crate::mongod::local;
use crate::report::ago;
use crate::store::{Holder, Store};

/// How long a server that is to be stopped may take to say what is at work on it.
const ANSWER: Duration = Duration::from_secs(5);

pub(super) const DECLARATION: Declaration = Declaration {
    name: "mongod",
    group: Group::Develop,
    summary: "The local development server: where it is, `start`, `stop`",
    about: "Without a value it prints the connection string of the server, if it is running.
`start` starts it and prints the same. `stop` stops it, and its data stays. That needs
`--yes` while a run is at work on it.

It runs only for a manager whose configuration says `or_local_server`, in a development
build that cargo runs. Each target directory has its own.",
    first: First::OneOf(&["start", "stop"]),
    options: &[],
    check: any_values,
    reach: |_| Reach::Nothing,
    goal: None,
    asks: |_| Asks::Never,
    needs_files: false,
    flags: &[],
    common_flags: &["--yes"],
    writes: NOTHING,
    rights: right::NONE,
    exits: &[
        (0, "done"),
        (1, "the server could not be started or stopped"),
        (2, "the command line is wrong, or this manager has no local server"),
        (3, "a run is at work on it"),
    ],
    examples: &["mongod:start"],
};

/// Shows where the local development server is, starts it (`start`), or stops it (`stop`).
///
/// # Errors
/// This manager has no local server, or it could not be started or stopped, or a run is at work on it and the line has no `--yes`.
pub async fn mongod<M: MigrationsManager>(_: &M, cx: &Context, what: Option<&str>) -> Result<()> {
    let directory = cx.local_server_directory()?;
    match what {
        Some("start") => {
            let server = local::ensure(&directory, cx.reporter()).await?;
            cx.reporter().println(server.uri());
        }
        Some(_) => {
            if let Some(server) = local::running(&directory).await?
                && !cx.args().yes
            {
                refuse_under_a_run(&server.uri()).await?;
            }
            if local::stop(&directory).await? {
                cx.reporter().status("Stopped", "the local server; its data stays");
            } else {
                cx.reporter().status("Stopped", "no local server was running");
            }
        }
        None => match local::running(&directory).await? {
            Some(server) => cx.reporter().println(server.uri()),
            None => {
                cx.reporter().status("Local", "no local server is running");
                cx.reporter().hint(format!("start it with `{} mongod:start`", program()));
            }
        },
    }
    Ok(())
}

/// Returns an error if a run is at work on that server. It would be interrupted, and would try to reach the server for a while.
async fn refuse_under_a_run(uri: &str) -> Result<()> {
    // A server that cannot answer, as one that never became the primary, can still be stopped.
    let Ok(Ok(Some((database, holder)))) = tokio::time::timeout(ANSWER, at_work(uri)).await else { return Ok(()) };
    let (who, since) = (format!("{}@{} (pid {})", holder.user, holder.host, holder.pid), ago(holder.held_for));
    let message = format!("a run is at work on {database}: {who}, {}, for {since}", holder.command);
    let hint = format!("wait until it ends, or interrupt it with `{} mongod:stop --yes`", program());
    Err(Error::new(ErrorKind::Locked, message).with_hint(hint).into())
}

/// A database of that server whose lock is held, and by which run.
async fn at_work(uri: &str) -> Result<Option<(String, Holder)>> {
    let config = Config::new().mongo_uri(uri);
    let target = Target::of_databases(&config, None).await?;
    let connection = connect::connect(&target, None, None, false).await?;
    let names = connection.database.client().list_database_names().await?;
    // The lock's collection has the same name whatever that of the registry is.
    let store = Store::new(&connection, &config.migrations_collection);
    for name in names.into_iter().filter(|name| bad_database_name(name).is_none()) {
        let lease = store.of_database(&name).read_lease().await?;
        if let Some(holder) = lease.and_then(|lease| lease.holder).filter(|holder| holder.is_live) {
            return Ok(Some((name, holder)));
        }
    }
    Ok(None)
}
