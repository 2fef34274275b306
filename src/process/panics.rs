//! Panics of migrations and subtasks, caught and reported like errors.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;

use crate::error::Error;
use crate::process::{exit, runtime};
use crate::terminal;

thread_local! {
    /// The text of the last panic on this thread.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
    /// How many callers on this thread wait to catch a panic.
    static WATCHED: Cell<u32> = const { Cell::new(0) };
}

/// Whether the process is a manager. A service keeps its own hook for panics that are not caught here.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// From now on, reports every panic of this process, and an `exit` in the middle of a run, as a manager does.
pub(crate) fn report_all() {
    IS_OURS.store(true, Ordering::Relaxed);
    exit::watch();
}

/// Runs `f`, and returns a panic as its message and source location.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    let _watched = Watched::new();
    std::panic::catch_unwind(AssertUnwindSafe(f)).map_err(|_| last())
}

/// Awaits `future`, and returns a panic as its message and source location.
pub(crate) async fn catch_async<F: Future>(future: F) -> Result<F::Output, String> {
    let _watched = Watched::new();
    AssertUnwindSafe(future).catch_unwind().await.map_err(|_| last())
}

/// While this lives, panics of this thread are kept for [`last`]. Panics of other threads are reported at once, since the threads
/// may never be joined.
struct Watched;

impl Watched {
    fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if runtime::is_over_here() {
                    return;
                }
                let is_ours = IS_OURS.load(Ordering::Relaxed);
                if cfg!(panic = "abort") && is_ours {
                    // It cannot be caught, so it is reported here, with the exit code of a failed task.
                    terminal::error(&Error::failed(format!("a panic: {}", describe(info))), ToString::to_string);
                    exit::is_meant();
                    std::process::exit(1);
                } else if WATCHED.get() > 0 && !cfg!(panic = "abort") {
                    LAST.set(Some(describe(info)));
                } else if !is_ours {
                    before(info);
                } else {
                    terminal::warn_in_passing(&format!("a background thread panicked: {}", describe(info)));
                }
            }));
        });
        WATCHED.set(WATCHED.get() + 1);
        Self
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        WATCHED.set(WATCHED.get() - 1);
    }
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("no message");
    match info.location() {
        Some(place) => format!("{message} (at {}:{})", place.file(), place.line()),
        None => message.to_owned(),
    }
}

fn last() -> String {
    LAST.take().unwrap_or_else(|| "no message".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        let text = catch(|| panic!("no {}", "slug")).unwrap_err();
        assert!(text.starts_with("no slug (at ") && text.contains("panics.rs:"), "{text}");
        assert_eq!(catch(|| 7), Ok(7));
    }
}
