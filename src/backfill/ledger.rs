//! What is stored about a backfill while its migration is under way, so that a run that follows a killed one goes on where that was,
//! and other processes can join in.

use std::cell::Cell;

use mongodb::bson::{Bson, DateTime, Document, doc};

use super::ends::Lost;
use super::failures::Failures;
use super::pulse::Pulse;
use super::ranges;
use super::settings::Settings;
use super::source::{Range, Source, Stored};
use super::totals::{Failure, Totals};
use crate::connect::Connection;
use crate::db::{Db, Joins, Migrating, Part};
use crate::error::{Error, ErrorKind, Result, kind_of};
use crate::model::Joined;
use crate::store::{BackfillId, Begin, Claim, Store, StoredRange, failures_document};

/// The ledger of one backfill of a migration.
pub(super) struct Ledger<'b> {
    migrating: &'b Migrating,
    /// With a client of its own, whose commands are not taken for those of the migration.
    store: Store,
    id: BackfillId,
    kind: &'static str,
    what: String,
    /// How many documents earlier runs have read.
    read_before: Cell<u64>,
}

impl<'b> Ledger<'b> {
    pub(super) fn new(migrating: &'b Migrating, settings: &Settings, kind: &'static str) -> Result<Self> {
        let Settings { collection, filter, reads, exactly_once, .. } = settings;
        let label = settings.label_or_collection();
        if !migrating.claim_label(label) {
            let text = format!("this migration has two backfills that are called `{label}`");
            return Err(Error::usage(text).with_hint("give each a name of its own: `.label(\"…\")`").into());
        }
        let reads = reads.as_ref().map_or_else(|| "all fields".to_owned(), |reads| reads.join(", "));
        let once = if *exactly_once { ", exactly once" } else { "" };
        // What was done without an undo log cannot be undone.
        let undo = if settings.undo_days.is_some() { ", with an undo log" } else { "" };
        let what = format!("{kind} of {collection} where {filter}, reads {reads}{once}{undo}");
        let id = BackfillId::new(migrating.store.registry_name(), &migrating.stem, migrating.direction, label);
        let store = migrating.store.without_records()?;
        Ok(Self { migrating, store, id, kind, what, read_before: Cell::default() })
    }

    /// Its client.
    pub(super) fn connection(&self) -> &Connection {
        self.store.connection()
    }

