//! Ctrl-C and SIGTERM. While a run is under way the first asks it to stop after the migration at hand; otherwise, and the
//! second time, everything ends now.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::report::Reporter;

/// Whether somebody asked to stop.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    asked: AtomicBool,
    /// A run is under way that looks at `asked` by itself.
    listening: AtomicBool,
}

impl Stop {
    /// Whether to stop at the next good place.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// From now until the value is dropped, the first signal only asks.
    pub(crate) fn listen(&self) -> Listening<'_> {
        self.listening.store(true, Ordering::Relaxed);
        Listening(self)
    }

    /// Returns when everything is to end now.
    pub(crate) async fn now(&self, reporter: &Reporter) {
        let Ok(mut signals) = Signals::new() else {
            // Without handlers the system's own apply: the process ends at the first.
            return std::future::pending().await;
        };
        loop {
            signals.next().await;
            if !self.listening.load(Ordering::Relaxed) || self.asked.swap(true, Ordering::Relaxed) {
                return;
            }
            reporter.warning("stopping after the migration under way; once more ends it now, and leaves it half done");
        }
    }
}

/// See [`Stop::listen`].
pub(crate) struct Listening<'a>(&'a Stop);

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.listening.store(false, Ordering::Relaxed);
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
