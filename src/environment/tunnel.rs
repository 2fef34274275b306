//! The way to servers that only another host reaches: ssh as a SOCKS proxy on a loopback port.
//!
//! A proxy, and not one forwarded port: the driver then finds a replica set's members by the names that the set has for them,
//! TLS certificates are for the right hosts, and another primary is reached after a failover.

use std::net::TcpListener;
use std::process::Stdio;

use tokio::io::AsyncReadExt as _;
use tokio::process::Child;
use tokio::sync::Mutex;

use super::ssh;
use crate::error::Error;

/// What ssh lets a shell print when all is set up.
const READY: &str = "ready";

/// An open tunnel; it closes when dropped.
#[derive(Debug)]
pub(crate) struct Tunnel {
    ssh: Mutex<Child>,
    host: String,
    pub(crate) port: u16,
}

impl Tunnel {
    /// Connects to the host, and returns when the proxy listens.
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
            // A connection of its own, which ends with this process: one that is shared would keep the port.
            "-S",
            "none",
            "-o",
            "ControlMaster=no",
            "-o",
            "ExitOnForwardFailure=yes",
            "-o",
            "PermitLocalCommand=yes",
            // Runs after the login, when the port listens: that nobody else does is then sure.
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
                "the ssh tunnel through {host} could not be opened; ssh has said why, and `ssh {host}` should work by itself"
            )));
        }
        Ok(Self { ssh: Mutex::new(ssh), host: host.to_owned(), port })
    }

    /// Returns, with what to say, when the connection is lost.
    pub(crate) async fn lost(&self) -> Error {
        let _ = self.ssh.lock().await.wait().await;
        Error::failed(format!(
            "the ssh tunnel through {} was lost; `cargo migrations` shows what was done before",
            self.host
        ))
    }
}
