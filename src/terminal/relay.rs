//! What migrations print themselves (`println!`, or a program that they start) while bars are drawn. On a terminal it would be
//! erased with the next bar. So stdout and stderr lead to a pipe for as long as there are bars, and a thread writes what comes out
//! of it above them.
//!
//! Nothing is lost if the process ends in the middle, unless it is killed by SIGKILL: before it exits, and in the handler of a
//! signal that ends it, the bars are erased and the rest of the pipe is written ([`end_at_once`]).

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::streams::{self, Stream};
use super::{canvas, fatal};

/// How long a process that ends waits until another thread has written what it has read, in milliseconds.
const PATIENCE: u32 = 300;

/// How much a pipe holds.
const CAPACITY: usize = 64 * 1024;

/// How long a line without an end may become.
const LONGEST: usize = 8 * 1024;

/// Where the lines are written.
pub(crate) trait Above: Send + Sync {
    /// Calls the function while the bars are hidden.
    fn write(&self, write: &mut dyn FnMut());

    /// Shows the line that has no end yet. It may be empty.
    fn unfinished(&self, line: &str);
}

/// While this lives, what others write to stdout and stderr is written above the bars.
#[must_use = "it ends when this is dropped"]
#[derive(Debug)]
pub(crate) struct Relaying(());

/// A pipe, and the stream that its lines are written to.
struct Pipe {
    to: Stream,
    read: File,
    write: OwnedFd,
    /// The line that has no end yet. Who reads from the pipe holds it until what was read is written.
    unfinished: Mutex<Vec<u8>>,
}

struct Relay {
    pipes: Vec<Pipe>,
    above: Arc<dyn Above>,
    /// Whether stdout is the terminal too. Then one pipe keeps the order of what is written.
    takes_both: bool,
    /// How many values of [`Relaying`] there are.
    depth: Mutex<usize>,
}

static RELAY: OnceLock<Option<Arc<Relay>>> = OnceLock::new();

/// Whether the streams lead to the pipes.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// How many threads have read something, or are about to, that they have not written yet.
static BUSY: AtomicUsize = AtomicUsize::new(0);

impl Relaying {
    /// Begins. If there can be no pipe, nothing changes. All calls in a process pass the same `above`.
    pub(crate) fn begin(above: &Arc<dyn Above>) -> Self {
        let relay = RELAY.get_or_init(|| Relay::start(Arc::clone(above)).ok());
        if let Some(relay) = relay {
            let mut depth = relay.depth.lock().unwrap_or_else(PoisonError::into_inner);
            if *depth == 0 {
                relay.lead_to_pipes();
            }
            *depth += 1;
        }
        Self(())
    }
}

impl Drop for Relaying {
    fn drop(&mut self) {
        let Some(Some(relay)) = RELAY.get() else { return };
        let mut depth = relay.depth.lock().unwrap_or_else(PoisonError::into_inner);
        *depth -= 1;
        if *depth == 0 {
            lead_back();
            end_line();
        }
    }
}

impl Relay {
    fn start(above: Arc<dyn Above>) -> io::Result<Arc<Self>> {
        streams::copies()?;
        let mut pipes = vec![Pipe::new(Stream::Stderr)?];
        let takes_both = Stream::Stdout.is_terminal();
        // stderr leads to the terminal of the sender of the line, and stdout may lead there, too.
        if super::hop::is_here() && !takes_both {
            pipes.push(Pipe::new(Stream::Stdout)?);
        }
        let this = Arc::new(Self { pipes, above, takes_both, depth: Mutex::new(0) });
        let of_thread = Arc::clone(&this);
        std::thread::Builder::new().name("output".into()).spawn(move || of_thread.keep_passing_on())?;
        fatal::watch();
        Ok(this)
    }

    fn lead_to_pipes(&self) {
        IS_ON.store(true, Ordering::SeqCst);
        for pipe in &self.pipes {
            let _ = streams::lead(pipe.to, &pipe.write);
        }
        if self.takes_both {
            let _ = streams::lead(Stream::Stdout, &self.pipes[0].write);
        }
    }

    /// The thread: writes what comes out of the pipes. A program that still runs in the background may write to them later.
    fn keep_passing_on(&self) {
        loop {
            wait_for(&self.pipes);
            self.pass_on();
        }
    }

