//! The async runtime that a line, or a service's run, works on.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

thread_local! {
    /// On a runtime's own threads: whether its work is over.
    static IS_OVER: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// A runtime whose background is not waited for, nor heard, once its work is over.
pub(crate) struct Runtime {
    /// `None` once it is over.
    inner: Option<tokio::runtime::Runtime>,
    is_over: Arc<AtomicBool>,
}

impl Runtime {
    /// More than one thread, so that what must go on in the background does so while a migration blocks its own.
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

    /// Does the work. What still runs in the background then (the driver's monitors, say) is cut off.
    pub(crate) fn run<F: Future>(self, work: F) -> F::Output {
        self.inner.as_ref().expect("it is there until the end").block_on(work)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let Some(inner) = self.inner.take() else { return };
        if cfg!(panic = "abort") {
            // A task of the driver's that misses one which was cut off panics, and would take the process with it. Two idle
            // threads are the lesser evil.
            std::mem::forget(inner);
        } else {
            inner.shutdown_background();
        }
    }
}

/// Whether this is a thread of a runtime whose work is over. A panic there is of no interest: the driver's tasks, cut off one
/// after the other, miss each other.
pub(crate) fn is_over_here() -> bool {
    let is_over =
        |over: &RefCell<Option<Arc<AtomicBool>>>| over.borrow().as_ref().is_some_and(|over| over.load(Ordering::Relaxed));
    // A thread that ends has lost its own values by then.
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
