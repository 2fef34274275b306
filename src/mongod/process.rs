//! Starting a `mongod` on a loopback port, apart from this process.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long a server may take until it accepts connections. It is a fraction of a second, but for a machine under load.
const START: Duration = Duration::from_secs(60);

/// A server that accepts connections.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) port: u16,
}

/// Starts `binary` with its data in `data` and its log in `log`. `port` is tried first, then any free one; `note` is told
/// which, before the server is there. Blocks.
pub(super) fn start(
    binary: &Path,
    data: &Path,
    log: &Path,
    port: Option<u16>,
    arguments: &[OsString],
    note: impl Fn(u16) -> std::io::Result<()>,
) -> Result<Process, Error> {
    let io = |error: std::io::Error| {
        Error::failed(format!("{} cannot be written for a local server", data.display())).caused_by(error)
    };
    fs::create_dir_all(data).map_err(io)?;
    let mut wanted = port;
    // Between finding a port free and the server taking it, another process may take it.
    for attempt in 0.. {
        let port = match wanted.take().filter(|port| is_free(*port)) {
            Some(port) => port,
            None => free_port().map_err(io)?,
        };
        note(port).map_err(io)?;
        let mut command = Command::new(binary);
        command
            .args(["--bind_ip", "127.0.0.1", "--port", &port.to_string(), "--nounixsocket"])
            .arg("--dbpath")
            .arg(data)
            .arg("--logpath")
            .arg(log)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        apart(&mut command);
        let mut child = command
            .spawn()
            .map_err(|error| Error::failed(format!("{} cannot be started", binary.display())).caused_by(error))?;
        match wait_until_it_listens(&mut child, port) {
            Ok(()) => return Ok(Process { child, port }),
            Err(Waited::Ended) if attempt < 4 && log_tail(log).contains("Address already in use") => {}
            Err(waited) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(not_started(binary, log, waited));
            }
        }
    }
    unreachable!("the loop above has no end")
}

enum Waited {
    Ended,
    TooLong,
}

fn wait_until_it_listens(child: &mut Child, port: u16) -> Result<(), Waited> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let started = Instant::now();
    while started.elapsed() < START {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return Err(Waited::Ended);
        }
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(Waited::TooLong)
}

fn not_started(binary: &Path, log: &Path, waited: Waited) -> Error {
    let binary = binary.display();
    let missing = Command::new(binary.to_string()).arg("--version").output().ok().filter(|output| !output.status.success());
    if let Some(output) = missing {
        // The loader's own words name the library.
        let why = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Error::failed(format!(
            "{binary} does not run here: {why}; install what it misses (on Debian: apt-get install libcurl4 libssl3)"
        ));
    }
    let what = match waited {
        Waited::Ended => "ended at once",
        Waited::TooLong => "accepts no connection",
    };
    Error::failed(format!("{binary} was started but {what}; its log tells why: {}", log.display()))
}

fn log_tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(16 << 10)..]).into_owned()
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Lets a child live on its own: in a session of its own, so that Ctrl-C does not reach it, and without this process's
/// descriptors, so that nobody who reads a pipe of ours waits for it.
#[cfg(unix)]
#[expect(unsafe_code, reason = "std has no safe way to start a session and to close what a parent left open")]
pub(super) fn apart(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    let open: Vec<i32> = fs::read_dir("/dev/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect();
    // SAFETY: between fork and exec only async-signal-safe calls are made (setsid, fcntl), and nothing is allocated. A
    // descriptor that is gone by then only makes fcntl fail.
    unsafe {
        command.pre_exec(move || {
            libc::setsid();
            for descriptor in &open {
                libc::fcntl(*descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
            }
            Ok(())
        });
    }
}

#[cfg(not(unix))]
pub(super) fn apart(_: &mut Command) {}

/// The folders of a server below `directory`.
pub(super) fn folders(directory: &Path) -> (PathBuf, PathBuf) {
    (directory.join("data"), directory.join("mongod.log"))
}
