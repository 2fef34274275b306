//! A process that ends in the middle of a run because a migration, or a library that it uses, calls `exit`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[cfg(unix)]
use crate::terminal;

/// The number of runs under way.
static RUNS: AtomicUsize = AtomicUsize::new(0);

/// Whether the process ends itself, and has said why.
static IS_MEANT: AtomicBool = AtomicBool::new(false);

/// A run that is under way, until this is dropped.
#[must_use = "the run is no longer under way once this is dropped"]
#[derive(Debug)]
pub(crate) struct UnderWay(());

impl UnderWay {
    pub(crate) fn begin() -> Self {
        RUNS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        RUNS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The next call of `exit` is ours.
pub(super) fn is_meant() {
    IS_MEANT.store(true, Ordering::Relaxed);
}

/// From now on, an `exit` in the middle of a run is reported, and makes the exit code 1: a script must not take it for success.
#[cfg(unix)]
#[expect(unsafe_code, reason = "std has no function that has another one called at the end of the process")]
pub(super) fn watch() {
    // SAFETY: the handler is a function without captures, and does not unwind. If it cannot be added, nothing is watched.
    unsafe {
        libc::atexit(at_exit);
    }
}

#[cfg(not(unix))]
pub(super) fn watch() {}

/// Thread-locals are gone by now, and another thread may hold any lock. So it uses nothing of std.
#[cfg(unix)]
#[expect(unsafe_code, reason = "stderr may be locked, and the exit code can only be changed by ending here")]
extern "C" fn at_exit() {
    const TEXT: &str = "error: the process was ended by a call of `exit` in the middle of a run, so the migration is interrupted\n\
                        hint: return an error from the migration instead of calling `exit`\n";
    terminal::end_at_once();
    if RUNS.load(Ordering::Relaxed) == 0 || IS_MEANT.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: the pointer and the length are those of a constant, and `_exit` does not return.
    unsafe {
        libc::write(libc::STDERR_FILENO, TEXT.as_ptr().cast(), TEXT.len());
        libc::_exit(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_under_way_until_it_is_dropped() {
        // Other tests begin no run.
        let run = UnderWay::begin();
        let other = UnderWay::begin();
        drop(run);
        assert_eq!(RUNS.load(Ordering::Relaxed), 1);
        drop(other);
        assert_eq!(RUNS.load(Ordering::Relaxed), 0);
    }
}
