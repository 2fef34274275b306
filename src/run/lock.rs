//! The lock as a run holds it: taken or waited for, renewed in the background, given back.

use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use mongodb::ClientSession;
use mongodb::bson::DateTime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::crash;
use crate::durable::retry;
use crate::error::{Error, ErrorKind};
use crate::process::stop::{self, Stop};
use crate::report::{Reporter, ago};
use crate::store::{Fence, Holder, Run, Store, Taken, lease_time};

/// How often a lease is renewed in its time, so that two may fail.
const RENEWALS: u32 = 3;

/// How often a lock that is held is asked for.
const ASK_EVERY: Duration = Duration::from_millis(400);

/// A lock that is held. Give it back with [`Held::release`]; one that is only dropped is no longer renewed, and runs out.
pub(crate) struct Held {
    store: Store,
    run: Run,
    fence: Fence,
    /// The server's time when the lock was taken, and ours.
    taken_at: (DateTime, Instant),
    renewal: Arc<Renewal>,
    renewing: JoinHandle<()>,
}

/// What the background tells of the lease.
struct Renewal {
    /// When it was renewed last, on our clocks, ahead of the request. One of them stands still while the machine sleeps.
    last: Mutex<(Instant, SystemTime)>,
    is_lost: watch::Sender<bool>,
}

impl Renewal {
    /// Whether it was not renewed for so long that it may have run out.
    fn is_stale(&self) -> bool {
        let (instant, time) = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        instant.elapsed() >= lease_time() || time.elapsed().is_ok_and(|elapsed| elapsed >= lease_time())
    }

    /// Renews the lease; `false`: it is another's, for good.
    async fn renew(&self, store: &Store, run: &Run) -> mongodb::error::Result<bool> {
        let asked = (Instant::now(), SystemTime::now());
        let renewed = store.renew_lease(run).await?;
        if renewed {
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        } else {
            self.is_lost.send_replace(true);
        }
        Ok(renewed)
    }
}

/// Takes the lock for a run, or waits for it as long as `wait` says; `taken` is told at once. What the session reads after that
/// is no older than the lock.
pub(crate) async fn take(
    store: &Store,
    run: &Run,
    (wait, stop): (Option<Duration>, &Stop),
    reporter: &Reporter,
    taken: impl Fn(&Rc<Held>),
) -> Result<(Rc<Held>, ClientSession), Error> {
    let failed =
        |error: mongodb::error::Error| Error::failed("the lock could not be taken; nothing has run").caused_by(error);
    let since = Instant::now();
    let mut is_told = false;
    loop {
        match store.take_lease(run).await.map_err(failed)? {
            Taken::Yes { term, at, epoch } => {
                crash::point("lease taken");
                let held = Rc::new(Held::new(store, run, Fence::new(store, term, epoch), at));
                taken(&held);
                match held.raise_fence(term).await {
                    Ok(Some(session)) => return Ok((held, session)),
                    // It took so long that another one has it by now.
                    Ok(None) => held.release().await,
                    Err(error) => {
                        held.release().await;
                        return Err(failed(error));
                    }
                }
            }
            Taken::Held(lease) => {
                let Some(holder) = lease.holder else { continue };
                let waited = since.elapsed();
                let left = wait.unwrap_or_default().saturating_sub(waited);
                if left.is_zero() {
                    return Err(in_the_way(store, &holder, wait).await);
                }
                if !is_told {
                    reporter.status("Waiting", format!("for the lock, {}", describe(store, &holder).await));
                    is_told = true;
                }
                // Many that wait do not ask all at once.
                let apart = Duration::from_millis(u64::from(std::process::id() % 8) * 25);
                tokio::select! {
                    () = tokio::time::sleep((ASK_EVERY + apart).min(left)) => {}
                    () = stop.asked() => return Err(stop::as_asked()),
                }
            }
        }
    }
}

impl Held {
    fn new(store: &Store, run: &Run, fence: Fence, at: DateTime) -> Self {
        let renewal =
            Arc::new(Renewal { last: Mutex::new((Instant::now(), SystemTime::now())), is_lost: watch::Sender::new(false) });
        let renewing = tokio::spawn(keep_renewing(store.clone(), run.clone(), Arc::clone(&renewal)));
        Self { store: store.clone(), run: run.clone(), fence, taken_at: (at, Instant::now()), renewal, renewing }
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

    /// The server's time, whatever this machine's clock says.
    pub(crate) fn now(&self) -> DateTime {
        let (at, since) = self.taken_at;
        DateTime::from_millis(at.timestamp_millis() + i64::try_from(since.elapsed().as_millis()).unwrap_or(0))
    }

    /// Returns when the lock is another's.
    pub(crate) async fn lost(&self) {
        let mut is_lost = self.renewal.is_lost.subscribe();
        // The sender lives as long as this value.
        let _ = is_lost.wait_for(|is_lost| *is_lost).await;
    }

    /// Whether the lock is still ours. One that was not renewed for long (the process was frozen) is renewed first; an error:
    /// the server does not answer.
    pub(crate) async fn is_ours(&self) -> mongodb::error::Result<bool> {
        if self.renewal.is_stale() {
            retry(async || self.renewal.renew(&self.store, &self.run).await).await?;
        }
        Ok(!*self.renewal.is_lost.borrow())
    }

    /// What is said when the lock was lost.
    pub(crate) async fn lost_error(&self) -> Error {
        let now = match self.store.read_lease().await.ok().flatten().and_then(|lease| lease.holder) {
            Some(holder) => format!("it is {}", describe(&self.store, &holder).await),
            None => "it was freed by `unlock`, or another run has taken over since and ended".into(),
        };
        Error::failed(format!(
            "this run lost its lock ({now}), and has stopped before its next write to the registry; `cargo migrations` shows \
             where each migration stands"
        ))
    }

    /// Gives the lock back. Where that fails it runs out by itself.
    pub(crate) async fn release(&self) {
        self.renewing.abort();
        crash::point("before release");
        let _ = self.store.release_lease(&self.run).await;
        crash::point("released");
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("run", &self.run).finish_non_exhaustive()
    }
}

/// On a thread of the runtime's, since a migration may block its own.
async fn keep_renewing(store: Store, run: Run, renewal: Arc<Renewal>) {
    let often = lease_time() / RENEWALS;
    let mut pause = often;
    loop {
        tokio::time::sleep(pause).await;
        // One that hangs does not hold up the next: the server may have another primary by then.
        pause = match tokio::time::timeout(often, renewal.renew(&store, &run)).await {
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

async fn in_the_way(store: &Store, holder: &Holder, waited: Option<Duration>) -> Error {
    let after = waited.map(|waited| format!(" (waited {})", ago(waited))).unwrap_or_default();
    let held = describe(store, holder).await;
    Error::new(
        ErrorKind::Refused,
        format!(
            "another run has the lock on {}: {held}{after}; nothing has run; wait for it with `--wait 60s`, or, where that \
             process should be gone, see `cargo migrations unlock`",
            store.database().name()
        ),
    )
}
