//! Backfills as people see them from outside, and how they are steered: a process that works on one reads its `control` with each
//! of its heartbeats.
//!
//! Steering takes no lock: a run has it for as long as its backfill lasts.

use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::error::Result;
use mongodb::options::ReadConcern;

use super::backfill_id::{BACKFILLS, BackfillId};
use super::fence::as_integer;
use super::{Store, origin};
use crate::durable;

/// A backfill whose migration is not registered yet.
#[derive(Clone, Debug)]
pub(crate) struct StoredBackfill {
    pub(crate) id: String,
    /// The stem of its migration.
    pub(crate) migration: String,
    /// `up` or `down`.
    pub(crate) direction: String,
    pub(crate) label: Option<String>,
    pub(crate) collection: String,
    /// Of its migration's file, when it began.
    pub(crate) checksum: String,
    pub(crate) is_done: bool,
    /// How many documents the collection had when it began, roughly.
    pub(crate) estimate: u64,
    pub(crate) ranges: u64,
    pub(crate) ranges_done: u64,
    pub(crate) failed: u64,
    pub(crate) started_at: Option<DateTime>,
    pub(crate) control: Control,
    /// The processes that work on it: their leases have not run out.
    pub(crate) workers: Vec<Worker>,
    /// Whether the process that runs the migration is one of these.
    pub(crate) is_owned: bool,
    /// What the ranges have counted.
    counted: u64,
}

/// What people want of a backfill.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Control {
    pub(crate) is_paused: bool,
    /// Documents a second at most.
    pub(crate) throttle: Option<u64>,
    /// Who said so, as `user@host`.
    pub(crate) by: Option<String>,
    pub(crate) at: Option<DateTime>,
    /// How long ago that was.
    pub(crate) since: Duration,
}

/// A process that works on a backfill.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Worker {
    pub(crate) id: String,
    pub(crate) who: String,
    pub(crate) place: String,
    pub(crate) pid: i64,
    /// The end of its lease. Each heartbeat puts it off.
    pub(crate) until: Option<DateTime>,
    /// Documents that it has read.
    pub(crate) read: u64,
    /// Documents that it reads in a second.
    pub(crate) rate: f64,
    /// Batches in flight, and how many may be at most.
    pub(crate) in_flight: u64,
    pub(crate) most: u64,
    /// Why there are no more in flight.
    pub(crate) why: String,
    /// It has seen the pause, and has nothing in flight.
    pub(crate) is_paused: bool,
}

/// How far a backfill is, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackfillState {
    Running,
    /// It is to pause, and some process has not seen it or has something in flight.
    Pausing,
    Paused,
    /// The process that ran it is gone, and the migration's next run goes on with it.
    Stopped,
    /// All of it is done. The migration goes on.
    Done,
}

/// What is changed in the control of a backfill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Steer {
    Pause,
    Resume,
    /// Documents a second, or no limit.
    Throttle(Option<u32>),
}

impl BackfillState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Done => "done",
        }
    }
}

impl StoredBackfill {
    /// Its name among the backfills of its migration: its label, or its collection.
    pub(crate) fn called(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.collection)
    }

    pub(crate) fn stored_id(&self) -> BackfillId {
        BackfillId::stored(&self.id)
    }

    pub(crate) fn state(&self) -> BackfillState {
        match () {
            () if self.is_done => BackfillState::Done,
            () if self.control.is_paused && self.workers.iter().all(|worker| worker.is_paused) => BackfillState::Paused,
            () if self.control.is_paused => BackfillState::Pausing,
            () if self.is_owned => BackfillState::Running,
            () => BackfillState::Stopped,
        }
    }

    /// Documents that were read, at least: what the ranges have counted, or what those who work on it now have read, if that is more.
    /// A range counts when it is done.
    pub(crate) fn read(&self) -> u64 {
        self.counted.max(self.workers.iter().map(|worker| worker.read).sum())
    }

    /// Documents that it will have read at its end, roughly. A filter leaves some of the collection out: the ranges that are done say
    /// how many.
    pub(crate) fn expected(&self) -> u64 {
        let read = self.read();
        if self.is_done {
            return read;
        }
        let by_ranges = read.checked_mul(self.ranges).and_then(|product| product.checked_div(self.ranges_done));
        by_ranges.map_or(self.estimate, |by_ranges| by_ranges.min(self.estimate)).max(read)
    }

    /// Documents in a second, of all who work on it.
    pub(crate) fn rate(&self) -> f64 {
        self.workers.iter().map(|worker| worker.rate).sum()
    }

    /// The time left at the rate of now. `None` if it does not run.
    pub(crate) fn left(&self) -> Option<Duration> {
        let rate = self.rate();
        if self.state() != BackfillState::Running || rate < 0.01 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = (self.expected() - self.read()) as f64 / rate;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Reads a row of [`Store::backfills_now`].
    fn read_row(row: &Document) -> Self {
        let now = row.get_datetime("server_now").copied().ok();
        let text = |key| row.get_str(key).unwrap_or_default().to_owned();
        let sums = row.get_array("sums").ok().and_then(|sums| sums.first()?.as_document().cloned()).unwrap_or_default();
        let living = row.get_document("workers").into_iter().flatten().filter_map(|(id, worker)| {
            let worker = Worker::read(id, worker.as_document()?);
            (worker.until > now).then_some(worker)
        });
        let workers: Vec<Worker> = living.collect();
        let owner = row.get_str("owner").unwrap_or_default();
        Self {
            id: text("_id"),
            migration: text("migration"),
            direction: text("direction"),
            label: row.get_str("label").ok().map(str::to_owned),
            collection: text("collection"),
            checksum: text("checksum"),
            is_done: row.get_bool("done").unwrap_or(false),
            estimate: count(row, "estimate"),
            ranges: count(row, "ranges"),
            ranges_done: count(&sums, "done"),
            failed: count(&sums, "failed"),
            started_at: row.get_datetime("started_at").copied().ok(),
            control: row.get_document("control").map(|control| Control::read(control, now)).unwrap_or_default(),
            is_owned: workers.iter().any(|worker| worker.id == owner),
            workers,
            counted: count(&sums, "read"),
        }
    }
}

