//! Starts the user's own OpenSSH client, so that their configuration, agent and known hosts apply.

use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::error::Error;

/// The client, which is looked up on PATH.
const PROGRAM: &str = "ssh";

/// Returns why a name cannot be given to ssh as a host, or `None` if it can. ssh would read one that begins with `-` as an
/// option.
pub(super) fn bad_host(name: &str) -> Option<&'static str> {
    let host = name.strip_prefix("ssh://").unwrap_or(name);
    let host_alone = host.rsplit_once('@').map_or(host, |(_, host)| host);
    if host_alone.is_empty() {
        Some("it is empty")
    } else if name.starts_with('-') || host.starts_with('-') || host_alone.starts_with('-') {
        Some("it begins with `-`")
    } else if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Some("it contains a space or control character")
    } else {
        None
    }
}

/// Starts `ssh OPTIONS -- HOST COMMAND`.
///
/// This process handles Ctrl-C on the terminal, so ssh ignores it. ssh ends when this process does.
pub(super) fn start(
    options: &[&str],
    host: &str,
    command: Option<&str>,
    [stdin, stdout, stderr]: [Stdio; 3],
) -> Result<Child, Error> {
    let mut ssh = Command::new(PROGRAM);
    // No pseudo-terminal, because it would mix stderr into stdout. A dead connection is noticed within a minute.
    ssh.args(["-T", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"]);
    ssh.args(options).arg("--").arg(host).args(command);
    ssh.stdin(stdin).stdout(stdout).stderr(stderr).kill_on_drop(true);
    // ssh runs commands in its options with the user's shell, which may be one that runs none (nologin).
    if cfg!(unix) {
        ssh.env("SHELL", "/bin/sh");
    }
    set_signals(&mut ssh);
    ssh.spawn().map_err(|error| {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        let failed = Error::failed(format!("`{PROGRAM}` cannot be started for {host}")).caused_by(error);
        if is_missing { failed.with_hint("install the OpenSSH client, and make sure that it is on PATH") } else { failed }
    })
}

/// Lets the child ignore Ctrl-C, and end when this process does.
#[cfg(unix)]
#[expect(unsafe_code, reason = "signal dispositions of a child are set between fork and exec")]
fn set_signals(command: &mut Command) {
    // SAFETY: both calls are async-signal-safe, and take and return plain numbers.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_IGN);
            // Also when this process is killed, and so cannot kill its child.
            #[cfg(target_os = "linux")]
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
}

#[cfg(not(unix))]
fn set_signals(_: &mut Command) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_ssh_would_read_as_an_option_is_refused() {
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
