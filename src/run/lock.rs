//! The lock while a run holds it: it is taken or waited for, renewed in the background, and given back.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use mongodb::ClientSession;
use mongodb::bson::{DateTime, Document};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Scope;
use crate::crash;
use crate::durable::retry;
use crate::error::{Error, ErrorKind};
use crate::line::program::program;
use crate::process::background::Background;
use crate::process::stop;
use crate::report::ago;
use crate::store::{Change, Fence, Holder, LeaseAttempt, Loss, Refusal, Run, Store, lease_time};

/// How often a lease is renewed in its time, so that two may fail.
const RENEWALS: u32 = 3;

/// How long a run waits until the release of its lock is confirmed.
pub(super) const RELEASE_WAITS: Duration = Duration::from_secs(3);

/// How often a waiting run asks for the lock.
const ASK_EVERY: Duration = Duration::from_millis(400);

/// A lock that this run holds.
///
/// [`Locks::give_back`] gives it back. One that is only dropped is no longer renewed, and expires.
#[must_use = "the lock is no longer renewed once this is dropped"]
pub(crate) struct LockGuard {
    store: Store,
    run: Run,
    fence: Fence,
    /// The server's time when the lock was taken, and ours.
    taken_at: (DateTime, Instant),
    renewal: Arc<Renewal>,
    /// Whether the run's last write has released it.
    is_released: Cell<bool>,
    renewing: JoinHandle<()>,
    /// The thread that renews the lease. `None` if it could not be started: then the run's own threads do it.
    _background: Option<Background>,
}

/// A moment by both clocks of this machine: one of them stops while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks(Instant, SystemTime);

impl Clocks {
    pub(super) fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }
}

/// What the background task reports about the lease.
struct Renewal {
    /// When the last renewal was requested.
    last: Mutex<Clocks>,
    is_lost: watch::Sender<bool>,
}

impl Renewal {
    /// Whether the last renewal is so long ago that the lease may have expired.
    fn is_stale(&self) -> bool {
        let Clocks(instant, time) = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        instant.elapsed() >= lease_time() || time.elapsed().is_ok_and(|elapsed| elapsed >= lease_time())
    }

    /// Renews the lease. Returns `false` if another run has it.
    async fn renew(&self, store: &Store, run: &Run) -> mongodb::error::Result<bool> {
        let asked = Clocks::now();
        let renewed = store.renew_lease(run).await?;
        if renewed {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        } else {
            self.is_lost.send_replace(true);
        }
        Ok(renewed)
    }
}

/// The locks that are held now. They are given back however the line ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locks(Rc<RefCell<Vec<Rc<LockGuard>>>>);

impl Locks {
    pub(super) fn note(&self, lock: &Rc<LockGuard>) {
        self.0.borrow_mut().push(Rc::clone(lock));
    }

    /// Gives one lock back.
    pub(crate) async fn give_back(&self, lock: &Rc<LockGuard>) {
        lock.release().await;
        self.0.borrow_mut().retain(|other| !Rc::ptr_eq(other, lock));
    }

    /// Gives back the lock of a run that was abandoned while it took the lock. It may have it.
    pub(super) async fn abandon(&self, store: &Store, run: &Run) {
        self.0.borrow_mut().retain(|lock| lock.run.id != run.id);
        release(store, run).await;
    }

    /// Gives all locks back: those of runs that were ended halfway.
    pub(crate) async fn give_all_back(&self) {
        let locks = self.0.take();
        futures_util::future::join_all(locks.iter().map(|lock| lock.release())).await;
    }
}

