//! Everything that is known about a database's migrations, in one read.

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Result;

use super::foreign::Foreign;
use super::lease::Lease;
use super::log::{Attempt, Ended};
use super::opening::Seen;
use super::partial::Partial;
use super::registry::{self, Entry};
use super::{FENCE_ID, LEASE_ID, LOG, Store};

/// The registry, the attempts that did not succeed, and the run that is at work.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) entries: Vec<Entry>,
    /// Documents in the registry that another tool wrote.
    pub(crate) foreign: Vec<Foreign>,
    /// The last attempt of each migration, unless it succeeded or no longer counts.
    pub(crate) attempts: Vec<Attempt>,
    /// `None` if no run ever took it.
    pub(crate) lease: Option<Lease>,
    /// The lock as it was before the log and the registry were read, if it was free.
    pub(crate) seen: Option<Seen>,
    /// Whether a run recorded at its end that nothing is open: the log was then read from there on.
    pub(crate) was_settled: bool,
    /// Whether that run knew that the server keeps the registry's names unique.
    pub(crate) has_unique_names: bool,
    /// A restore that began to replace collections and did not finish, and the number of its run, or of a later restore that did not
    /// finish either.
    pub(crate) restore: Option<(i64, Partial)>,
    /// The stems of the migrations that the last run has registered. They are read only for a request that is about them.
    pub(crate) last_run: Vec<String>,
}

impl View {
    /// Whether the run that made the attempt may still be working on it.
    ///
    /// The lease is read before the log, so a run with a later term began in between.
    pub(crate) fn is_under_way(&self, attempt: &Attempt) -> bool {
        self.is_at_work(attempt.fence)
    }

    /// A restore that was cut off, and is not under way now.
    pub(crate) fn cut_off_restore(&self) -> Option<&Partial> {
        self.restore.as_ref().filter(|(fence, _)| !self.is_at_work(*fence)).map(|(_, partial)| partial)
    }

    fn is_at_work(&self, fence: i64) -> bool {
        let Some(lease) = &self.lease else { return false };
        fence > lease.term || fence == lease.term && lease.live().is_some()
    }
}

/// More documents than any registry has. Without it the server sends a first batch of a hundred.
const ONE_BATCH: u32 = 1_000_000;

impl Store {
    /// Reads it all with one query. It is no older than what the session wrote or read before.
    pub(crate) async fn view(&self, session: &mut ClientSession) -> Result<View> {
        // The lock first, the log second, the registry last: what ends in between is then seen as ended.
        let lock_and_log = self.lock_and_log();
        let fields: Document = registry::fields().map(|field| (field.to_owned(), Bson::Int32(1))).collect();
        // The entries are separate rows, since there are many.
        let entries = doc! { "$unionWith": { "coll": self.registry_name(), "pipeline": [{ "$project": fields }] } };
        let pipeline = lock_and_log.into_iter().chain([entries]);
        let mut cursor = self.lock().aggregate(pipeline).batch_size(ONE_BATCH).session(&mut *session).await?;
        let mut view = View::default();
        while cursor.advance(session).await? {
            let current = cursor.current();
            // Only the rows of the lease and the log have the server's time.
            if !matches!(current.get("now"), Ok(Some(_))) {
                match Entry::read(current) {
                    Ok(entry) => view.entries.push(entry),
                    Err(foreign) => view.foreign.push(foreign),
                }
                continue;
            }
            // Another tool's document may hold values that cannot be decoded.
            let Ok(row) = Document::try_from(current) else { continue };
            let now = row.get_datetime("now").copied().ok();
            view.lease = row.get_document("lease").ok().map(|lease| Lease::read(lease, now));
            view.seen = Seen::read(&row, view.lease.as_ref(), now);
            view.was_settled = row.contains_key("settled");
            view.has_unique_names = row.get_bool("unique_names").unwrap_or(false);
            if let Ok(event) = row.get_document("event") {
                view.attempts.extend(Attempt::read(event));
                let fence = event.get_i64("fence").unwrap_or_default();
                view.restore = view.restore.or_else(|| Some((fence, Partial::read(event)?)));
            }
        }
        Ok(view)
    }

    /// The lock, and with it the last event of each migration, and of each subtask's runs, unless that event is a success.
    ///
    /// A run that left nothing open says so in its last event. Everything before that succeeded, and need not be read. Such an
    /// event counts only if it belongs to this lock and is not newer than it: a log that was copied from another database has
    /// numbers of its own, and a later run must never be taken for an older one.
    fn lock_and_log(&self) -> [Document; 5] {
        let registry = self.registry_name();
        let is_of_this_lock = doc! { "$and": [{ "$eq": ["$settled", "$$epoch"] }, { "$lte": ["$fence", "$$term"] }] };
        let settled = vec![
            doc! { "$match": { "registry": registry, "settled": { "$exists": true }, "$expr": is_of_this_lock } },
            doc! { "$sort": { "fence": -1 } },
            doc! { "$limit": 1 },
            doc! { "$project": { "_id": 0, "fence": 1, "unique_names": 1 } },
        ];
        let open = vec![
            doc! { "$match": { "registry": registry, "$expr": { "$gt": ["$fence", "$$settled"] } } },
            doc! { "$sort": { "fence": 1, "seq": 1 } },
            doc! { "$group": { "_id": subject(), "event": { "$last": "$$ROOT" } } },
            doc! { "$match": { "event.outcome": { "$nin": [Ended::Done.as_str(), Ended::Restored.as_str()] } } },
        ];
        let first = |array: &str| doc! { "$arrayElemAt": [array, 0] };
        let of_lease = doc! { "epoch": first("$lease.epoch"), "term": first("$lease.term") };
        let after = doc! { "settled": { "$ifNull": [first("$settled.fence"), -1_i64] } };
        [
            // One row, also where there is no lease yet.
            doc! { "$facet": {
                "lease": [{ "$match": { "_id": LEASE_ID } }],
                "fence": [{ "$match": { "_id": FENCE_ID } }],
            } },
            doc! { "$lookup": { "from": LOG, "let": of_lease, "pipeline": settled, "as": "settled" } },
            doc! { "$lookup": { "from": LOG, "let": after, "pipeline": open, "as": "open" } },
            doc! { "$unwind": { "path": "$open", "preserveNullAndEmptyArrays": true } },
            doc! { "$project": {
                "lease": first("$lease"), "fence": first("$fence"), "settled": first("$settled.fence"),
                "unique_names": first("$settled.unique_names"), "event": "$open.event", "now": "$$NOW",
            } },
        ]
    }
}

/// What an event is about: a migration, known by its stem, or the runs of a subtask.
fn subject() -> Document {
    let stem = doc! { "$regexFind": { "input": "$name", "regex": r"^(.*?)(\.[^.]*)?$" } };
    let is_migration = doc! { "$eq": [{ "$type": "$name" }, "string"] };
    doc! { "$cond": [
        is_migration,
        { "$let": { "vars": { "stem": stem }, "in": { "$arrayElemAt": ["$$stem.captures", 0] } } },
        { "subtask": "$subtask" },
    ] }
}
