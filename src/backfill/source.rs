//! Where the ranges of a backfill come from, and where it is noted that one is done.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Bound;

use mongodb::ClientSession;
use mongodb::bson::Bson;

use super::ends::Lost;
use super::pulse::Pulse;
use super::ranges;
use super::read::Span;
use super::totals::{Failure, Totals};
use crate::error::Result;
use crate::store::{BackfillCounts, Claim, Marked, Store, StoredRange};

/// The ranges of one pass.
pub(super) enum Source {
    /// Only this process knows them.
    Local(RefCell<VecDeque<Range>>),
    /// They are stored, and several processes may work on them.
    Stored(Box<Stored>),
}

/// Ranges that are stored.
pub(super) struct Stored {
    pub(super) store: Store,
    pub(super) claim: Claim,
    /// How many documents this process has read.
    pub(super) read: Cell<u64>,
    /// Whether no other process had a range at the end.
    is_through: Cell<bool>,
}

/// A range, and its number among the stored ones.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) number: i32,
    pub(super) span: Span,
}

impl Stored {
    pub(super) fn new(store: Store, claim: Claim) -> Self {
        Self { store, claim, read: Cell::default(), is_through: Cell::default() }
    }
}

impl Source {
    pub(super) fn local(ends: Vec<Bson>) -> Self {
        Self::Local(RefCell::new(Range::between(ends).into()))
    }

    /// The next range to work on. `None` if all are done, or the run that the backfill belongs to is dead.
    pub(super) async fn next(&self, pulse: &Pulse, is_stopping: impl Fn() -> bool) -> Result<Option<Range>> {
        let Stored { store, claim, is_through, .. } = match self {
            Self::Local(ranges) => return Ok(ranges.borrow_mut().pop_front()),
            Self::Stored(stored) => &**stored,
        };
        // A process that had a range before the last beat, and does not live now, is dead. One that came later is not known yet.
        let mut living: Option<Vec<String>> = None;
        loop {
            if is_stopping() || !pulse.orders()?.owner_lives {
                return Ok(None);
            }
            if let Some(range) = store.take_range(claim, living.as_deref()).await? {
                return Ok(Some(Range::of(range)));
            }
            if store.ranges_elsewhere(claim).await? == 0 {
                is_through.set(true);
                return Ok(None);
            }
            // Another process has them. If it dies, they are taken over.
            pulse.next().await;
            living = Some(pulse.orders()?.living);
        }
    }

    /// Notes that a range is done. Returns `false` if another process has taken it over.
    pub(super) async fn done(&self, number: i32, counts: Option<Totals>, failures: &[Failure]) -> Result<bool> {
        let Self::Stored(stored) = self else { return Ok(true) };
        match stored.store.range_done(&stored.claim, number, counts.map(Into::into), failures).await? {
            Marked::Done => Ok(true),
            Marked::Taken => Ok(false),
            Marked::Lost => Err(Lost.into()),
        }
    }

    /// Notes that so many documents were read.
    pub(super) fn add_read(&self, count: u64) {
        if let Self::Stored(stored) = self {
            stored.read.set(stored.read.get() + count);
        }
    }

    /// Whether all ranges are done, once this process has done its own.
    pub(super) fn is_through(&self) -> bool {
        match self {
            Self::Stored(stored) => stored.is_through.get(),
            Self::Local(_) => true,
        }
    }

    /// How many documents this process has read.
    pub(super) fn read(&self) -> u64 {
        match self {
            Self::Stored(stored) => stored.read.get(),
            Self::Local(_) => 0,
        }
    }

    /// Notes a batch in the transaction that writes it. Returns `false` if another process has taken the range over.
    pub(super) async fn batch_done(
        &self,
        session: &mut ClientSession,
        mark: (i32, &Bson),
        counts: Totals,
        failures: &[Failure],
    ) -> mongodb::error::Result<bool> {
        match self {
            Self::Local(_) => Ok(true),
            Self::Stored(stored) => stored.store.batch_done(session, &stored.claim, mark, (counts.into(), failures)).await,
        }
    }
}

impl Range {
    /// The ranges between these ends, and those before and after.
    pub(super) fn between(ends: Vec<Bson>) -> Vec<Self> {
        (0..).zip(ranges::spans(ends)).map(|(number, span)| Self { number, span }).collect()
    }

    fn of(stored: StoredRange) -> Self {
        let StoredRange { number, from, to, at } = stored;
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        Self { number, span: Span { from: at.map_or(from, Bound::Excluded), to } }
    }

    pub(super) fn stored(&self) -> StoredRange {
        let from = match &self.span.from {
            Bound::Included(id) | Bound::Excluded(id) => Some(id.clone()),
            Bound::Unbounded => None,
        };
        StoredRange { number: self.number, from, to: self.span.to.clone(), at: None }
    }
}

impl From<Totals> for BackfillCounts {
    fn from(totals: Totals) -> Self {
        let Totals { read, matched: _, modified, deleted, repeated, failed } = totals;
        Self { read, modified, deleted, repeated, failed }
    }
}

impl From<BackfillCounts> for Totals {
    fn from(counts: BackfillCounts) -> Self {
        let BackfillCounts { read, modified, deleted, repeated, failed } = counts;
        Self { read, matched: 0, modified, deleted, repeated, failed }
    }
}
