//! Where the ranges of a backfill come from, and where it is noted that one is done.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;
use std::rc::Rc;

use mongodb::ClientSession;
use mongodb::bson::Bson;
use mongodb::bson::oid::ObjectId;
use tokio::sync::Mutex;

use super::ends::Lost;
use super::pulse::Pulse;
use super::ranges;
use super::read::Span;
use super::totals::{Failure, Totals};
use crate::error::Result;
use crate::store::{Claim, Marked, Store, StoredRange};

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
    /// What this process has taken, and works on.
    takes: Takes,
    /// One range is taken at a time. Otherwise one that this process takes at the same time would look like one that it does not know of.
    turn: Mutex<()>,
}

/// Names of takes.
type Takes = Rc<RefCell<BTreeSet<String>>>;

/// A range, and its number among the stored ones.
#[derive(Debug)]
pub(super) struct Range {
    pub(super) number: i32,
    pub(super) span: Span,
    /// Set if it is stored.
    pub(super) take: Option<Take>,
}

/// One time that a range was taken. It is let go when this is dropped.
///
/// The name of the process is not enough: one that was frozen may lose a range, and take it again while its other half still works on
/// it. And if the answer to a take is lost, the process does not know of it: no part of it holds the take then, and the range may be
/// taken again.
#[derive(Debug)]
pub(super) struct Take {
    name: String,
    takes: Takes,
}

impl Take {
    fn new(takes: &Takes) -> Self {
        let name = ObjectId::new().to_hex();
        takes.borrow_mut().insert(name.clone());
        Self { name, takes: Rc::clone(takes) }
    }

    /// As it is stored. Empty if nothing is.
    fn name(this: Option<&Self>) -> &str {
        this.map_or("", |take| take.name.as_str())
    }
}

impl Drop for Take {
    fn drop(&mut self) {
        self.takes.borrow_mut().remove(&self.name);
    }
}

impl Stored {
    pub(super) fn new(store: Store, claim: Claim) -> Self {
        Self {
            store,
            claim,
            read: Cell::default(),
            is_through: Cell::default(),
            takes: Takes::default(),
            turn: Mutex::default(),
        }
    }
}

impl Source {
    pub(super) fn local(ends: Vec<Bson>) -> Self {
        Self::Local(RefCell::new(Range::between(ends).into()))
    }

    /// The next range to work on. `None` if all are done, or the run that the backfill belongs to is dead.
    pub(super) async fn next(&self, pulse: &Pulse, is_stopping: impl Fn() -> bool) -> Result<Option<Range>> {
        let Stored { store, claim, is_through, takes, turn, .. } = match self {
            Self::Local(ranges) => return Ok(ranges.borrow_mut().pop_front()),
            Self::Stored(stored) => &**stored,
        };
        // A process that had a range before the last beat, and does not live now, is dead. One that came later is not known yet.
        let mut living: Option<Vec<String>> = None;
        loop {
            if is_stopping() || !pulse.orders()?.owner_lives {
                return Ok(None);
            }
            let turn = turn.lock().await;
            let take = Take::new(takes);
            let own: Vec<String> = takes.borrow().iter().cloned().collect();
            if let Some(range) = store.take_range(claim, (&take.name, &own), living.as_deref()).await? {
                return Ok(Some(Range::of(range, take)));
            }
            drop((take, turn));
            let own: Vec<String> = takes.borrow().iter().cloned().collect();
            if store.ranges_elsewhere(claim, &own).await? == 0 {
                // If a later run has them all, none is left that has this run's number.
                if !store.has_backfill(claim).await? {
                    return Err(Lost.into());
                }
                is_through.set(true);
                return Ok(None);
            }
            // Another process has them. If it dies, they are taken over.
            pulse.next().await;
            living = Some(pulse.orders()?.living);
        }
    }

    /// Notes that a range is done. Returns `false` if another process has taken it over.
    pub(super) async fn done(
        &self,
        (number, take): (i32, Option<&Take>),
        counts: Option<Totals>,
        failures: &[Failure],
    ) -> Result<bool> {
        let Self::Stored(stored) = self else { return Ok(true) };
        match stored.store.range_done(&stored.claim, (number, Take::name(take)), counts, failures).await? {
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
        (number, take, at): (i32, Option<&Take>, &Bson),
        counts: Totals,
        failures: &[Failure],
    ) -> mongodb::error::Result<bool> {
        match self {
            Self::Local(_) => Ok(true),
            Self::Stored(stored) => {
                let mark = (number, Take::name(take), at);
                stored.store.batch_done(session, &stored.claim, mark, (counts, failures)).await
            }
        }
    }
}

impl Range {
    /// The ranges between these ends, and those before and after.
    pub(super) fn between(ends: Vec<Bson>) -> Vec<Self> {
        (0..).zip(ranges::spans(ends)).map(|(number, span)| Self { number, span, take: None }).collect()
    }

    fn of(stored: StoredRange, take: Take) -> Self {
        let StoredRange { number, from, to, at } = stored;
        let from = from.map_or(Bound::Unbounded, Bound::Included);
        Self { number, span: Span { from: at.map_or(from, Bound::Excluded), to }, take: Some(take) }
    }

    pub(super) fn stored(&self) -> StoredRange {
        let from = match &self.span.from {
            Bound::Included(id) | Bound::Excluded(id) => Some(id.clone()),
            Bound::Unbounded => None,
        };
        StoredRange { number: self.number, from, to: self.span.to.clone(), at: None }
    }
}
