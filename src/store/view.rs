//! All that is known of a database's migrations, in one read.

use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::error::Result;

use super::lease::Lease;
use super::log::Attempt;
use super::registry::Entry;
use super::{LOG, Store};

/// The registry, the last that the log knows of each migration, and who is at work.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) entries: Vec<Entry>,
    pub(crate) attempts: Vec<Attempt>,
    /// `None`: nobody ever took it.
    pub(crate) lease: Option<Lease>,
    /// A restore that began and did not come to its end.
    pub(crate) restore: Option<Restore>,
}

/// A restore that was cut off: the database holds a part of what it should.
#[derive(Clone, Debug)]
pub(crate) struct Restore {
    fence: i64,
    pub(crate) dump: String,
    pub(crate) who: String,
    pub(crate) place: String,
}

impl Restore {
    /// The last event of any restore; `None`: it came to its end.
    fn read(event: &Document) -> Option<Self> {
        let text = |key| event.get_str(key).unwrap_or("unknown").to_owned();
        (event.get_str("event").is_ok_and(|event| event == "run_started")).then(|| Self {
            fence: event.get_i64("fence").unwrap_or_default(),
            dump: text("dump"),
            who: text("who"),
            place: text("where"),
        })
    }
}

impl View {
    /// Whether the run that made the attempt may still be at it.
    ///
    /// The lease is read ahead of the log, so a run of a later term began since.
    pub(crate) fn is_under_way(&self, attempt: &Attempt) -> bool {
        self.is_at_work(attempt.fence)
    }

    /// A restore that was cut off, and nobody is at.
    pub(crate) fn cut_off_restore(&self) -> Option<&Restore> {
        self.restore.as_ref().filter(|restore| !self.is_at_work(restore.fence))
    }

    fn is_at_work(&self, fence: i64) -> bool {
        let Some(lease) = &self.lease else { return false };
        fence > lease.term || fence == lease.term && lease.live().is_some()
    }
}

/// More than anybody has: without it the server sends a hundred, and the rest when asked again.
const ONE_BATCH: u32 = 1_000_000;

impl Store {
    /// Reads all of it, with one query. What the session wrote or read before is seen.
    pub(crate) async fn view(&self, session: &mut ClientSession) -> Result<View> {
        // The lease first, the log second, the registry last: what ends meanwhile is then seen as ended.
        let last_events = doc! { "$unionWith": { "coll": LOG, "pipeline": [
            { "$match": { "registry": self.registry_name(), "name": { "$type": "string" } } },
            { "$sort": { "registry": 1, "name": 1, "fence": 1, "seq": 1 } },
            { "$group": { "_id": "$name", "event": { "$last": "$$ROOT" } } },
            { "$project": { "_id": 0, "event": 1 } },
        ] } };
        let restores = doc! { "$unionWith": { "coll": LOG, "pipeline": [
            { "$match": { "registry": self.registry_name(), "subtask": "restore", "event": { "$in": ["run_started", "run_ended"] } } },
            { "$sort": { "fence": -1, "seq": -1 } },
            { "$limit": 1 },
            { "$project": { "_id": 0, "restore": "$$ROOT" } },
        ] } };
        let fields = doc! { "_id": 1, "name": 1, "state": 1, "checksum": 1, "registered_at": 1, "duration_ms": 1, "run": 1 };
        // These stand by themselves: they are the many.
        let entries = doc! { "$unionWith": { "coll": self.registry_name(), "pipeline": [{ "$project": fields }] } };
        let lease = [
            doc! { "$match": { "_id": super::lease::ID } },
            doc! { "$set": { "now": "$$NOW" } },
            doc! { "$project": { "_id": 0, "lease": "$$ROOT" } },
        ];
        let pipeline = lease.into_iter().chain([last_events, restores, entries]);
        let mut cursor = self.lock().aggregate(pipeline).batch_size(ONE_BATCH).session(&mut *session).await?;
        let mut view = View::default();
        while cursor.advance(session).await? {
            let current = cursor.current();
            if ["lease", "event", "restore"].iter().all(|part| !matches!(current.get(part), Ok(Some(_)))) {
                view.entries.extend(Entry::read(current));
                continue;
            }
            // A document of another tool may hold what cannot be read.
            let Ok(row) = Document::try_from(current) else { continue };
            if let Ok(lease) = row.get_document("lease") {
                view.lease = Some(Lease::read(lease));
            } else if let Ok(event) = row.get_document("event") {
                view.attempts.extend(Attempt::read(event));
            } else if let Ok(event) = row.get_document("restore") {
                view.restore = Restore::read(event);
            }
        }
        Ok(view)
    }
}
