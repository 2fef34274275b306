//! A real sshd on a loopback port with the test's own keys, and an `ssh` that knows it as `box`.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where distributions install sshd.
const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

pub(crate) struct Sshd {
    folder: tempfile::TempDir,
    process: Child,
    port: u16,
}

impl Sshd {
    /// Starts an sshd whose sessions have these variables. Where no sshd is installed, it prints that the test is skipped, and
    /// returns `None`.
    pub(crate) fn start(variables: &[(&str, &str)]) -> Option<Self> {
        let Some(sshd) = SSHD.iter().map(Path::new).find(|path| path.exists()) else {
            // Not through the captured output, so that a skipped test is always visible.
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("a test");
            let _ = writeln!(std::io::stderr().lock(), "skipped: {name}: no sshd is installed (Debian: openssh-server)");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for key in ["host_key", "user_key"] {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(key)).status();
            assert!(made.expect("ssh-keygen").success());
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let public = |key: &str| fs::read_to_string(path(&format!("{key}.pub"))).expect("a public key");
        fs::write(path("authorized_keys"), public("user_key")).expect("a file");
        let known = |host: &str| format!("{host} {}", public("host_key"));
        fs::write(path("known_hosts"), known(&format!("[127.0.0.1]:{port}"))).expect("a file");
        let variables: String = variables.iter().map(|(name, value)| format!(" \"{name}={value}\"")).collect();
        let set = if variables.is_empty() { String::new() } else { format!("SetEnv{variables}\n") };
        let folder_name = folder.path().display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {folder_name}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthorizedKeysFile {folder_name}/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin yes\nMaxStartups 100:30:200\n{set}"
        );
        fs::write(path("sshd_config"), config).expect("a file");
        let user = String::from_utf8(Command::new("id").arg("-un").output().expect("id").stdout).expect("a name");
        let client = format!(
            "Host box\n  HostName 127.0.0.1\n  Port {port}\n  User {user}  IdentityFile {folder_name}/user_key\n  \
             IdentitiesOnly yes\n  UserKnownHostsFile {folder_name}/known_hosts\n  StrictHostKeyChecking yes\n  \
             BatchMode yes\n"
        );
        fs::write(path("config"), client).expect("a file");
        fs::create_dir(path("bin")).expect("a folder");
        let script = format!("#!/bin/sh\nexec /usr/bin/ssh -F {folder_name}/config \"$@\"\n");
        fs::write(path("bin/ssh"), script).expect("a file");
        fs::set_permissions(path("bin/ssh"), fs::Permissions::from_mode(0o755)).expect("a mode");
        // An sshd that runs as root needs this folder, which Debian's service unit creates.
        let _ = fs::create_dir_all("/run/sshd");
        let log = fs::File::create(path("log")).expect("a file");
        let process = Command::new(sshd)
            .args(["-D", "-e", "-f"])
            .arg(path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts");
        let this = Self { folder, process, port };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", this.port)).is_err() {
            assert!(since.elapsed() < Duration::from_secs(20), "sshd does not listen: {}", this.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(this)
    }

    /// A PATH on which that `ssh` comes first.
    pub(crate) fn path(&self) -> String {
        format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap_or_default())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Cuts every connection. It kills the processes that serve them, but not the commands that they started.
    pub(crate) fn cut(&self) {
        self.processes().into_iter().for_each(kill);
    }

    /// The processes that serve connections. When sshd runs as root, the child of a monitor process serves a connection.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let monitors = children(self.process.id());
        let served = monitors.iter().flat_map(|pid| children(*pid)).filter(|pid| command(*pid).starts_with("sshd"));
        served.chain(monitors.iter().copied()).collect()
    }

    /// How many connections it serves.
    pub(crate) fn connections(&self) -> usize {
        children(self.process.id()).len()
    }

    /// Waits until no connection is open.
    #[track_caller]
    pub(crate) fn wait_until_idle(&self) {
        let since = Instant::now();
        while self.connections() > 0 {
            assert!(since.elapsed() < Duration::from_secs(20), "{} connections are left open", self.connections());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn kill(pid: u32) {
    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
}

/// The children of a process, from /proc.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// A process's arguments.
pub(crate) fn command(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ")
}