    fn pass_on(&self) {
        self.pipes.iter().for_each(|pipe| pipe.pass_on(&*self.above));
    }
}

impl Pipe {
    fn new(to: Stream) -> io::Result<Self> {
        let (read, write) = io::pipe()?;
        let read = File::from(OwnedFd::from(read));
        do_not_wait(read.as_raw_fd())?;
        Ok(Self { to, read, write: write.into(), unfinished: Mutex::default() })
    }

    /// Writes the lines that are complete, and shows the beginning of the next one. When it returns, everything that was in the
    /// pipe before is written, whichever thread has read it.
    fn pass_on(&self, above: &dyn Above) {
        let mut unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        // Before it is read: who finds the pipe empty and no thread busy knows that all is written.
        BUSY.fetch_add(1, Ordering::SeqCst);
        let mut bytes = vec![0; CAPACITY];
        if let Ok(count @ 1..) = (&self.read).read(&mut bytes) {
            let (lines, shown) = split(&mut unfinished, &bytes[..count]);
            if !lines.is_empty() {
                above.write(&mut || drop(self.to.write_bytes(&lines)));
            }
            above.unfinished(&shown);
        }
        BUSY.fetch_sub(1, Ordering::SeqCst);
    }

    /// Ends the line that has no end.
    fn end_line(&self, above: &dyn Above) {
        let mut unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = std::mem::take(&mut *unfinished);
        above.unfinished("");
        if !line.is_empty() {
            line.push(b'\n');
            above.write(&mut || drop(self.to.write_bytes(&line)));
        }
    }

    /// Writes what is left, without any bars.
    fn end_at_once(&self) {
        let mut is_in_line = false;
        if let Ok(mut unfinished) = self.unfinished.try_lock()
            && !unfinished.is_empty()
        {
            write_now(self.to, &unfinished);
            // A process may come here twice.
            unfinished.clear();
            is_in_line = true;
        }
        // A handler's stack is small.
        let mut bytes = [0; 512];
        // What was printed before is no more than a pipe holds. A program in the background may go on for ever.
        for _ in 0..CAPACITY / bytes.len() {
            let Some(count @ 1..) = read_now(self.read.as_raw_fd(), &mut bytes) else { break };
            write_now(self.to, &bytes[..count]);
            is_in_line = bytes[count - 1] != b'\n';
        }
        if is_in_line {
            write_now(self.to, b"\n");
        }
    }
}

/// Writes what was printed until now, so that what we say next stands below it.
pub(crate) fn catch_up() {
    if let Some(Some(relay)) = RELAY.get() {
        relay.pass_on();
    }
}

/// Does so too, and ends a line that has no end.
pub(crate) fn end_line() {
    if let Some(Some(relay)) = RELAY.get() {
        relay.pass_on();
        relay.pipes.iter().for_each(|pipe| pipe.end_line(&*relay.above));
    }
}

/// Adds what was read to the line that has no end yet. Returns all lines that are complete, and what the next one shows so far.
fn split(unfinished: &mut Vec<u8>, bytes: &[u8]) -> (Vec<u8>, String) {
    unfinished.extend_from_slice(bytes);
    let end = unfinished.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut lines: Vec<u8> = unfinished.drain(..end).collect();
    if unfinished.len() > LONGEST {
        lines.append(unfinished);
        lines.push(b'\n');
    }
    // What comes before a carriage return is written over by what comes after it.
    let written = &unfinished[..unfinished.len() - usize::from(unfinished.ends_with(b"\r"))];
    let from = written.iter().rposition(|byte| *byte == b'\r').map_or(0, |at| at + 1);
    unfinished.drain(..from);
    let shown = String::from_utf8_lossy(unfinished).trim_end_matches('\r').to_owned();
    (lines, shown)
}

/// Ends a process that may be in any state: erases the bars, and writes what is left. May be called by a handler of signals, so it
/// takes no lock for which it would have to wait.
pub(crate) fn end_at_once() {
    canvas::close(sleep_a_millisecond, |bytes| write_now(Stream::Stderr, bytes));
    lead_back();
    let pipes = RELAY.get().and_then(Option::as_ref).map_or(&[][..], |relay| &relay.pipes);
    wait_for_threads(pipes);
    // A thread that reads may be the one that ends the process, or wait for it.
    pipes.iter().for_each(Pipe::end_at_once);
}

