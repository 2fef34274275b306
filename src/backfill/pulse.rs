//! The pulse of this process in a backfill: it says again and again how it is doing, and learns what it is to do.
//!
//! It beats in a task of its own, so that it goes on while the migration's task computes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mongodb::bson::Document;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::ends::Lost;
use super::load::{Asks, Load};
use crate::durable;
use crate::error::Result;
use crate::store::{Beat, Claim, Orders, Store, lease_time};

/// How often it beats. An order is answered after two beats at most.
const EVERY: Duration = Duration::from_millis(700);

/// How often the server is asked for its load.
const ASK_EVERY: Duration = Duration::from_secs(3);

/// What this process knows of the backfill.
#[derive(Clone, Debug, PartialEq)]
enum Standing {
    Ours(Orders),
    /// A later run has the backfill.
    Lost,
}

/// The pulse. It stops when it is dropped.
pub(super) struct Pulse {
    shared: Arc<Shared>,
    /// `None` if only this process knows the backfill.
    of: Option<(Store, Claim)>,
    standing: watch::Receiver<Standing>,
    task: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    beat: Mutex<Beat>,
    load: Mutex<Option<Load>>,
    /// Something is to be said at once.
    hurry: Notify,
}

impl Shared {
    fn beat(&self) -> MutexGuard<'_, Beat> {
        self.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    /// Of a backfill that only this process knows: it cannot be steered.
    pub(super) fn none() -> Self {
        let shared = Arc::new(Shared::default());
        let orders = Orders { owner_lives: true, ..Orders::default() };
        Self { shared, of: None, standing: watch::channel(Standing::Ours(orders)).1, task: None }
    }

    /// Begins to beat. The first answer is there when this returns.
    pub(super) async fn start(store: Store, claim: Claim) -> mongodb::error::Result<Self> {
        let shared = Arc::new(Shared::default());
        let beat = durable::patiently(async || store.beat(&claim, &Beat::default(), lease_time()).await);
        let first = match beat.await? {
            Some(orders) => Standing::Ours(orders),
            None => Standing::Lost,
        };
        let (sender, standing) = watch::channel(first);
        let of = Some((store.clone(), claim.clone()));
        let task = tokio::spawn(keep_beating(store, claim, Arc::clone(&shared), sender));
        Ok(Self { shared, of, standing, task: Some(task) })
    }

    /// The last orders. An error if a later run has the backfill.
    pub(super) fn orders(&self) -> Result<Orders> {
        match &*self.standing.borrow() {
            Standing::Ours(orders) => Ok(orders.clone()),
            Standing::Lost => Err(Lost.into()),
        }
    }

    /// Waits for the next answer, or for a short time.
    pub(super) async fn next(&self) {
        let mut standing = self.standing.clone();
        standing.mark_unchanged();
        let _ = tokio::time::timeout(EVERY, standing.changed()).await;
    }

    /// Whether one more batch may be in flight, unless so many are already: it is then.
    pub(super) fn begin(&self, most: usize) -> bool {
        // First it is in flight, then the orders are read: either the pulse sees it, or it sees the order to pause.
        {
            let mut beat = self.shared.beat();
            if beat.in_flight >= most {
                return false;
            }
            beat.in_flight += 1;
        }
        let may = matches!(&*self.standing.borrow(), Standing::Ours(orders) if !orders.paused);
        if !may {
            self.end();
        }
        may
    }

    /// One batch fewer is in flight.
    pub(super) fn end(&self) {
        let mut beat = self.shared.beat();
        beat.in_flight = beat.in_flight.saturating_sub(1);
        let is_idle = beat.in_flight == 0;
        drop(beat);
        if is_idle && self.is_to_pause() {
            self.shared.hurry.notify_one();
        }
    }

    /// Notes that so many more documents were read.
    pub(super) fn read(&self, count: u64) {
        self.shared.beat().read += count;
    }

    /// What the server said last of its load, if it was asked.
    pub(super) fn load(&self) -> Option<Load> {
        self.shared.load.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the sessions of the transactions of this process, before they write anything.
    pub(super) async fn announce(&self, sessions: Vec<Document>) -> mongodb::error::Result<()> {
        self.shared.beat().sessions = sessions;
        let Some((store, claim)) = &self.of else { return Ok(()) };
        let mut beat = self.shared.beat().clone();
        beat.is_paused = self.is_to_pause() && beat.in_flight == 0;
        durable::patiently(async || store.beat(claim, &beat, lease_time()).await).await?;
        Ok(())
    }

    /// Notes how many batches may be in flight, and why.
    pub(super) fn pace(&self, most: usize, why: String) {
        let mut beat = self.shared.beat();
        (beat.most, beat.why) = (most, why);
    }

    /// Whether the last orders are to pause.
    pub(super) fn is_to_pause(&self) -> bool {
        matches!(&*self.standing.borrow(), Standing::Ours(orders) if orders.paused)
    }

    /// Documents a second that this process may read, if that is limited for all of them together.
    pub(super) fn throttle(&self) -> Option<f64> {
        match &*self.standing.borrow() {
            #[expect(clippy::cast_precision_loss, reason = "a rate")]
            Standing::Ours(orders) => orders.throttle.map(|rate| rate as f64 / orders.living.len().max(1) as f64),
            Standing::Lost => None,
        }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn keep_beating(store: Store, claim: Claim, shared: Arc<Shared>, sender: watch::Sender<Standing>) {
    let lease = lease_time();
    let every = EVERY.min(lease / 4);
    let (mut rate, mut killed) = (Rate::default(), Vec::new());
    let (mut asks, mut asked) = (Asks::default(), Instant::now());
    loop {
        if asked.elapsed() >= ASK_EVERY {
            asked = Instant::now();
            *shared.load.lock().unwrap_or_else(PoisonError::into_inner) = asks.load(store.database()).await;
        }
        let mut beat = shared.beat().clone();
        beat.rate = rate.after(beat.read);
        let was_told = matches!(&*sender.borrow(), Standing::Ours(orders) if orders.paused);
        beat.is_paused = was_told && beat.in_flight == 0;
        match store.beat(&claim, &beat, lease).await {
            Ok(Some(orders)) => {
                // What they have written, and not committed, is locked.
                if orders.dead_sessions != killed {
                    store.kill_sessions(&orders.dead_sessions).await;
                    killed.clone_from(&orders.dead_sessions);
                }
                let is_told = orders.paused;
                sender.send_replace(Standing::Ours(orders));
                if is_told && !beat.is_paused && shared.beat().in_flight == 0 {
                    continue;
                }
            }
            Ok(None) => {
                sender.send_replace(Standing::Lost);
                return;
            }
            // The next one may come through. If none does, others take over what this process had.
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = shared.hurry.notified() => {}
        }
    }
}

/// Documents a second, over the last few seconds.
#[derive(Default)]
struct Rate(std::collections::VecDeque<(Instant, u64)>);

impl Rate {
    const OVER: Duration = Duration::from_secs(10);

    /// The rate, now that so many documents were read in all.
    fn after(&mut self, read: u64) -> f64 {
        let now = Instant::now();
        self.0.push_back((now, read));
        while self.0.len() > 2 && self.0.front().is_some_and(|(at, _)| now - *at > Self::OVER) {
            self.0.pop_front();
        }
        let (since, before) = self.0.front().copied().unwrap_or((now, read));
        let seconds = (now - since).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        if seconds > 0.0 { read.saturating_sub(before) as f64 / seconds } else { 0.0 }
    }
}
