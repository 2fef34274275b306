//! The same line on another machine: here it is sent, and there it is understood.
//!
//! No pseudo-terminal is made there, since it would mix stderr into stdout. What a terminal is for goes another way: the far
//! side is told how wide ours is, and draws for it; answers are its stdin, on which a line of Ctrl-C's own byte, or
//! the end, is Ctrl-C. Nothing is read here before it has asked: ssh itself may have to ask for a passphrase.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStderr, ChildStdin};
use tokio::sync::mpsc;

use super::ssh;
use crate::error::Error;
use crate::model::variables;
use crate::process::stop::Stop;
use crate::terminal;
use crate::terminal::far_side;
use crate::terminal::stdin;

/// cargo is where rustup puts it, for shells that nobody logs in to; the shell there fills this in.
const PATH: &str = r#"PATH="$HOME/.cargo/bin:$PATH""#;

/// Another machine, and what is started there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host<'e> {
    pub(crate) name: &'e str,
    pub(super) working_directory: Option<&'e Path>,
    pub(super) manager: Option<&'e Path>,
}

/// Runs the line on that machine, and returns its exit code. What it writes goes to our stdout and stderr as it comes.
///
/// `asks`: somebody may answer questions here.
pub(crate) async fn run(host: &Host<'_>, words: &[String], asks: bool, stop: &Stop) -> Result<u8, Error> {
    let is_asked = asks && terminal::can_ask();
    let command = command(host, words, is_asked)?;
    // Questions are seen in what comes out; ssh's own go past it, to the terminal itself.
    let stderr = if is_asked { Stdio::piped() } else { Stdio::inherit() };
    let mut ssh = ssh::start(&[], host.name, Some(&command), [Stdio::piped(), Stdio::inherit(), stderr])?;
    let mut input = ssh.stdin.take().expect("piped above");
    let _relaying = stop.relay();
    let (questions, asked) = mpsc::unbounded_channel();
    let shown = ssh.stderr.take().map(|stderr| tokio::spawn(show(stderr, questions)));
    let status = tokio::select! {
        status = ssh.wait() => status,
        // The pipe stays open: its end would be a Ctrl-C.
        () = type_there(&mut input, stop, asked) => ssh.wait().await,
    };
    if let Some(shown) = shown {
        // What was written last is still on its way.
        let _ = shown.await;
    }
    let status =
        status.map_err(|error| Error::failed(format!("ssh to {} cannot be waited for", host.name)).caused_by(error))?;
    let there = |text: &str| Error::failed(format!("{text} on {}", host.name));
    match status.code() {
        Some(255) => Err(Error::failed(format!(
            "the connection to {name} could not be made, or was lost, and ssh has said why; a run that was under way there stops \
             after its migration: see what was done with the same line and `show_status`, and that `ssh {name}` works by itself",
            name = host.name
        ))),
        Some(127) => Err(match host.manager {
            Some(manager) => there(&format!("there is no manager {}", manager.display())),
            None => {
                there("the shell finds no cargo; install it there, or deploy the manager and name it with `.manager(path)`,")
            }
        }),
        Some(code) => Ok(u8::try_from(code).unwrap_or(1)),
        None => Err(there("ssh was ended by a signal while the line ran")),
    }
}

/// Writes what comes from the other side's stderr to ours, and tells of each question in it.
async fn show(mut stderr: ChildStderr, questions: mpsc::UnboundedSender<()>) {
    let mut bytes = vec![0; 8192];
    while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
        for (index, text) in bytes[..count].split(|byte| *byte == far_side::ENQUIRY).enumerate() {
            if index > 0 {
                let _ = questions.send(());
            }
            let _ = terminal::draw(text);
        }
    }
}

/// Passes on answers to questions, and Ctrl-C. Returns when nothing is left to pass on.
async fn type_there(input: &mut ChildStdin, stop: &Stop, mut asked: mpsc::UnboundedReceiver<()>) {
    let mut is_stopped = false;
    loop {
        let answer = async {
            match asked.recv().await {
                // Whoever ends the input has said no.
                Some(()) => Some(stdin::line().await.unwrap_or_default()),
                None => None,
            }
        };
        let text = tokio::select! {
            () = stop.asked(), if !is_stopped => {
                is_stopped = true;
                far_side::CTRL_C.to_owned()
            }
            answer = answer => match answer {
                Some(answer) => answer,
                None if is_stopped => return,
                None => {
                    stop.asked().await;
                    is_stopped = true;
                    far_side::CTRL_C.to_owned()
                }
            },
        };
        if input.write_all(format!("{text}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// One command for the shell there.
fn command(host: &Host<'_>, words: &[String], is_asked: bool) -> Result<String, Error> {
    let mut command = Vec::new();
    if let Some(directory) = host.working_directory {
        command.push(format!("cd {} &&", quoted([path(directory)?])?));
    }
    command.push(format!("exec env {}={}", variables::ON_HOST, if is_asked { far_side::ASK } else { "1" }));
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
    path.to_str().ok_or_else(|| Error::usage(format!("the path {} is not UTF-8", path.display())))
}

fn quoted<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<String, Error> {
    shlex::try_join(words).map_err(|_| Error::usage("no NUL byte can be sent to another machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_there_gets_every_word_as_it_was() {
        let words = ["web", "mytask:it's,$HOME `x` \"y\"", "--format", "json"].map(str::to_owned);
        let host =
            Host { name: "web-1", working_directory: Some(Path::new("/srv/my blog")), manager: Some(Path::new("./m")) };
        let command = command(&host, &words, false).unwrap();
        let mut expected = vec!["cd", "/srv/my blog", "&&", "exec", "env", "CARGO_MIGRATIONS_ON_HOST=1", "./m"];
        expected.extend(words.iter().map(String::as_str));
        assert_eq!(shlex::split(&command).unwrap(), expected);
    }
}
