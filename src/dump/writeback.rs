//! Asks the system to begin to write a file to disk while more is appended to it. Then the sync at its end has little left to do.

use std::fs::File;

/// How much is appended until the system is asked again, in bytes.
const EVERY: u64 = 16 << 20;

/// How far a file has come that is written from its beginning to its end.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    appended: u64,
    /// Up to where the system was asked to write.
    asked: u64,
}

impl Writeback {
    /// Notes that so many bytes were appended.
    pub(super) fn appended(&mut self, file: &File, bytes: usize) {
        self.appended += bytes as u64;
        if self.appended - self.asked >= EVERY {
            begin(file, self.asked, self.appended - self.asked);
            self.asked = self.appended;
        }
    }
}

/// Asks for that part of the file. Only speed depends on it, so errors do not matter: the sync at the end has them.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library has no function for it")]
fn begin(file: &File, offset: u64, length: u64) {
    use std::os::fd::AsRawFd as _;
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else { return };
    // SAFETY: the descriptor is open as long as `file` is borrowed, and the call takes plain numbers.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE);
    }
}

#[cfg(not(target_os = "linux"))]
fn begin(_: &File, _: u64, _: u64) {}
