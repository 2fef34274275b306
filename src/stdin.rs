//! What comes in on stdin, line by line. One thread reads it, so that nobody competes for it.

use std::io::BufRead as _;
use std::sync::OnceLock;

use tokio::sync::{Mutex, mpsc};

use crate::far_side;
use crate::stop::Stop;

type Lines = Mutex<mpsc::UnboundedReceiver<String>>;

static LINES: OnceLock<Lines> = OnceLock::new();

/// The next line, without its end; `None` when stdin has ended. Nothing is read before the first is asked for.
pub(crate) async fn line() -> Option<String> {
    LINES.get_or_init(|| start(None)).lock().await.recv().await
}

/// On the far side of a line: from now on Ctrl-C comes through stdin.
pub(crate) fn watch_for_ctrl_c(stop: &Stop) {
    LINES.get_or_init(|| start(Some(stop.clone())));
}

fn start(stop: Option<Stop>) -> Lines {
    let (sender, receiver) = mpsc::unbounded_channel();
    // Ends with the process: a read cannot be called off.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match &stop {
                Some(stop) if line == far_side::CTRL_C => stop.signal(),
                _ => drop(sender.send(line)),
            }
        }
        if let Some(stop) = stop {
            stop.signal();
        }
    });
    Mutex::new(receiver)
}
