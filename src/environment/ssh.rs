//! The user's own OpenSSH client: their configuration, agent and known hosts.

use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::error::Error;

/// The client, as PATH has it.
const PROGRAM: &str = "ssh";

/// Why a name is no host to give to ssh, which would take one that begins with `-` for an option.
pub(super) fn bad_host(name: &str) -> Option<&'static str> {
    let host = name.strip_prefix("ssh://").unwrap_or(name);
    let host_alone = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if host_alone.is_empty() {
        Some("it is empty")
    } else if name.starts_with('-') || host.starts_with('-') || host_alone.starts_with('-') {
        Some("a host's name does not begin with `-`")
    } else if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Some("no space may stand in it")
    } else {
        None
    }
}

/// `ssh OPTIONS -- HOST COMMAND`, with nothing of ours open but the pipes that are asked for.
///
/// Ctrl-C on the terminal is ours to deal with, so ssh does not get it; and it does not outlive this process.
pub(super) fn start(
    options: &[&str],
    host: &str,
    command: Option<&str>,
    [stdin, stdout, stderr]: [Stdio; 3],
) -> Result<Child, Error> {
    let mut ssh = Command::new(PROGRAM);
    // No pseudo-terminal: it would mix stderr into stdout. A dead connection is noticed within a minute.
    ssh.args(["-T", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"]);
    ssh.args(options).arg("--").arg(host).args(command);
    ssh.stdin(stdin).stdout(stdout).stderr(stderr).kill_on_drop(true);
    // It runs what stands in its options by the user's shell, which may be none.
    if cfg!(unix) {
        ssh.env("SHELL", "/bin/sh");
    }
    by_itself(&mut ssh);
    ssh.spawn().map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "; install the OpenSSH client, and have it on PATH",
            _ => "",
        };
        Error::failed(format!("`{PROGRAM}` cannot be started for {host}{hint}")).caused_by(error)
    })
}

#[cfg(unix)]
#[expect(unsafe_code, reason = "what a child process is to be like is told between fork and exec")]
fn by_itself(command: &mut Command) {
    // SAFETY: both calls are async-signal-safe, and take and return plain numbers.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_IGN);
            // Also when this process is killed and runs nothing more.
            #[cfg(target_os = "linux")]
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
}

#[cfg(not(unix))]
fn by_itself(_: &mut Command) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_would_take_for_an_option_is_refused() {
        for host in ["web-1", "deploy@web-1", "ssh://deploy@web-1:2222", "10.0.0.1", "deploy@[::1]"] {
            assert_eq!(bad_host(host), None, "{host}");
        }
        for host in
            ["", "-oProxyCommand=x", "deploy@-oProxyCommand=x", "ssh://-x", "ssh://deploy@-x", "a b", "a\nb", "deploy@"]
        {
            assert!(bad_host(host).is_some(), "{host}");
        }
    }
}
