//! Runs the line on another machine over ssh. `terminal::hop` is the other half of the protocol.
//!
//! There is no pseudo-terminal on the other machine, because it would mix stderr into stdout. What one would do is done in
//! other ways:
//!
//! - A variable gives the width of the local terminal, so that the remote process can draw for it.
//! - Answers to questions are sent to the remote stdin. A line with the byte of Ctrl-C, or the end of the input, is a
//!   Ctrl-C.
//!
//! The local stdin is read only after the remote process has asked a question, because ssh may ask for a passphrase itself.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdin};
use tokio::sync::mpsc;

use super::ssh;
use crate::error::Error;
use crate::model::variables;
use crate::process::stop::Stop;
use crate::terminal::{self, Stream, hop, stdin, stdout};

/// Adds the folder in which rustup installs cargo, which is not on PATH in a shell without a login. The remote shell expands
/// it.
const PATH: &str = r#"PATH="$HOME/.cargo/bin:$PATH""#;

/// Another machine, and what to start on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host<'e> {
    pub(crate) name: &'e str,
    pub(super) working_directory: Option<&'e Path>,
    pub(super) manager: Option<&'e Path>,
}

/// Runs the line on another machine, and returns its exit code. Its stdout and stderr are passed on as they come.
///
/// `asks` says whether the remote process may ask questions, if there is a terminal to ask on.
///
/// # Errors
/// ssh cannot be started, the connection fails or is lost, or there is no cargo or manager on the other machine.
pub(crate) async fn run(host: &Host<'_>, words: &[String], asks: bool, stop: &Stop) -> Result<u8, Error> {
    let is_asked = asks && terminal::can_ask();
    let command = command(host, words, is_asked)?;
    // Questions are found in the remote stderr. ssh's own questions do not pass through it: it writes them to the terminal.
    let stderr = if is_asked { Stdio::piped() } else { Stdio::inherit() };
    let mut ssh = ssh::start(&[], host.name, Some(&command), [Stdio::piped(), stdout::for_child(), stderr])?;
    let mut input = ssh.stdin.take().expect("piped above");
    let _relaying = stop.relay();
    let (questions, asked) = mpsc::unbounded_channel();
    let forwarding = ssh.stderr.take().map(|stderr| tokio::spawn(forward_stderr(stderr, questions)));
    let status = tokio::select! {
        status = ssh.wait() => status,
        // The pipe stays open, because its end would be a Ctrl-C.
        () = forward_input(&mut input, stop, asked) => ssh.wait().await,
    };
    if let Some(forwarding) = forwarding {
        // Its last output may not have been read yet.
        let _ = forwarding.await;
    }
    let status =
        status.map_err(|error| Error::failed(format!("waiting for ssh to {} failed", host.name)).caused_by(error))?;
    let name = host.name;
    match status.code() {
        Some(255) => {
            Err(Error::failed(format!("the connection to {name} failed or was lost, for the reason that ssh printed"))
                .with_hint(format!(
                    "a run that was under way there stops after its current migration: run `show_status` in the same \
                     environment to see what was done, and check that `ssh {name}` works by itself"
                )))
        }
        Some(127) => Err(match host.manager {
            Some(manager) => Error::failed(format!("there is no manager {} on {name}", manager.display()))
                .with_hint("deploy it there, or change `.manager(path)`"),
            None => Error::failed(format!("the shell finds no cargo on {name}"))
                .with_hint("install cargo there, or deploy the manager and name it with `.manager(path)`"),
        }),
        Some(code) => Ok(u8::try_from(code).unwrap_or(1)),
        None => Err(Error::failed(format!("a signal ended ssh while the line ran on {name}"))),
    }
}

/// Passes on the remote stderr, and sends a message for each question in it.
async fn forward_stderr(mut stderr: ChildStderr, questions: mpsc::UnboundedSender<()>) {
    let mut bytes = vec![0; 8192];
    while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
        let mut texts = bytes[..count].split(|byte| *byte == hop::ENQUIRY).peekable();
        while let Some(text) = texts.next() {
            let is_question = texts.peek().is_some();
            if is_question {
                stdin::discard_typed();
            }
            let _ = Stream::Stderr.write_bytes(text);
            if is_question {
                let _ = questions.send(());
            }
        }
    }
}

/// Passes on answers to questions, and one Ctrl-C. Returns when there is nothing more to pass on.
async fn forward_input(input: &mut ChildStdin, stop: &Stop, mut asked: mpsc::UnboundedReceiver<()>) {
    let mut is_stopped = false;
    loop {
        let answer = async {
            match asked.recv().await {
                // The end of the input counts as a no.
                Some(()) => Some(stdin::line().await.unwrap_or_default()),
                None => None,
            }
        };
        let text = tokio::select! {
            () = stop.asked(), if !is_stopped => {
                is_stopped = true;
                hop::CTRL_C.to_owned()
            }
            answer = answer => match answer {
                Some(answer) => answer,
                None if is_stopped => return,
                None => {
                    stop.asked().await;
                    is_stopped = true;
                    hop::CTRL_C.to_owned()
                }
            },
        };
        if input.write_all(format!("{text}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Returns the command for the remote shell.
fn command(host: &Host<'_>, words: &[String], is_asked: bool) -> Result<String, Error> {
    let mut command = Vec::new();
    if let Some(directory) = host.working_directory {
        command.push(format!("cd {} &&", quoted([path(directory)?])?));
    }
    command.push(format!("exec env {}={}", variables::ON_HOST, if is_asked { hop::ASK } else { "1" }));
    if let Some(columns) = terminal::columns() {
        command.push(format!("{}={columns}", variables::COLUMNS));
    }
    match host.manager {
        Some(manager) => command.push(quoted([path(manager)?])?),
        None => command.push(format!("{PATH} cargo migrations")),
    }
    command.push(quoted(words.iter().map(String::as_str))?);
    Ok(command.join(" "))
}

fn path(path: &Path) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| Error::usage(format!("the path {} is not valid UTF-8", path.display())))
}

fn quoted<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<String, Error> {
    shlex::try_join(words).map_err(|_| Error::usage("a task contains a NUL byte, which cannot be sent to another machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remote_shell_gets_every_word_unchanged() {
        let words = ["web", "mytask:it's,$HOME `x` \"y\"", "--format", "json"].map(str::to_owned);
        let host =
            Host { name: "web-1", working_directory: Some(Path::new("/srv/my blog")), manager: Some(Path::new("./m")) };
        let command = command(&host, &words, false).unwrap();
        let mut expected = vec!["cd", "/srv/my blog", "&&", "exec", "env", "CARGO_MIGRATIONS_ON_HOST=1", "./m"];
        expected.extend(words.iter().map(String::as_str));
        assert_eq!(shlex::split(&command).unwrap(), expected);
    }
}