/// Takes the lock for a run, or waits for it as long as the scope says. The session that is returned reads nothing older than the
/// lock.
pub(super) async fn take(scope: &Scope<'_>, run: &Run) -> Result<(Rc<LockGuard>, ClientSession), Error> {
    let Scope { store, wait, .. } = scope;
    let since = Instant::now();
    let mut is_reported = false;
    loop {
        let asked = Clocks::now();
        match store.take_lease(run).await.map_err(not_taken)? {
            LeaseAttempt::Taken { term, at, epoch } => {
                crash::point("lease taken");
                let fence = Fence::new(store, term, epoch);
                let lock = Rc::new(LockGuard::new(store, run, fence, (at, Instant::now()), asked));
                // However this ends from now on, the lock is given back.
                scope.locks.note(&lock);
                match lock.raise_fence(term).await {
                    Ok(Some(session)) => return Ok((lock, session)),
                    // It took so long that another run has it by now.
                    Ok(None) => scope.locks.give_back(&lock).await,
                    Err(error) => {
                        scope.locks.give_back(&lock).await;
                        return Err(not_taken(error));
                    }
                }
            }
            LeaseAttempt::HeldByAnother(lease) => {
                let Some(holder) = lease.holder else { continue };
                let left = wait.unwrap_or_default().saturating_sub(since.elapsed());
                if left.is_zero() {
                    return Err(locked_by_another(scope, &holder).await);
                }
                if !is_reported {
                    scope.reporter.status("Waiting", format!("for the lock, which is {}", describe(store, &holder).await));
                    is_reported = true;
                }
                // Waiting processes do not all ask at the same moment.
                let offset = Duration::from_millis(u64::from(std::process::id() % 8) * 25);
                tokio::select! {
                    () = tokio::time::sleep((ASK_EVERY + offset).min(left)) => {}
                    () = scope.stop.asked() => return Err(stop::as_asked()),
                }
            }
        }
    }
}

/// The error of a run that does not have the lock.
fn not_taken(error: mongodb::error::Error) -> Error {
    Error::failed("the lock could not be taken, so nothing has run").caused_by(error)
}

/// The server's time now, from one reading of it and of our clock.
pub(super) fn server_time((at, since): (DateTime, Instant)) -> DateTime {
    DateTime::from_millis(at.timestamp_millis() + i64::try_from(since.elapsed().as_millis()).unwrap_or(0))
}

impl LockGuard {
    /// `taken_at`: the server's time when the lock was taken, or shortly after, and ours. `asked`: when the command was sent that took
    /// it.
    pub(super) fn new(store: &Store, run: &Run, fence: Fence, taken_at: (DateTime, Instant), asked: Clocks) -> Self {
        let renewal = Arc::new(Renewal { last: Mutex::new(asked), is_lost: watch::Sender::new(false) });
        let keep_renewing = keep_renewing(store.clone(), run.clone(), Arc::clone(&renewal));
        let background = Background::start("lock").ok();
        let renewing = match &background {
            Some(background) => background.spawn(keep_renewing),
            None => tokio::spawn(keep_renewing),
        };
        Self {
            store: store.clone(),
            run: run.clone(),
            fence,
            taken_at,
            renewal,
            is_released: Cell::new(false),
            renewing,
            _background: background,
        }
    }

    async fn raise_fence(&self, term: i64) -> mongodb::error::Result<Option<ClientSession>> {
        let mut session = self.store.database().client().start_session().await?;
        let raised = self.store.raise_fence(term, &mut session).await?;
        crash::point("fence raised");
        Ok(raised.then_some(session))
    }

    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// The server's time, independent of this machine's clock.
    pub(crate) fn now(&self) -> DateTime {
        server_time(self.taken_at)
    }

    /// Returns once another run has the lock.
    pub(crate) async fn lost(&self) {
        let mut is_lost = self.renewal.is_lost.subscribe();
        // The sender lives as long as this value.
        let _ = is_lost.wait_for(|is_lost| *is_lost).await;
    }

    /// Whether this run still has the lock. If it was not renewed for long, because the process was frozen, it is renewed first.
    /// An error means that the server does not answer.
    pub(crate) async fn is_ours(&self) -> mongodb::error::Result<bool> {
        if self.renewal.is_stale() {
            retry(async || self.renewal.renew(&self.store, &self.run).await).await?;
        }
        Ok(!*self.renewal.is_lost.borrow())
    }

