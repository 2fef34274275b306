use crate::context::Context;
use crate::error::Result;
use crate::mongod::local;

/// The local development server: says where it is, starts it, or stops it.
pub(crate) async fn mongod(cx: &Context, what: Option<&str>) -> Result<()> {
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
            None => cx.reporter().status("Local", "no local server is running; `cargo migrations mongod:start` starts it"),
        },
    }
    Ok(())
}
