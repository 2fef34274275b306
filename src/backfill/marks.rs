//! Which ranges of a backfill are done. It is stored while the migration is under way, so that a run that follows a killed one goes on
//! where that was.

use std::ops::Bound;

use mongodb::bson::{Document, doc};

use super::read::Span;
use super::settings::Settings;
use super::shared::Totals;
use crate::db::Migrating;
use crate::error::{Error, Result};
use crate::store::{BackfillCounts, BackfillId, Begin, StoredRange, counts_document};

/// The marks of one backfill. A subtask has none: it begins anew each time.
pub(super) struct Marks<'b> {
    migrating: Option<&'b Migrating>,
    id: BackfillId,
    what: String,
}

/// A range, and its number among the stored ones.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) number: i32,
    pub(super) span: Span,
}

impl<'b> Marks<'b> {
    pub(super) fn new(migrating: Option<&'b Migrating>, settings: &Settings, kind: &str) -> Self {
        let label = settings.label.as_deref().unwrap_or(&settings.collection);
        let (registry, stem, direction) = match migrating {
            Some(of) => (of.store.registry_name(), of.stem.as_str(), of.direction),
            None => ("", "", ""),
        };
        let Settings { collection, filter, reads, .. } = settings;
        let reads = reads.as_ref().map_or_else(|| "all fields".to_owned(), |reads| reads.join(", "));
        let what = format!("{kind} of {collection} where {filter}, reads {reads}");
        Self { migrating, id: BackfillId::new(registry, stem, direction, label), what }
    }

    /// What an earlier run has left, if it began.
    pub(super) async fn begin(&self) -> Result<Begin> {
        match self.migrating {
            Some(of) => Ok(of.store.begin_backfill(&of.fence, &self.id, &self.what).await?),
            None => Ok(Begin::New),
        }
    }

    /// Notes the ranges, none of which is done.
    pub(super) async fn note(&self, ranges: &[Range], settings: &Settings, estimate: u64) -> Result<()> {
        let Some(of) = self.migrating else { return Ok(()) };
        let stored: Vec<StoredRange> = ranges.iter().map(Range::stored).collect();
        let about = doc! {
            "migration": &of.stem,
            "direction": of.direction,
            "collection": &settings.collection,
            "label": &settings.label,
            "estimate": i64::try_from(estimate).unwrap_or(i64::MAX),
        };
        Ok(of.store.note_ranges(&of.fence, &self.id, &self.what, about, &stored).await?)
    }

    /// Marks a range as done.
    pub(super) async fn done(&self, number: i32, counts: Totals) -> Result<()> {
        let Some(of) = self.migrating else { return Ok(()) };
        if of.store.range_done(&of.fence, &self.id, number, counts.into()).await? {
            return Ok(());
        }
        Err(Error::failed("another run goes on with this backfill, so this one stops").into())
    }

    /// Notes the end of the backfill for the log. `further` was done beside the ranges.
    pub(super) async fn end(&self, settings: &Settings, further: Totals) -> Result<Totals> {
        let Some(of) = self.migrating else { return Ok(further) };
        let stored: Totals = of.store.backfill_counts(&self.id).await?.into();
        let all = stored.with(further);
        let mut done: Document = doc! { "collection": &settings.collection, "label": &settings.label };
        done.extend(counts_document(all.into()));
        of.add_backfill(done);
        Ok(all)
    }
}

impl Range {
    pub(super) fn of(stored: StoredRange) -> Self {
        let from = stored.from.map_or(Bound::Unbounded, Bound::Included);
        Self { number: stored.number, span: Span { from, to: stored.to } }
    }

    fn stored(&self) -> StoredRange {
        let from = match &self.span.from {
            Bound::Included(id) | Bound::Excluded(id) => Some(id.clone()),
            Bound::Unbounded => None,
        };
        StoredRange { number: self.number, from, to: self.span.to.clone() }
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
