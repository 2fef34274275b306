//! Reads stdin line by line, and only when a line is asked for: until then another program, such as ssh, may read from it.

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::sync::{Mutex, mpsc as lines};

use crate::terminal::hop;

/// A single thread does all the reading, so that two readers never compete for a line. It lives as long as the process, since a
/// blocking read cannot be cancelled.
struct Reader {
    ask: mpsc::Sender<()>,
    /// `None` when stdin has ended.
    lines: Mutex<lines::UnboundedReceiver<Option<String>>>,
}

static READER: OnceLock<Reader> = OnceLock::new();

/// Returns the next line without its line break, or `None` when stdin has ended.
pub(crate) async fn line() -> Option<String> {
    let reader = READER.get_or_init(|| start(None));
    let mut lines = reader.lines.lock().await;
    let _ = reader.ask.send(());
    lines.recv().await.flatten()
}

/// Throws away what was typed on the terminal and not read yet. To be called before a question is shown: what was typed earlier,
/// during a build for example, is not an answer to it.
///
/// A pipe keeps what was written to it, because the sender of this line writes only what was asked for.
pub(crate) fn discard_typed() {
    if std::io::stdin().is_terminal() {
        flush_terminal();
    }
}

// A terminal gives one line for each read, so no further line is in a buffer of ours.
#[cfg(unix)]
#[expect(unsafe_code, reason = "std has no function that empties the terminal's input")]
fn flush_terminal() {
    // SAFETY: takes and returns plain numbers. An error means that there is nothing to empty.
    unsafe {
        libc::tcflush(libc::STDIN_FILENO, libc::TCIFLUSH);
    }
}

#[cfg(not(unix))]
fn flush_terminal() {}

/// From now on calls `on_ctrl_c` for each Ctrl-C that the sender of this line passes on through stdin (see [`hop`]), and
/// when stdin ends.
pub(crate) fn watch_for_ctrl_c(on_ctrl_c: impl Fn() + Send + 'static) {
    READER.get_or_init(|| start(Some(Box::new(on_ctrl_c))));
}

fn start(on_ctrl_c: Option<Box<dyn Fn() + Send>>) -> Reader {
    let (ask, asked) = mpsc::channel();
    let (sender, receiver) = lines::unbounded_channel();
    std::thread::spawn(move || match on_ctrl_c {
        None => {
            while asked.recv().is_ok() {
                let _ = sender.send(read());
            }
        }
        Some(on_ctrl_c) => {
            while let Some(line) = read() {
                if line == hop::CTRL_C {
                    on_ctrl_c();
                } else {
                    let _ = sender.send(Some(line));
                }
            }
            on_ctrl_c();
            let _ = sender.send(None);
        }
    });
    Reader { ask, lines: Mutex::new(receiver) }
}

/// One line. Invalid UTF-8 in it is replaced.
fn read() -> Option<String> {
    let mut line = Vec::new();
    match std::io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(1..) => Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()),
        Ok(0) | Err(_) => None,
    }
}
