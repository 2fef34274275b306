//! The async runtime of a command line, or of a run in a service.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

thread_local! {
    /// On the threads of a [`Runtime`]: whether its work is over.
    static IS_OVER: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// A runtime whose background tasks are cut off when its work is over, without waiting for them and without reports of their
/// panics.
pub(crate) struct Runtime {
    /// `None` once the work is over.
    inner: Option<tokio::runtime::Runtime>,
    is_over: Arc<AtomicBool>,
}

impl Runtime {
    /// Starts a runtime with more than one thread, so that background tasks go on while a migration blocks its thread.
    pub(crate) fn new() -> Result<Self, Error> {
        let is_over = Arc::<AtomicBool>::default();
        let of_thread = Arc::clone(&is_over);
        let inner = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(move || IS_OVER.set(Some(Arc::clone(&of_thread))))
            .build()
            .map_err(|error| Error::failed("the async runtime cannot be started").caused_by(error))?;
        Ok(Self { inner: Some(inner), is_over })
    }

    /// Starts a runtime that does everything on the thread that calls [`run`](Self::run), which must be this one.
    pub(super) fn single_threaded() -> std::io::Result<Self> {
        let is_over = Arc::<AtomicBool>::default();
        IS_OVER.set(Some(Arc::clone(&is_over)));
        let inner = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { inner: Some(inner), is_over })
    }

    pub(super) fn handle(&self) -> &tokio::runtime::Handle {
        self.inner.as_ref().expect("it is there until the end").handle()
    }

    /// Runs `work` to its end. Background tasks that still run then, such as the driver's monitors, are cut off.
    pub(crate) fn run<F: Future>(self, work: F) -> F::Output {
        self.inner.as_ref().expect("it is there until the end").block_on(work)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let Some(inner) = self.inner.take() else { return };
        if cfg!(panic = "abort") {
            // A task of the driver panics when another task that it needs was cut off, and here a panic ends the process. Two
            // idle threads are the lesser evil.
            std::mem::forget(inner);
        } else {
            inner.shutdown_background();
        }
    }
}

/// Whether this is a thread of a runtime whose work is over. Panics there are ignored: tasks of the driver panic when others that
/// they need were cut off first.
pub(crate) fn is_over_here() -> bool {
    let is_over =
        |over: &RefCell<Option<Arc<AtomicBool>>>| over.borrow().as_ref().is_some_and(|over| over.load(Ordering::Relaxed));
    // The thread-local is gone already where the thread is ending.
    IS_OVER.try_with(is_over).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_threads_know_when_the_work_is_over() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let runtime = Runtime::new().unwrap();
        runtime.run(async {
            tokio::spawn(async move {
                sender.send(is_over_here()).unwrap();
                wait.recv().unwrap();
                sender.send(is_over_here()).unwrap();
            });
            assert!(!receiver.recv().unwrap());
        });
        go.send(()).unwrap();
        assert!(receiver.recv().unwrap());
        assert!(!is_over_here());
    }
}
