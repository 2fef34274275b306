//! `mongod`: the local development server.

use crate::context::Context;
use crate::error::Result;
use crate::line::program::program;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::mongod::local;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "mongod",
    help: "The local development server: where it is, `start`, `stop`

Without a value it prints the connection string of the server, if it is running.
`start` starts it and prints the same. `stop` stops it, and its data stays.

It runs only for a manager whose configuration says `or_local_server`, in a
development build that cargo runs. Each target directory has its own.

$ mongod:start",
    first: First::OneOf(&["start", "stop"]),
    options: &[],
    check: any_values,
    reach: |_| Reach::Nothing,
    asks: |_| Asks::Never,
    needs_files: false,
    flags: &[],
};

/// Shows where the local development server is, starts it (`start`), or stops it (`stop`).
///
/// # Errors
/// This manager has no local server, or it could not be started or stopped.
pub async fn mongod<M: MigrationsManager>(_: &M, cx: &Context, what: Option<&str>) -> Result<()> {
    let directory = cx.local_server_directory()?;
    match what {
        Some("start") => {
            let server = local::ensure(&directory, cx.reporter()).await?;
            cx.reporter().println(server.uri());
        }
        Some(_) => {
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
