//! The local development server: one for each target directory, which is started when needed and then keeps running.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mongodb::bson::doc;
use serde_json::{Value, json};

use super::{binary, process, replica_set};
use crate::config::Config;
use crate::error::Error;
use crate::line::program::program;
use crate::model::variables;
use crate::report::Reporter;

/// The file that records the last started server: `{"port", "pid"}`.
const STATE: &str = "server.json";

/// A running local server.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
}

impl Server {
    pub(crate) fn uri(&self) -> String {
        replica_set::uri(self.port)
    }
}

/// Returns the server's folder below the target directory, or an error with the reason why this process uses no local server: it
/// is for development builds that cargo runs.
pub(crate) fn directory(profile: &str) -> Result<PathBuf, Error> {
    let refuse = |why: &str| {
        Err(Error::usage(format!("no MongoDB server is configured, and {why}")).with_hint("set MONGO_URI (or MONGO_HOST)"))
    };
    if profile == "release" {
        return refuse("a release build starts no local server");
    }
    if std::env::var_os(variables::CARGO).is_none() {
        return refuse("a local server is only for runs through cargo");
    }
    let target = std::env::var_os(variables::TARGET_DIR).map(PathBuf::from).or_else(|| {
        // `cargo run`: the manager is target/debug/NAME.
        Some(std::env::current_exe().ok()?.parent()?.parent()?.to_owned())
    });
    match target {
        Some(target) => Ok(target.join("cargo-migrations").join("mongod")),
        None => refuse("the target directory for a local server is not known"),
    }
}

/// The connection string of the local server, if the configuration asks for one. The server is started if it does not run.
pub(crate) async fn uri_for(config: &Config, profile: &str, reporter: &Reporter) -> Result<Option<String>, Error> {
    if !config.local_server || config.names_a_server() {
        return Ok(None);
    }
    config.check()?;
    if config.is_uri_empty {
        if std::env::var_os(variables::CI).is_some() {
            return Err(Error::usage("MONGO_URI is set, but empty").with_hint("set it to a connection string, or unset it"));
        }
        reporter.warning("MONGO_URI is set, but empty, so a local server is used");
    }
    Ok(Some(ensure(&directory(profile)?, reporter).await?.uri()))
}

/// Returns the server of that folder, after starting it if it is not running.
pub(crate) async fn ensure(directory: &Path, reporter: &Reporter) -> Result<Server, Error> {
    let server = match running(directory).await? {
        Some(server) => server,
        None => start(directory, reporter).await?,
    };
    // Also for a running server: the process that started it may have ended before it was a replica set.
    replica_set::ensure_primary(server.port).await?;
    reporter.status("Using", format!("a local mongod on 127.0.0.1:{} (`{} mongod:stop` stops it)", server.port, program()));
    Ok(server)
}

async fn start(directory: &Path, reporter: &Reporter) -> Result<Server, Error> {
    let unwritable = |error: std::io::Error| {
        Error::failed(format!("{} cannot be written for the local server", directory.display())).caused_by(error)
    };
    fs::create_dir_all(directory).map_err(unwritable)?;
    let lock = lock(directory).await.map_err(unwritable)?;
    // Another process may have started it while this one waited.
    if let Some(server) = running(directory).await? {
        return Ok(server);
    }
    let state = read(directory);
    let port = state.as_ref().map(|state| state.port);
    let (data, log) = process::folders(directory);
    let reporter = reporter.clone();
    let file = directory.join(STATE);
    let port = blocking(move || {
        let binary = binary::locate(Some(&reporter))?;
        let arguments: Vec<OsString> =
            ["--replSet", replica_set::NAME, "--wiredTigerCacheSizeGB", "0.5", "--logappend"].map(OsString::from).into();
        // Written before the start: if this process is killed, the next one still finds the server.
        let note = |port: u16, pid: Option<u32>| {
            fs::write(file.with_extension("new"), json!({ "port": port, "pid": pid }).to_string())?;
            fs::rename(file.with_extension("new"), &file)
        };
        let process = process::start(&binary, &data, &log, port, &arguments, |port| note(port, None))?;
        note(process.port, Some(process.child.id()))
            .map_err(|error| Error::failed(format!("{} cannot be written", file.display())).caused_by(error))?;
        Ok(process.port)
    })
    .await?;
    drop(lock);
    Ok(Server { port })
}

/// Returns the server of that folder, if it is running.
pub(crate) async fn running(directory: &Path) -> Result<Option<Server>, Error> {
    let Some(state) = read(directory) else { return Ok(None) };
    if !is_ours(state.port, directory).await {
        return Ok(None);
    }
    Ok(Some(Server { port: state.port }))
}

/// Stops the server of that folder. Returns `false` if none was running.
pub(crate) async fn stop(directory: &Path) -> Result<bool, Error> {
    let Some(server) = running(directory).await? else { return Ok(false) };
    let client = replica_set::direct(server.port).await?;
    // The server closes the connection instead of answering.
    let _ = client.database("admin").run_command(doc! { "shutdown": 1, "force": true }).await;
    for _ in 0..300 {
        // The lock of the data is freed last. Until then another server cannot be started on it.
        if std::net::TcpStream::connect(("127.0.0.1", server.port)).is_err() && lock_file_is_empty(directory) {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Error::failed(format!("the local server on 127.0.0.1:{} did not stop within 30 s", server.port))
        .with_hint(format!("see its log: {}", process::folders(directory).1.display())))
}

/// The content of [`STATE`].
struct State {
    port: u16,
}

fn read(directory: &Path) -> Option<State> {
    let state: Value = serde_json::from_slice(&fs::read(directory.join(STATE)).ok()?).ok()?;
    Some(State { port: state["port"].as_u64()?.try_into().ok()? })
}

/// Whether the server on that port is the one of that folder, and not another server that has taken its port.
async fn is_ours(port: u16, directory: &Path) -> bool {
    // Without a listener this fails at once, while the driver would keep trying.
    if std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        return false;
    }
    let Ok(client) = replica_set::direct(port).await else { return false };
    let Ok(options) = client.database("admin").run_command(doc! { "getCmdLineOpts": 1 }).await else { return false };
    let path = options
        .get_document("parsed")
        .and_then(|parsed| parsed.get_document("storage"))
        .and_then(|storage| storage.get_str("dbPath"));
    let (data, _) = process::folders(directory);
    path.is_ok_and(|path| Path::new(path).canonicalize().ok() == data.canonicalize().ok())
}

/// Whether the server has shut down: it empties the file at its end.
fn lock_file_is_empty(directory: &Path) -> bool {
    fs::metadata(process::folders(directory).0.join("mongod.lock")).is_ok_and(|file| file.len() == 0)
}

async fn lock(directory: &Path) -> std::io::Result<File> {
    let file = File::create(directory.join("start.lock"))?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await?
}

pub(super) async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(f)
        .await
        .map_err(|error| Error::failed("the local server could not be started").caused_by(error))?
}
