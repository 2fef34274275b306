//! The process's stdout and stderr, as they were when it started. What migrations print goes to file descriptors 1 and 2. Where
//! those lead elsewhere for a while, or stdout is for JSON only, our own text still goes to where they led before.

use std::fs::File;
#[cfg(feature = "manager")]
use std::io::IsTerminal as _;
use std::io::{self, Write as _};
use std::sync::{Mutex, OnceLock, PoisonError};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};

/// One of the two streams that we write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// Copies of the two descriptors, from the moment on at which they may lead elsewhere.
static COPIES: [OnceLock<File>; 2] = [const { OnceLock::new() }; 2];

/// One text at a time.
static WRITING: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];

impl Stream {
    /// The copy, if there is one.
    pub(super) fn copy(self) -> Option<&'static File> {
        COPIES[self as usize].get()
    }

    /// Writes text in one piece, without its colours if the stream has none.
    pub(crate) fn write(self, text: &str) -> io::Result<()> {
        let _alone = WRITING[self as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_color() {
            return match (self, self.copy()) {
                (_, Some(copy)) => self::write(copy, text.as_bytes()),
                // These translate the colours for a terminal that does not know the codes.
                (Self::Stdout, None) => {
                    anstream::stdout().write_all(text.as_bytes()).and_then(|()| anstream::stdout().flush())
                }
                (Self::Stderr, None) => anstream::stderr().write_all(text.as_bytes()),
            };
        }
        self.unlocked(strip_str(text).to_string().as_bytes())
    }

    /// Writes bytes as they are.
    #[cfg(feature = "manager")]
    pub(crate) fn write_bytes(self, bytes: &[u8]) -> io::Result<()> {
        let _alone = WRITING[self as usize].lock().unwrap_or_else(PoisonError::into_inner);
        self.unlocked(bytes)
    }

    fn unlocked(self, bytes: &[u8]) -> io::Result<()> {
        match (self, self.copy()) {
            (_, Some(copy)) => write(copy, bytes),
            (Self::Stdout, None) => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
            (Self::Stderr, None) => io::stderr().write_all(bytes),
        }
    }

    #[cfg(feature = "manager")]
    pub(crate) fn is_terminal(self) -> bool {
        match (self, self.copy()) {
            (_, Some(copy)) => copy.is_terminal(),
            (Self::Stdout, None) => io::stdout().is_terminal(),
            (Self::Stderr, None) => io::stderr().is_terminal(),
        }
    }

    /// Whether text on it is coloured.
    pub(crate) fn has_color(self) -> bool {
        let choice = match (self, self.copy()) {
            (_, Some(copy)) => AutoStream::choice(copy),
            (Self::Stdout, None) => AutoStream::choice(&io::stdout()),
            (Self::Stderr, None) => AutoStream::choice(&io::stderr()),
        };
        choice != ColorChoice::Never
    }

    /// The size of its terminal, if it is one: lines and columns.
    #[cfg(feature = "manager")]
    pub(crate) fn size(self) -> Option<(u16, u16)> {
        #[cfg(unix)]
        return size(self.copy().map_or(self.descriptor(), std::os::fd::AsRawFd::as_raw_fd));
        #[cfg(not(unix))]
        return match self {
            Self::Stdout => console::Term::stdout().size_checked(),
            Self::Stderr => console::Term::stderr().size_checked(),
        };
    }
}

#[cfg(all(feature = "manager", unix))]
#[expect(unsafe_code, reason = "std has no function that asks a terminal for its size")]
fn size(descriptor: std::os::fd::RawFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor stays open, and the structure is the one that the request fills.
    let result = unsafe { libc::ioctl(descriptor, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

fn write(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)
}

/// Writes to stderr where it leads to at the moment.
#[cfg(feature = "manager")]
pub(super) fn write_as_others_do(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// From now on what others write to stdout, in this process and in those that it starts, goes to stderr. Only what is written
/// through [`Stream::Stdout`] goes to stdout.
#[cfg(feature = "manager")]
pub(crate) fn keep_stdout_to_ourselves() {
    #[cfg(unix)]
    if copies().is_ok() {
        // An error means that stderr is closed, and stdout stays as it is.
        let _ = lead(Stream::Stdout, Stream::Stderr.copy().expect("copied above"));
    }
}

/// What a program that writes results for us gets as its stdout.
#[cfg(feature = "manager")]
pub(crate) fn stdout_for_child() -> std::process::Stdio {
    let copy = Stream::Stdout.copy().and_then(|copy| copy.try_clone().ok());
    copy.map_or_else(std::process::Stdio::inherit, Into::into)
}

/// Makes the copies.
#[cfg(all(feature = "manager", unix))]
pub(super) fn copies() -> io::Result<()> {
    use std::os::fd::AsFd as _;
    let _ = io::stdout().flush();
    for (stream, copy) in [
        (Stream::Stdout, io::stdout().as_fd().try_clone_to_owned()),
        (Stream::Stderr, io::stderr().as_fd().try_clone_to_owned()),
    ] {
        let copy = copy?;
        // A second call changes nothing.
        let _ = COPIES[stream as usize].set(copy.into());
    }
    Ok(())
}

/// Makes the stream's descriptor lead to that file.
#[cfg(all(feature = "manager", unix))]
#[expect(unsafe_code, reason = "std has no function that replaces a descriptor")]
pub(super) fn lead(stream: Stream, to: &impl std::os::fd::AsRawFd) -> io::Result<()> {
    // SAFETY: both are open descriptors, and the numbers 1 and 2 are never owned by a value of std.
    let result = unsafe { libc::dup2(to.as_raw_fd(), stream.descriptor()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(all(feature = "manager", unix))]
impl Stream {
    pub(super) fn descriptor(self) -> std::os::fd::RawFd {
        match self {
            Self::Stdout => libc::STDOUT_FILENO,
            Self::Stderr => libc::STDERR_FILENO,
        }
    }
}
