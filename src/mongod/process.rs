//! Starts a `mongod` on a loopback port, detached from this process.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long a server may take to accept connections. It takes a fraction of a second, except on a machine under load.
const START: Duration = Duration::from_secs(60);

/// A server that accepts connections.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) child: Child,
    pub(super) port: u16,
}

/// Starts `binary` with its data in `data` and its log in `log`, on `port` if it is free, else on any free port. Blocks.
///
/// `before_start` gets the port before the server is started on it.
pub(super) fn start(
    binary: &Path,
    data: &Path,
    log: &Path,
    port: Option<u16>,
    arguments: &[OsString],
    before_start: impl Fn(u16) -> std::io::Result<()>,
) -> Result<Process, Error> {
    let io = |error: std::io::Error| {
        Error::failed(format!("{} cannot be written for a local server", data.display())).caused_by(error)
    };
    fs::create_dir_all(data).map_err(io)?;
    let mut wanted = port;
    // Another process may take the free port before the server does.
    for attempt in 0.. {
        let port = match wanted.take().filter(|port| is_free(*port)) {
            Some(port) => port,
            None => free_port().map_err(io)?,
        };
        before_start(port).map_err(io)?;
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
        detach(&mut command);
        let mut child = command
            .spawn()
            .map_err(|error| Error::failed(format!("{} cannot be started", binary.display())).caused_by(error))?;
        match wait_until_it_listens(&mut child, port) {
            Ok(()) => return Ok(Process { child, port }),
            Err(NotListening::Exited) if attempt < 4 && log_tail(log).contains("Address already in use") => {}
            Err(reason) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(not_started(binary, log, reason));
            }
        }
    }
    unreachable!("the loop above has no end")
}

/// Why a started server does not listen.
enum NotListening {
    Exited,
    TimedOut,
}

fn wait_until_it_listens(child: &mut Child, port: u16) -> Result<(), NotListening> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let started = Instant::now();
    while started.elapsed() < START {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return Err(NotListening::Exited);
        }
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(NotListening::TimedOut)
}

fn not_started(binary: &Path, log: &Path, reason: NotListening) -> Error {
    let binary = binary.display();
    let missing = Command::new(binary.to_string()).arg("--version").output().ok().filter(|output| !output.status.success());
    if let Some(output) = missing {
        // The dynamic loader's message names the missing library.
        let why = String::from_utf8_lossy(&output.stderr).trim().replace('\n', ", ");
        let why = if why.is_empty() { output.status.to_string() } else { why };
        return Error::failed(format!("{binary} does not run on this machine: {why}"))
            .with_hint("install the missing libraries (on Debian: `apt-get install libcurl4 libssl3`)");
    }
    let what = match reason {
        NotListening::Exited => "exited at once",
        NotListening::TimedOut => "accepts no connections",
    };
    Error::failed(format!("{binary} was started but {what}")).with_hint(format!("see its log: {}", log.display()))
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

/// Detaches a child from this process: in a session of its own Ctrl-C does not reach it, and without this process's descriptors it
/// keeps none of this process's pipes open.
#[cfg(unix)]
#[expect(unsafe_code, reason = "std has no safe way to start a session and to close inherited descriptors")]
pub(super) fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    let open: Vec<i32> = fs::read_dir("/dev/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect();
    // SAFETY: between fork and exec only async-signal-safe calls are made (setsid, fcntl), and nothing is allocated. For a
    // descriptor that has been closed by then fcntl merely fails.
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
pub(super) fn detach(_: &mut Command) {}

/// The data folder and the log file of the server in `directory`.
pub(super) fn folders(directory: &Path) -> (PathBuf, PathBuf) {
    (directory.join("data"), directory.join("mongod.log"))
}