    /// Appends events to the log.
    pub(super) async fn write_log(&self, log: Vec<Document>) -> Result<(), Error> {
        match self.fence.write(&Change { log, ..Change::default() }).await {
            Ok(()) => Ok(()),
            Err(Refusal::Lost) => Err(self.lost_error().await),
            Err(Refusal::Server(error)) => Err(Error::failed("the log could not be written").caused_by(error)),
        }
    }

    /// The error after the lock was lost.
    pub(crate) async fn lost_error(&self) -> Error {
        let now = match self.store.loss(&self.run, self.taken_at.0).await {
            Ok(Loss::HeldBy(holder)) => format!("it is now {}", describe(&self.store, &holder).await),
            Ok(Loss::Other(text)) => text,
            Err(_) => "the server does not say why".into(),
        };
        Error::failed(format!("this run lost its lock ({now}), and stopped before its next write to the registry"))
            .with_hint(format!("`{}` shows where each migration stands", program()))
    }

    /// The run's last write has released the lock, if it could: a standalone server cannot.
    pub(super) fn note_released(&self) {
        self.is_released.set(self.store.has_transactions());
    }

    /// Gives the lock back. If that fails, it expires by itself.
    async fn release(&self) {
        self.renewing.abort();
        if !self.is_released.get() {
            crash::point("before release");
            release(&self.store, &self.run).await;
            crash::point("released");
        }
    }
}

/// Frees the lease. The primary has done so at once. If a majority does not confirm it, nothing is gained by waiting: the lease
/// expires by itself.
async fn release(store: &Store, run: &Run) {
    let _ = tokio::time::timeout(RELEASE_WAITS, store.release_lease(run)).await;
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").field("run", &self.run).finish_non_exhaustive()
    }
}

/// Runs on a thread and with a client of its own: a migration may block every thread of the runtime, and use every connection of
/// the pool. The client connects when the first renewal is due, so a short run pays nothing for it.
async fn keep_renewing(store: Store, run: Run, renewal: Arc<Renewal>) {
    let often = lease_time() / RENEWALS;
    let mut pause = often;
    let mut own_store = None;
    loop {
        tokio::time::sleep(pause).await;
        let store = own_store.get_or_insert_with(|| store.with_own_client().unwrap_or_else(|_| store.clone()));
        // A renewal that hangs does not delay the next one: there may be another primary by then.
        pause = match tokio::time::timeout(often, renewal.renew(store, &run)).await {
            Ok(Ok(true)) => often,
            Ok(Ok(false)) => return,
            _ => often / 6,
        };
    }
}

/// `held by deploy@web-2, pid 4211, running 0007_slugs for 3 min, renewed 2 s ago`
pub(crate) async fn describe(store: &Store, holder: &Holder) -> String {
    let running = match store.running(&holder.owner).await {
        Ok(Some((stem, Some(time)))) => format!("running {stem} for {}", ago(time)),
        Ok(Some((stem, None))) => format!("running {stem}"),
        _ => format!("{} for {}", holder.command, ago(holder.held_for)),
    };
    format!("held by {}@{}, pid {}, {running}, renewed {} ago", holder.user, holder.host, holder.pid, ago(holder.renewed))
}

async fn locked_by_another(scope: &Scope<'_>, holder: &Holder) -> Error {
    let after = scope.wait.map(|waited| format!(" (waited {})", ago(waited))).unwrap_or_default();
    let (database, held) = (scope.database(), describe(&scope.store, holder).await);
    let message = format!("another run has the lock on {database}: {held}{after}. Nothing has run");
    let unlock = format!("if that process should be gone, see `{} unlock`", program());
    Error::new(ErrorKind::Locked, message).with_hint(match scope.wait {
        Some(_) => unlock,
        None => format!("wait for it with `{}`, or, {unlock}", scope.how_to_wait),
    })
}