/// Makes the streams lead to where they led before.
fn lead_back() {
    if IS_ON.swap(false, Ordering::SeqCst) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(copy) = stream.copy() {
                let _ = streams::lead(stream, copy);
            }
        }
    }
}

/// Returns once other threads have written everything that was printed, or when they do not do so in time.
fn wait_for_threads(pipes: &[Pipe]) {
    for _ in 0..PATIENCE {
        // In this order: a thread is busy from before it has read until it has written.
        if pipes.iter().all(|pipe| unread(pipe.read.as_raw_fd()) == 0) && BUSY.load(Ordering::SeqCst) == 0 {
            return;
        }
        sleep_a_millisecond();
    }
}

#[expect(unsafe_code, reason = "std has no pipes that do not wait")]
fn do_not_wait(end: RawFd) -> io::Result<()> {
    // SAFETY: takes and returns plain numbers.
    let result = unsafe { libc::fcntl(end, libc::F_SETFL, libc::O_NONBLOCK) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[expect(unsafe_code, reason = "std has no function that waits for several descriptors")]
fn wait_for(pipes: &[Pipe]) {
    let mut all: [libc::pollfd; 2] = [libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; 2];
    all.iter_mut().zip(pipes).for_each(|(one, pipe)| one.fd = pipe.read.as_raw_fd());
    // SAFETY: the pointer and the length are those of the array. An error means that a signal came: then nothing is read.
    unsafe {
        libc::poll(all.as_mut_ptr(), 2, -1);
    }
}

#[expect(unsafe_code, reason = "std has no function that returns how much can be read")]
fn unread(end: RawFd) -> i32 {
    let mut count: libc::c_int = 0;
    // SAFETY: the request fills the number. It fails for an end that is closed, and nothing is unread then.
    unsafe {
        libc::ioctl(end, libc::FIONREAD, &raw mut count);
    }
    count
}

#[expect(unsafe_code, reason = "a handler of signals may not use std's")]
fn read_now(end: RawFd, bytes: &mut [u8]) -> Option<usize> {
    // SAFETY: the pointer and the length are those of the buffer.
    let count = unsafe { libc::read(end, bytes.as_mut_ptr().cast(), bytes.len()) };
    usize::try_from(count).ok()
}

#[expect(unsafe_code, reason = "a handler of signals may not use std's")]
fn write_now(stream: Stream, bytes: &[u8]) {
    let to = stream.copy().map_or(stream.descriptor(), |copy| copy.as_raw_fd());
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: the pointer and the length are those of the text.
        let count = unsafe { libc::write(to, rest.as_ptr().cast(), rest.len()) };
        match usize::try_from(count) {
            Ok(count @ 1..) => rest = &rest[count.min(rest.len())..],
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            // There is no other place for the text.
            _ => return,
        }
    }
}

#[expect(unsafe_code, reason = "a handler of signals may not use std's")]
fn sleep_a_millisecond() {
    // SAFETY: no descriptors are passed.
    unsafe {
        libc::poll(std::ptr::null_mut(), 0, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_when_they_are_complete() {
        let mut unfinished = Vec::new();
        let mut take = |text: &str| {
            let (lines, shown) = split(&mut unfinished, text.as_bytes());
            (String::from_utf8(lines).unwrap(), shown)
        };
        let case = |lines: &str, shown: &str| (lines.to_owned(), shown.to_owned());
        assert_eq!(take("one\ntwo\nthr"), case("one\ntwo\n", "thr"));
        assert_eq!(take("ee"), case("", "three"));
        assert_eq!(take("\n"), case("three\n", ""));
        assert_eq!(take("10%"), case("", "10%"));
        assert_eq!(take("\r20%"), case("", "20%"));
        assert_eq!(take("\r30%\r"), case("", "30%"));
        assert_eq!(take("\r\n"), case("30%\r\r\n", ""));
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(take(&long), case(&format!("{long}\n"), ""));
    }
}
