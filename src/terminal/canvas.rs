//! The lines at the bottom of the terminal in which bars are drawn. A process that ends in the middle erases them.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::streams::Stream;

/// For how many milliseconds `draw` and `close` wait for each other.
const PATIENCE: u32 = 50;

/// How many lines the bars take. The cursor is at the beginning of the last of them.
static LINES: AtomicUsize = AtomicUsize::new(0);

/// Whether the process ends, so that nothing is drawn any more.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether the bars are erased then.
static IS_ERASED: AtomicBool = AtomicBool::new(false);

/// Whether something is being drawn.
static IS_DRAWING: AtomicBool = AtomicBool::new(false);

/// Writes to the terminal as it is. Afterwards the bars take that many lines.
pub(crate) fn draw(text: &[u8], lines: usize) -> io::Result<()> {
    // In this order: `close` waits for what it has not prevented.
    IS_DRAWING.store(true, Ordering::SeqCst);
    let is_closed = IS_CLOSED.load(Ordering::SeqCst);
    let mut written = Ok(());
    if !is_closed {
        written = Stream::Stderr.write_bytes(text);
        LINES.store(lines, Ordering::SeqCst);
    }
    IS_DRAWING.store(false, Ordering::SeqCst);
    if is_closed {
        // Who hides the bars then writes where they were.
        wait_until(&IS_ERASED, true, || std::thread::sleep(Duration::from_millis(1)));
    }
    written
}

/// Not for long: the thread that is waited for may be the one that waits, in a handler of signals.
fn wait_until(flag: &AtomicBool, value: bool, sleep: impl Fn()) {
    for _ in 0..PATIENCE {
        if flag.load(Ordering::SeqCst) == value {
            return;
        }
        sleep();
    }
}

/// Draws nothing from now on, and passes on the codes that erase the bars. It may be called by a handler of signals.
#[cfg_attr(not(unix), expect(dead_code, reason = "called where the process ends at once"))]
pub(super) fn close(sleep: impl Fn(), write: impl Fn(&[u8])) {
    IS_CLOSED.store(true, Ordering::SeqCst);
    wait_until(&IS_DRAWING, false, sleep);
    let lines = LINES.swap(0, Ordering::SeqCst);
    if lines > 0 {
        write(b"\r");
        (1..lines).for_each(|_| write(b"\x1b[A"));
        write(b"\x1b[J");
    }
    IS_ERASED.store(true, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn what_was_drawn_is_erased_once() {
        LINES.store(3, Ordering::SeqCst);
        let written = RefCell::new(Vec::new());
        let write = |bytes: &[u8]| written.borrow_mut().extend_from_slice(bytes);
        close(|| (), write);
        assert_eq!(*written.borrow(), b"\r\x1b[A\x1b[A\x1b[J");
        close(|| (), write);
        assert_eq!(written.borrow().len(), 10);
        draw(b"not written", 2).unwrap();
        assert_eq!(LINES.load(Ordering::SeqCst), 0);
    }
}
