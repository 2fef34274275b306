//! The beginning of a run in one transaction: it takes the lease, raises the fence, and writes its first events.
//!
//! A run plans before it has the lock. That plan still holds if nothing was written under the lock since it was made: the lease is
//! free and has the same term, and the fence has the same number and the same count of writes. These three are read before the log
//! and the registry, and are the condition of the transaction. If they have changed, the run takes the lock first, and plans again.

use std::time::Instant;

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::error::TRANSIENT_TRANSACTION_ERROR;

use super::fence::as_integer;
use super::lease::{self, Lease};
use super::log::Run;
use super::{FENCE_ID, Fence, LOG, Refusal, Store, statements};
use crate::crash;
use crate::durable::attempt;
use crate::error::Result;
use crate::error::chain::has_label;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The lock as it was seen when no run had it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    term: i64,
    epoch: String,
    /// The fence's number, and its count of writes, which it has from the first one on.
    number: i64,
    writes: Bson,
    /// The server's time then, and ours.
    at: (DateTime, Instant),
}

/// The result of [`Store::open`].
#[derive(Debug)]
pub(crate) enum Opened {
    /// The run has the lock and has begun.
    Begun,
    /// Something has changed, or the server could not do it. Nothing was written.
    No,
    /// It is not known whether the run has begun.
    Unknown(BoxError),
}

impl Seen {
    /// Reads a row of the view, if the lock in it is complete and free.
    pub(super) fn read(row: &Document, lease: Option<&Lease>, now: Option<DateTime>) -> Option<Self> {
        let lease = lease.filter(|lease| lease.live().is_none())?;
        let fence = row.get_document("fence").ok()?;
        Some(Self {
            term: lease.term,
            epoch: row.get_document("lease").ok()?.get_str("epoch").ok()?.to_owned(),
            number: fence.get("number").and_then(as_integer).filter(|number| *number <= lease.term)?,
            writes: fence.get("writes").cloned().unwrap_or(Bson::Null),
            at: (now?, Instant::now()),
        })
    }

    /// The server's time, and ours, when it was seen.
    pub(crate) fn at(&self) -> (DateTime, Instant) {
        self.at
    }

    /// The fence that a run works under which takes the lock as it was seen.
    pub(crate) fn fence(&self, store: &Store) -> Fence {
        Fence::new(store, self.term + 1, self.epoch.clone())
    }
}

impl Store {
    /// Takes the lock as it was seen, and writes the run's first events, all of it or nothing.
    pub(crate) async fn open(&self, run: &Run, seen: &Seen, log: &[Document]) -> Opened {
        let statements = [
            lease::take_after(seen.term, &seen.epoch, run),
            doc! {
                // A field that is not there matches null.
                "q": { "_id": FENCE_ID, "number": seen.number, "writes": &seen.writes },
                "u": { "$set": { "number": seen.term + 1 } },
            },
        ];
        let mut is_committing = false;
        let opened = attempt::retried(self.database().client(), async |session| {
            is_committing = false;
            if self.update_lock(session, statements.clone()).await? != 2 {
                return Err(Refusal::Lost.into());
            }
            crash::point("lock written");
            self.database().collection::<Document>(LOG).insert_many(log).session(session).await?;
            crash::point("log inserted");
            is_committing = true;
            Ok(())
        });
        let opened = opened.await;
        match opened {
            Ok(()) => Opened::Begun,
            // A commit had no effect if the server asks for the transaction to be repeated.
            Err(error) if is_committing && !has_label(&*error, TRANSIENT_TRANSACTION_ERROR) => Opened::Unknown(error),
            Err(_) => Opened::No,
        }
    }

    /// Records the end of a run whose start may have been written, and releases its lease. Does nothing if it has not begun, or no
    /// longer has the lease: its number may then be another run's.
    pub(crate) async fn withdraw(&self, run: &Run, fence: &Fence, log: &[Document]) -> Result<()> {
        if !self.has_transactions() {
            return Ok(());
        }
        let statements = [fence.own(), statements::release(&run.id)];
        attempt::retried(self.database().client(), async |session| {
            if self.update_lock(session, statements.clone()).await? != 2 {
                return Err(Refusal::Lost.into());
            }
            let events = self.database().collection::<Document>(LOG);
            let start = doc! { "registry": self.registry_name(), "fence": fence.number(), "run": &run.id };
            if events.find_one(start).session(&mut *session).await?.is_none() {
                return Err(Refusal::Lost.into());
            }
            events.insert_many(log).session(session).await?;
            Ok(())
        })
        .await
    }
}
