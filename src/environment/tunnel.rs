//! Reaches servers through another host, with ssh as a SOCKS proxy on a loopback port.
//!
//! It is a proxy, not a forwarded port, so that the driver can connect to all members of a replica set by the names in its
//! configuration. TLS certificates then match the host names, and a new primary is reached after a failover.

use std::net::TcpListener;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::Child;
use tokio::sync::Mutex;

use super::ssh;
use crate::error::Error;
use crate::line::program::program;

/// What ssh's `LocalCommand` prints when the proxy is set up.
const READY: &str = "ready";

/// An open tunnel. It closes when dropped.
#[derive(Debug)]
pub(crate) struct Tunnel {
    ssh: Mutex<Child>,
    host: String,
    /// The loopback port of the SOCKS proxy.
    pub(crate) port: u16,
}

impl Tunnel {
    /// Connects to the host, and returns once the proxy listens.
    pub(crate) async fn open(host: &str) -> Result<Self, Error> {
        let no_port = |error| Error::failed("no loopback port is free for the ssh tunnel").caused_by(error);
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(no_port)?;
        let port = listener.local_addr().map_err(no_port)?.port();
        drop(listener);
        let proxy = format!("127.0.0.1:{port}");
        let ready = format!("LocalCommand=echo {READY}");
        let options = [
            "-N",
            "-D",
            &proxy,
            // A separate connection, which ends with this process: a shared one would keep the port.
            "-S",
            "none",
            "-o",
            "ControlMaster=no",
            "-o",
            "ExitOnForwardFailure=yes",
            "-o",
            "PermitLocalCommand=yes",
            // Runs after the login, once ssh listens on the port. So it is certain that no other process does.
            "-o",
            &ready,
        ];
        let mut ssh = ssh::start(&options, host, None, [Stdio::null(), Stdio::piped(), Stdio::inherit()])?;
        let mut stdout = ssh.stdout.take().expect("piped above");
        let mut said = [0; READY.len()];
        if stdout.read_exact(&mut said).await.is_err() || said != *READY.as_bytes() {
            let _ = ssh.start_kill();
            let _ = ssh.wait().await;
            return Err(Error::failed(format!(
                "the ssh tunnel through {host} could not be opened, for the reason that ssh printed"
            ))
            .with_hint(format!("check that `ssh {host}` works by itself")));
        }
        Ok(Self { ssh: Mutex::new(ssh), host: host.to_owned(), port })
    }

    /// Waits until the connection is lost, and returns the error for it.
    pub(crate) async fn lost(&self) -> Error {
        let _ = self.ssh.lock().await.wait().await;
        Error::failed(format!("the ssh tunnel through {} was lost", self.host))
            .with_hint(format!("run `{} show_status` in this environment to see what was done before", program()))
    }
}