impl Control {
    fn read(control: &Document, now: Option<DateTime>) -> Self {
        let at = control.get_datetime("at").copied().ok();
        let millis = now.zip(at).map(|(now, at)| now.timestamp_millis() - at.timestamp_millis());
        Self {
            is_paused: control.get_bool("paused").unwrap_or(false),
            throttle: Some(count(control, "throttle")).filter(|throttle| *throttle > 0),
            by: control.get_str("by").ok().map(str::to_owned),
            at,
            since: Duration::from_millis(millis.and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default()),
        }
    }
}

impl Worker {
    fn read(id: &str, worker: &Document) -> Self {
        let text = |key| worker.get_str(key).unwrap_or_default().to_owned();
        Self {
            id: id.to_owned(),
            who: text("who"),
            place: text("where"),
            pid: worker.get("pid").and_then(as_integer).unwrap_or_default(),
            until: worker.get_datetime("until").copied().ok(),
            read: count(worker, "read"),
            rate: worker.get_f64("rate").unwrap_or_default().max(0.0),
            in_flight: count(worker, "in_flight"),
            most: count(worker, "most"),
            why: text("why"),
            is_paused: worker.get_bool("is_paused").unwrap_or(false),
        }
    }
}

impl Store {
    /// The backfills of this registry whose migrations are not registered, those that are not done first. Who is alive is a
    /// question to the server's clock.
    pub(crate) async fn backfills_now(&self) -> Result<Vec<StoredBackfill>> {
        // The ranges' names begin with that of their backfill, so that the index on `_id` finds them.
        let bounds = doc! { "$and": [
            { "$gte": ["$_id", { "$concat": ["$$id", "/"] }] },
            { "$lt": ["$_id", { "$concat": ["$$id", "0"] }] },
            { "$eq": ["$backfill", "$$id"] },
            // Ranges of an earlier beginning may have been left.
            { "$eq": ["$cut", "$$cut"] },
        ] };
        let sums = vec![
            doc! { "$match": { "$expr": bounds } },
            doc! { "$group": {
                "_id": null,
                "read": { "$sum": "$counts.read" },
                "failed": { "$sum": "$counts.failed" },
                "done": { "$sum": { "$cond": ["$done", 1, 0] } },
            } },
        ];
        let pipeline = [
            doc! { "$match": { "registry": self.registry_name() } },
            doc! { "$lookup": { "from": BACKFILLS, "let": { "id": "$_id", "cut": "$cut" }, "pipeline": sums, "as": "sums" } },
            doc! { "$set": { "server_now": "$$NOW" } },
            doc! { "$sort": { "done": 1, "started_at": 1, "_id": 1 } },
        ];
        let mut rows = Vec::new();
        // Heartbeats are confirmed by the primary alone: with a majority that lags, the living would seem to be dead.
        let backfills = self.collection(BACKFILLS);
        let mut cursor = backfills.aggregate(pipeline).read_concern(ReadConcern::local()).await?;
        while cursor.advance().await? {
            // A document that someone edited by hand may hold what cannot be decoded.
            let Ok(row) = Document::try_from(cursor.current()) else { continue };
            rows.push(StoredBackfill::read_row(&row));
        }
        Ok(rows)
    }

