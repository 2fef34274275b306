//! Servers that end with the process that started them, and leave no files behind.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::local::blocking;
use super::{binary, process, replica_set};
use crate::error::Error;

/// A real `mongod` on a loopback port, with its data in a temporary folder.
///
/// The server is killed and the folder is removed when the value is dropped, or when the process that started it ends, even if it
/// is killed.
///
/// ```no_run
/// # async fn example() -> cargo_migrations::Result<()> {
/// let server = cargo_migrations::mongod::Throwaway::replica_set().await?;
/// let client = cargo_migrations::mongodb::Client::with_uri_str(server.uri()).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "the server is killed when this is dropped"]
pub struct Throwaway {
    child: Child,
    port: u16,
    directory: PathBuf,
    is_replica_set: bool,
    arguments: Vec<OsString>,
    watchdog: Option<Child>,
}

impl Throwaway {
    /// Starts a replica set of one member that accepts writes.
    ///
    /// # Errors
    /// There is no `mongod`, or it does not start.
    pub async fn replica_set() -> Result<Self, Error> {
        Self::replica_set_with(&[]).await
    }

    /// Starts a replica set of one member with additional arguments on mongod's command line.
    ///
    /// # Errors
    /// There is no `mongod`, or it does not start.
    pub async fn replica_set_with(arguments: &[&str]) -> Result<Self, Error> {
        let mut all = vec!["--replSet", replica_set::NAME];
        all.extend(arguments);
        let mut server = Self::start(&all).await?;
        replica_set::ensure_primary(server.port).await?;
        server.is_replica_set = true;
        Ok(server)
    }

    /// Starts a standalone server, with additional arguments on mongod's command line, and waits until it accepts connections.
    ///
    /// # Errors
    /// There is no `mongod`, or it does not start.
    pub async fn start(arguments: &[&str]) -> Result<Self, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("cargo-migrations-{}-{count}", std::process::id()));
        let mut all: Vec<OsString> =
            ["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"]
                .map(OsString::from)
                .into();
        all.extend(arguments.iter().map(OsString::from));
        let folder = directory.clone();
        blocking(move || {
            let binary = binary::locate(None)?;
            let (data, log) = process::folders(&folder);
            let started = process::start(&binary, &data, &log, None, &all, |_| Ok(()));
            if started.is_err() {
                let _ = fs::remove_dir_all(&folder);
            }
            let process = started?;
            let watchdog = watch(process.child.id(), &folder);
            Ok(Self {
                port: process.port,
                child: process.child,
                directory: folder,
                is_replica_set: false,
                arguments: all,
                watchdog,
            })
        })
        .await
    }

    /// Kills the server with SIGKILL. Its data remains for [`Throwaway::restart`].
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.end_watchdog();
    }

    /// Starts the server again with its data and on its port, after killing it if it is running.
    ///
    /// # Errors
    /// The server does not start, or another process has taken its port.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.kill();
        let (folder, arguments, port) = (self.directory.clone(), self.arguments.clone(), self.port);
        let (child, watchdog) = blocking(move || {
            let binary = binary::locate(None)?;
            let (data, log) = process::folders(&folder);
            let mut process = process::start(&binary, &data, &log, Some(port), &arguments, |_| Ok(()))?;
            if process.port != port {
                let _ = process.child.kill();
                let _ = process.child.wait();
                return Err(
                    Error::failed(format!("another process has taken the port {port}")).with_hint("start another server")
                );
            }
            let watchdog = watch(process.child.id(), &folder);
            Ok((process.child, watchdog))
        })
        .await?;
        (self.child, self.watchdog) = (child, watchdog);
        Ok(())
    }

    /// The server is dead already, and its process id may soon belong to another process.
    fn end_watchdog(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
    }

    /// Returns the server's connection string, without a database.
    pub fn uri(&self) -> String {
        if self.is_replica_set { replica_set::uri(self.port) } else { format!("mongodb://127.0.0.1:{}/", self.port) }
    }

    /// Returns the port that the server listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Starts a shell that waits until this process has ended, which closes the pipe to the shell, and then kills the server and
/// removes its folder.
fn watch(server: u32, directory: &Path) -> Option<Child> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"read _; kill -9 "$1" && rm -rf -- "$2"; sleep 0.2; rm -rf -- "$2""#, "sh"])
        .arg(server.to_string())
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    process::detach(&mut command);
    command.spawn().ok()
}
