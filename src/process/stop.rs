//! Ctrl-C and SIGTERM. During a run the first signal asks it to stop after the current migration. A second signal, or the first
//! one outside of a run, ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::background::Background;
use super::exit;
use crate::error::{Error, ErrorKind};
use crate::line::program::program;
use crate::report::Reporter;
use crate::terminal;

/// How long the main thread may take to end after it was asked to. It never does where a migration's code blocks it.
pub(crate) const GRACE: Duration = Duration::from_millis(1000);

/// Whether a signal, or a service, asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: watch::Sender<bool>,
    /// The number of current runs, which look at `asked` themselves.
    listening: AtomicUsize,
    /// The number of lines that run on other machines, to which the signal is passed on.
    relaying: AtomicUsize,
    signalled: Notify,
    now: Notify,
}

impl Stop {
    /// Whether to stop as soon as it is safe.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.asked.borrow()
    }

    /// Returns when a stop is asked for.
    pub(crate) async fn asked(&self) {
        let mut asked = self.0.asked.subscribe();
        // The sender lives as long as this value.
        let _ = asked.wait_for(|asked| *asked).await;
    }

    /// Returns when a stop was asked for that long ago.
    pub(crate) async fn asked_for(&self, time: Duration) {
        self.asked().await;
        tokio::time::sleep(time).await;
    }

    /// Until the returned value is dropped, the first signal does not end the process but only asks to stop.
    pub(crate) fn listen(&self) -> Listening<'_> {
        Listening::new(&self.0.listening)
    }

    /// Like [`listen`](Self::listen), while a line runs on another machine. No warning is printed: the other machine prints it.
    pub(crate) fn relay(&self) -> Listening<'_> {
        Listening::new(&self.0.relaying)
    }

    /// Asks to stop.
    pub(crate) fn ask(&self) {
        self.0.asked.send_replace(true);
    }

    /// Does what a signal does.
    pub(crate) fn signal(&self) {
        self.0.signalled.notify_one();
    }

    /// Returns when the process is to end at once.
    pub(crate) async fn now(&self) {
        self.0.now.notified().await;
    }

    /// Watches for signals until the process ends, on a thread of its own since a migration may block every other one.
    pub(crate) fn watch(&self, reporter: Reporter) {
        let this = self.clone();
        let watching = async move {
            // Without handlers the system's default applies: the first signal ends the process.
            let Ok(mut signals) = Signals::new() else { return };
            loop {
                tokio::select! {
                    () = signals.next() => {}
                    () = this.0.signalled.notified() => {}
                }
                let listening = this.0.listening.load(Ordering::Relaxed) > 0;
                let relaying = this.0.relaying.load(Ordering::Relaxed) > 0;
                if this.0.asked.send_replace(true) || !(listening || relaying) {
                    break;
                }
                if listening {
                    reporter.warning_with_hint(
                        "stopping after the migration under way (a transactional one is aborted)",
                        "press Ctrl-C again to stop now, which leaves the migration interrupted",
                    );
                }
            }
            this.0.now.notify_one();
            tokio::time::sleep(GRACE).await;
            let error = ended();
            reporter.close();
            terminal::error(&error, ToString::to_string);
            // The main thread cannot return from `main`: a migration's code blocks it.
            exit::is_meant();
            std::process::exit(error.exit_code().into());
        };
        match Background::start("signals") {
            Ok(background) => {
                background.spawn(watching);
                // The thread lives as long as the process.
                std::mem::forget(background);
            }
            Err(_) => {
                tokio::spawn(watching);
            }
        }
    }
}

/// The error of a process that ends at once.
pub(crate) fn ended() -> Error {
    Error::new(ErrorKind::Interrupted, "ended by a signal")
        .with_hint(format!("run `{}` to see what was done before", program()))
}

/// The error of a run that stopped between two migrations.
pub(crate) fn as_asked() -> Error {
    Error::new(ErrorKind::Interrupted, "stopped as asked").with_hint("run the same command again to do the rest")
}

/// What [`Stop::listen`] and [`Stop::relay`] return.
#[must_use = "the first signal ends the process again once this is dropped"]
pub(crate) struct Listening<'a>(&'a AtomicUsize);

impl<'a> Listening<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// The terminal is gone: an ssh connection was lost, or its window was closed.
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
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
