//! What comes in on stdin, line by line, and only when it is asked for: until then it is whoever else's that reads there.

use std::io::BufRead as _;
use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::sync::{Mutex, mpsc as lines};

use crate::process::stop::Stop;
use crate::terminal::far_side;

/// One thread reads, so that nobody competes for it; it ends with the process, since a read cannot be called off.
struct Reader {
    ask: mpsc::Sender<()>,
    /// `None`: stdin has ended.
    lines: Mutex<lines::UnboundedReceiver<Option<String>>>,
}

static READER: OnceLock<Reader> = OnceLock::new();

/// The next line, without its end; `None` when stdin has ended.
pub(crate) async fn line() -> Option<String> {
    let reader = READER.get_or_init(|| start(None));
    let mut lines = reader.lines.lock().await;
    let _ = reader.ask.send(());
    lines.recv().await.flatten()
}

/// On the far side of a line: from now on Ctrl-C comes through stdin.
pub(crate) fn watch_for_ctrl_c(stop: &Stop) {
    READER.get_or_init(|| start(Some(stop.clone())));
}

fn start(stop: Option<Stop>) -> Reader {
    let (ask, asked) = mpsc::channel();
    let (sender, receiver) = lines::unbounded_channel();
    std::thread::spawn(move || match stop {
        None => {
            while asked.recv().is_ok() {
                let _ = sender.send(read());
            }
        }
        Some(stop) => {
            while let Some(line) = read() {
                if line == far_side::CTRL_C {
                    stop.signal();
                } else {
                    let _ = sender.send(Some(line));
                }
            }
            stop.signal();
            let _ = sender.send(None);
        }
    });
    Reader { ask, lines: Mutex::new(receiver) }
}

/// One line; what is no UTF-8 in it is replaced.
fn read() -> Option<String> {
    let mut line = Vec::new();
    match std::io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(1..) => Some(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()),
        Ok(0) | Err(_) => None,
    }
}