    /// The backfill that this process joins, if it does not run the migration.
    pub(super) fn joins(&self) -> Option<&'b Joins> {
        match &self.migrating.part {
            Part::Joins(joins) => Some(joins),
            Part::Runs { .. } => None,
        }
    }

    /// Begins it, or goes on with what an earlier run has left.
    pub(super) async fn begin(&self, db: &Db, settings: &Settings) -> Result<(Source, Pulse)> {
        let Part::Runs { fence, run } = &self.migrating.part else {
            return Err(Error::failed("only the process that runs a migration begins its backfills").into());
        };
        let name = &settings.collection;
        let worker = self.migrating.worker.as_str();
        self.store.end_dead_transactions(&self.id).await?;
        let cut = match self.store.begin_backfill(&self.id, *fence, (run, worker), &self.what).await? {
            Begin::Lost => return Err(Lost.into()),
            Begin::GoOn { cut, left, all, read } => {
                db.note(format!("the backfill of `{name}` goes on: {left} of {all} ranges are left"));
                self.read_before.set(read);
                Some(cut)
            }
            begin => {
                if begin == Begin::Changed {
                    db.note(format!("the backfill of `{name}` has changed since it was begun, so it begins again"));
                }
                let collection = db.collection::<Document>(name);
                let estimate = collection.estimated_document_count().await?;
                let ranges = Range::between(ranges::cut(&collection, estimate).await?);
                let stored: Vec<StoredRange> = ranges.iter().map(Range::stored).collect();
                let about = self.about(settings, estimate, stored.len());
                self.store.note_backfill((&self.id, *fence), about, &stored).await?
            }
        };
        let cut = cut.ok_or(Lost)?;
        let claim = Claim { id: self.id.clone(), fence: *fence, cut, worker: worker.to_owned() };
        let pulse = Pulse::start(self.store.clone(), claim.clone()).await?;
        Ok((self.source(claim), pulse))
    }

    fn about(&self, settings: &Settings, estimate: u64, ranges: usize) -> Document {
        let Migrating { store, stem, direction, checksum, part, worker, .. } = self.migrating;
        let run = match part {
            Part::Runs { run, .. } => run.as_str(),
            Part::Joins(_) => "",
        };
        doc! {
            "registry": store.registry_name(),
            "migration": stem,
            "direction": *direction,
            "label": &settings.label,
            "collection": &settings.collection,
            "kind": self.kind,
            "what": &self.what,
            "checksum": checksum,
            "exactly_once": settings.exactly_once,
            "estimate": i64::try_from(estimate).unwrap_or(i64::MAX),
            "ranges": i32::try_from(ranges).unwrap_or(i32::MAX),
            "started_at": DateTime::now(),
            "run": run,
            "owner": worker,
            "control": { "paused": false, "throttle": Bson::Null, "by": Bson::Null, "at": Bson::Null },
            "workers": {},
        }
    }

    fn source(&self, claim: Claim) -> Source {
        Source::Stored(Box::new(Stored::new(self.store.clone(), claim)))
    }

    /// How many documents earlier runs have read.
    pub(super) fn read_before(&self) -> u64 {
        self.read_before.get()
    }

    /// The failures in all ranges, of all processes: their number, and the first ones.
    pub(super) async fn failures(&self, source: &Source) -> Result<(u64, Vec<Failure>)> {
        let Source::Stored(stored) = source else { return Ok((0, Vec::new())) };
        let count = self.store.backfill_counts(&self.id, &stored.claim.cut).await?.failed;
        if count == 0 {
            return Ok((0, Vec::new()));
        }
        Ok((count, self.store.backfill_failures(&self.id, &stored.claim.cut).await?))
    }

    /// Removes all that is stored: a run that follows begins with everything.
    pub(super) async fn forget(&self, source: &Source) -> Result<()> {
        let Source::Stored(stored) = source else { return Ok(()) };
        Ok(self.store.forget_backfill(&self.id, stored.claim.fence).await?)
    }

    /// Notes the end of the backfill. `further` was done in addition to the ranges.
    pub(super) async fn end(
        &self,
        source: &Source,
        settings: &Settings,
        further: Totals,
        failures: &Failures,
    ) -> Result<Totals> {
        let Source::Stored(stored) = source else { return Ok(further) };
        let counts = self.store.backfill_counts(&self.id, &stored.claim.cut).await?;
        let all = Totals { failed: failures.count(), ..counts.with(further) };
        self.store.backfill_done(&stored.claim).await?;
        let mut done: Document = doc! { "collection": &settings.collection, "label": &settings.label };
        done.extend(all.document());
        done.extend(failures_document(&failures.all()));
        self.migrating.add_backfill(done);
        Ok(all)
    }

    /// The result where the run that the backfill belongs to does not have it any more.
    async fn gone(&self, read: u64) -> Result<Joined> {
        Ok(if self.store.is_open(&self.id).await? { Joined::OwnerGone { read } } else { Joined::Done { read } })
    }

    /// Helps with a backfill of which another process runs the migration. Returns only if that backfill is done already and is not the
    /// one to help with: then the migration's code goes on to the next.
    pub(super) async fn join(
        &self,
        joins: &Joins,
        pass: impl AsyncFnOnce(&Source, Pulse) -> Result<Totals>,
    ) -> Result<Totals> {
        let found = self.store.joinable(&self.id, &self.migrating.worker).await?;
        let Some((joinable, orders)) = found else { return joins.end(self.gone(0).await?).await };
        if orders.done {
            if self.id == joins.id {
                return joins.end(Joined::Done { read: 0 }).await;
            }
            return Ok(self.store.backfill_counts(&self.id, &joinable.claim.cut).await?);
        }
        if joinable.what != self.what {
            return joins.end(Joined::Differs).await;
        }
        let pulse = Pulse::start(self.store.clone(), joinable.claim.clone()).await?;
        let source = self.source(joinable.claim.clone());
        let ended = pass(&source, pulse).await;
        let _ = self.store.leave_backfill(&joinable.claim).await;
        let read_here = source.read();
        let joined = match ended {
            Ok(_) if source.is_through() => Joined::Done { read: read_here },
            Ok(_) => self.gone(read_here).await?,
            Err(error) if error.is::<Lost>() => self.gone(read_here).await?,
            Err(error) if kind_of(&*error) == ErrorKind::Interrupted => Joined::Stopped { read: read_here },
            Err(error) => return Err(error),
        };
        joins.end(joined).await
    }
}
