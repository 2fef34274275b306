//! Panics of migrations and subtasks, caught and told like errors.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;

use crate::error::Error;
use crate::process::runtime;
use crate::terminal;

thread_local! {
    /// What the hook saw last on this thread.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
    /// How many callers of this module are waiting on this thread.
    static WATCHED: Cell<u32> = const { Cell::new(0) };
}

/// Whether the process is a manager. In a service other panics are its own matter.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// From now on every panic of this process is told as a manager tells it.
pub(crate) fn tell_all() {
    IS_OURS.store(true, Ordering::Relaxed);
}

/// Runs `f`; a panic becomes its message and place.
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    let _watched = Watched::new();
    std::panic::catch_unwind(AssertUnwindSafe(f)).map_err(|_| last())
}

/// Awaits `future`; a panic becomes its message and place.
pub(crate) async fn catch_async<F: Future>(future: F) -> Result<F::Output, String> {
    let _watched = Watched::new();
    AssertUnwindSafe(future).catch_unwind().await.map_err(|_| last())
}

/// While it lives, this thread's panics are kept for [`last`]. Those of other threads, which somebody may or may not join,
/// are told at once.
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
                    // Nobody will get to catch it: it is told here, and the exit code is that of a failed task.
                    terminal::error(&Error::failed(format!("a panic: {}", describe(info))), ToString::to_string);
                    std::process::exit(1);
                } else if WATCHED.get() > 0 && !cfg!(panic = "abort") {
                    LAST.set(Some(describe(info)));
                } else if !is_ours {
                    before(info);
                } else {
                    terminal::warning(&format!("a background thread panicked: {}", describe(info)));
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
        let told = catch(|| panic!("no {}", "slug")).unwrap_err();
        assert!(told.starts_with("no slug (at ") && told.contains("panics.rs:"), "{told}");
        assert_eq!(catch(|| 7), Ok(7));
    }
}
