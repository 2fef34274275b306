//! Ctrl-C and SIGTERM. While a run is under way the first asks it to stop after the migration at hand; otherwise, and the
//! second time, everything ends now.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::error::{Error, ErrorKind};
use crate::report::Reporter;
use crate::terminal;

/// How long the run's own thread may take to end, once it is told to. Code that blocks it never does.
pub(crate) const GRACE: Duration = Duration::from_millis(1000);

/// Whether somebody asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: watch::Sender<bool>,
    /// Runs under way that look at `asked` by themselves.
    listening: AtomicUsize,
    /// Lines under way on other machines, which are told.
    relaying: AtomicUsize,
    signalled: Notify,
    now: Notify,
}

impl Stop {
    /// Whether to stop at the next good place.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.asked.borrow()
    }

    /// Returns when somebody has asked.
    pub(crate) async fn asked(&self) {
        let mut asked = self.0.asked.subscribe();
        // The sender lives as long as this value.
        let _ = asked.wait_for(|asked| *asked).await;
    }

    /// From now until the value is dropped, the first signal only asks.
    pub(crate) fn listen(&self) -> Listening<'_> {
        Listening::new(&self.0.listening)
    }

    /// The same while a line runs on another machine, which is asked and says so itself.
    pub(crate) fn relay(&self) -> Listening<'_> {
        Listening::new(&self.0.relaying)
    }

    /// From now on somebody has asked.
    pub(crate) fn ask(&self) {
        self.0.asked.send_replace(true);
    }

    /// As if a signal had come.
    pub(crate) fn signal(&self) {
        self.0.signalled.notify_one();
    }

    /// Returns when everything is to end now.
    pub(crate) async fn now(&self) {
        self.0.now.notified().await;
    }

    /// Watches for signals on a thread of its own, since a migration may block the one it runs on.
    pub(crate) fn watch(&self, reporter: Reporter) {
        let this = self.clone();
        tokio::spawn(async move {
            // Without handlers the system's own apply: the process ends at the first.
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
                    reporter.warning(
                        "stopping after the migration under way (a transactional one is aborted); once more ends it now, and \
                         leaves it interrupted",
                    );
                }
            }
            this.0.now.notify_one();
            tokio::time::sleep(GRACE).await;
            let error = ended();
            terminal::error(&error, ToString::to_string);
            // The thread that would return is blocked by a migration's code.
            std::process::exit(error.exit_code().into());
        });
    }
}

/// What is said when everything ends at once.
pub(crate) fn ended() -> Error {
    Error::new(ErrorKind::Interrupted, "ended by a signal; `cargo migrations` shows what was done before")
}

/// What is said when a run stopped at a good place.
pub(crate) fn as_asked() -> Error {
    Error::new(ErrorKind::Interrupted, "stopped as asked; the same command goes on with what is left")
}

/// See [`Stop::listen`].
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