    /// Changes the control of these backfills, unless they are done by now.
    pub(crate) async fn steer_backfills(&self, ids: &[&str], steer: Steer) -> Result<()> {
        let (who, place) = origin::who_and_where();
        let mut set = doc! { "control.by": { "$literal": format!("{who}@{place}") }, "control.at": "$$NOW" };
        match steer {
            Steer::Pause => set.insert("control.paused", true),
            Steer::Resume => set.insert("control.paused", false),
            Steer::Throttle(limit) => {
                set.insert("control.throttle", limit.map_or(Bson::Null, |limit| i64::from(limit).into()))
            }
        };
        let filter = doc! { "registry": self.registry_name(), "_id": { "$in": ids }, "done": { "$ne": true } };
        let update = vec![doc! { "$set": set }];
        let backfills = self.collection(BACKFILLS);
        durable::retry(async || backfills.update_many(filter.clone(), update.clone()).await).await.map(|_| ())
    }
}

/// A number that is not negative, of whatever type.
pub(super) fn count(document: &Document, key: &str) -> u64 {
    document.get(key).and_then(as_integer).and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_770_000_000_000;

    /// The row of a backfill of 1,000 documents in 10 ranges, and what is changed in it.
    fn row(change: Document) -> StoredBackfill {
        let mut row = doc! {
            "_id": "migrations/0002_slugs/up/users", "migration": "0002_slugs", "direction": "up", "label": null,
            "collection": "users", "done": false, "estimate": 1000_i64, "ranges": 10, "owner": "a", "workers": {},
            "control": { "paused": false, "throttle": null, "by": null, "at": null },
            "sums": [{ "_id": null, "read": 300_i64, "failed": 0, "done": 3 }],
            "server_now": DateTime::from_millis(NOW),
        };
        row.extend(change);
        StoredBackfill::read_row(&row)
    }

    /// A worker whose lease ends in so many milliseconds.
    fn worker(left: i64, is_paused: bool) -> Document {
        doc! { "until": DateTime::from_millis(NOW + left), "read": 100_i64, "rate": 50.0, "is_paused": is_paused }
    }

    fn state(is_paused: bool, workers: Document) -> &'static str {
        row(doc! { "control": { "paused": is_paused }, "workers": workers }).state().as_str()
    }

    #[test]
    fn the_servers_clock_says_who_is_alive() {
        assert_eq!(state(false, doc! { "a": worker(1, false) }), "running");
        assert_eq!(state(false, doc! { "a": worker(0, false) }), "stopped");
        // Others have joined, and stop at the end of their ranges.
        assert_eq!(state(false, doc! { "a": worker(-1, false), "b": worker(900, false) }), "stopped");
        assert_eq!(state(false, doc! {}), "stopped");
        assert_eq!(row(doc! { "done": true, "control": { "paused": true } }).state(), BackfillState::Done);
    }

    #[test]
    fn a_pause_is_answered_by_everyone_who_is_alive() {
        assert_eq!(state(true, doc! { "a": worker(900, true), "b": worker(900, false) }), "pausing");
        assert_eq!(state(true, doc! { "a": worker(900, true), "b": worker(900, true) }), "paused");
        // The dead do not keep it pausing for ever.
        assert_eq!(state(true, doc! { "a": worker(900, true), "b": worker(0, false) }), "paused");
        assert_eq!(state(true, doc! { "a": worker(-900, false) }), "paused");
        assert_eq!(state(true, doc! {}), "paused");
    }

    #[test]
    fn what_is_expected_follows_from_what_the_ranges_counted() {
        let backfill = row(doc! { "workers": { "a": worker(900, false) } });
        assert_eq!((backfill.read(), backfill.expected()), (300, 1000));
        assert_eq!(backfill.left(), Some(Duration::from_secs(14)));
        // Half of the documents match its filter.
        let half = row(doc! { "sums": [{ "read": 150, "done": 3 }], "workers": { "a": worker(900, false) } });
        assert_eq!((half.read(), half.expected()), (150, 500));
        // No range is done, and the documents have become more.
        let begun =
            row(doc! { "sums": [], "estimate": 60, "workers": { "a": worker(900, false), "b": worker(900, false) } });
        assert_eq!((begun.read(), begun.expected(), begun.left()), (200, 200, Some(Duration::ZERO)));
        let done = row(doc! { "done": true, "sums": [{ "read": 420, "done": 10 }] });
        assert_eq!((done.read(), done.expected(), done.left()), (420, 420, None));
        assert_eq!(row(doc! { "workers": { "a": worker(0, false) } }).left(), None);
    }

    #[test]
    fn numbers_of_any_type_and_missing_fields_are_read() {
        let backfill = row(doc! { "estimate": 12.0, "ranges": 3_i64, "control": { "throttle": 500, "paused": "yes" } });
        assert_eq!((backfill.estimate, backfill.ranges, backfill.control.throttle), (12, 3, Some(500)));
        let empty = StoredBackfill::read_row(&doc! { "_id": "x" });
        assert_eq!((empty.state(), empty.read(), empty.expected(), empty.left()), (BackfillState::Stopped, 0, 0, None));
    }
}
