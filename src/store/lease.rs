//! The lease says which run may work on the database now. It expires by the server's clock, so clients' clocks do not matter.
//!
//! Its term grows each time that a run takes it, or that it is freed by force. The fence follows (see `fence`).

use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::error::Result;
use mongodb::options::ReturnDocument;

use super::fence::as_integer;
use super::log::Run;
use super::statements::{freed, owned_by};
use super::{FENCE_ID, LEASE_ID, Store};
use crate::durable::{is_duplicate, retry};

/// How long a lease holds after it was last renewed.
#[cfg(not(feature = "_crash-points"))]
pub(crate) fn lease_time() -> Duration {
    Duration::from_secs(10)
}

#[cfg(feature = "_crash-points")]
pub(crate) use crate::crash::lease_time;

/// The lease as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Lease {
    /// Grows with every owner.
    pub(crate) term: i64,
    pub(crate) holder: Option<Holder>,
}

/// The run that has the lease, and since when.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holder {
    /// The run's id.
    pub(crate) owner: String,
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) pid: i64,
    pub(crate) command: String,
    /// How long ago it was taken, and renewed, on the server's clock.
    pub(crate) held_for: Duration,
    pub(crate) renewed: Duration,
    /// Whether the lease has not expired yet.
    pub(crate) is_live: bool,
}

/// The result of an attempt to take the lease.
#[derive(Debug)]
pub(crate) enum LeaseAttempt {
    /// This run has it. `at` is the server's time when it was taken, `epoch` identifies the lock that the term belongs to.
    Taken { term: i64, at: DateTime, epoch: String },
    /// Another run has it.
    HeldByAnother(Lease),
}

impl Lease {
    /// Reads the document; `now` on the server's clock.
    pub(super) fn read(document: &Document, now: Option<DateTime>) -> Self {
        let term = document.get("term").and_then(as_integer).unwrap_or_default();
        let Ok(owner) = document.get_str("owner") else { return Self { term, holder: None } };
        let text = |key| document.get_str(key).unwrap_or("unknown").to_owned();
        let time = |key| document.get_datetime(key).map_or(0, |at| at.timestamp_millis());
        let now = now.map_or(0, DateTime::timestamp_millis);
        let since = |key| Duration::from_millis(u64::try_from(now - time(key)).unwrap_or(0));
        let holder = Holder {
            owner: owner.to_owned(),
            user: text("user"),
            host: text("host"),
            pid: document.get_i64("pid").unwrap_or_default(),
            command: text("command"),
            held_for: since("acquired_at"),
            renewed: since("renewed_at"),
            is_live: time("expires_at") > now,
        };
        Self { term, holder: Some(holder) }
    }

    /// The holder, if the lease has not expired.
    pub(crate) fn live(&self) -> Option<&Holder> {
        self.holder.as_ref().filter(|holder| holder.is_live)
    }
}

impl Store {
    /// Takes the lease if it is free or has expired. Repeating the call is safe: the run then has it already.
    pub(crate) async fn take_lease(&self, run: &Run) -> Result<LeaseAttempt> {
        loop {
            // Only the owner renews it, so a repeated attempt gets the same answer.
            let filter = doc! { "_id": LEASE_ID, "term": { "$type": "number" }, "$or": [{ "owner": &run.id }, { "$expr": is_free() }] };
            let update = take(run);
            let taken = retry(async || {
                self.lock().find_one_and_update(filter.clone(), update.clone()).return_document(ReturnDocument::After).await
            })
            .await?;
            if let Some(document) = taken {
                let at = document.get_datetime("acquired_at").copied().unwrap_or_else(|_| DateTime::now());
                let epoch = document.get_str("epoch").unwrap_or_default().to_owned();
                return Ok(LeaseAttempt::Taken { term: document.get_i64("term").unwrap_or_default(), at, epoch });
            }
            match self.read_lease().await? {
                Some(lease) if lease.live().is_some() => return Ok(LeaseAttempt::HeldByAnother(lease)),
                // It expired in the meantime, or was damaged.
                Some(_) => self.check_lock().await?,
                None => self.lay_lock().await?,
            }
        }
    }

    /// Reads the lease, if one was ever taken.
    pub(crate) async fn read_lease(&self) -> Result<Option<Lease>> {
        let pipeline = [doc! { "$match": { "_id": LEASE_ID } }, doc! { "$set": { "now": "$$NOW" } }];
        let mut cursor = self.lock().aggregate(pipeline).await?;
        if !cursor.advance().await? {
            return Ok(None);
        }
        let lease = Document::try_from(cursor.current())?;
        Ok(Some(Lease::read(&lease, lease.get_datetime("now").copied().ok())))
    }

    /// Renews the lease, even an expired one if no other run took it. Returns `false` if another run has it.
    pub(crate) async fn renew_lease(&self, run: &Run) -> Result<bool> {
        let update = vec![doc! { "$set": renewed() }];
        let renewed = self.lock().update_one(owned_by(&run.id), update).await?;
        Ok(renewed.matched_count == 1)
    }

    /// Frees the lease that the run holds.
    pub(crate) async fn release_lease(&self, run: &Run) -> Result<()> {
        retry(async || self.lock().update_one(owned_by(&run.id), freed()).await).await?;
        Ok(())
    }

    /// Frees the lease of another run, and keeps that run from registering anything more. Returns `false` if it had given it back.
    pub(crate) async fn break_lease(&self, owner: &str) -> Result<bool> {
        let update = vec![
            doc! { "$set": { "owner": Bson::Null, "expires_at": "$$NOW", "term": { "$toLong": { "$add": ["$term", 1_i64] } } } },
        ];
        let broken = self.lock().find_one_and_update(owned_by(owner), update).return_document(ReturnDocument::After).await?;
        let Some(document) = broken else { return Ok(false) };
        let mut session = self.database().client().start_session().await?;
        self.raise_fence(document.get_i64("term").unwrap_or_default(), &mut session).await?;
        Ok(true)
    }

    /// Raises the term to the highest number in the log, after a log was copied here from another database.
    pub(crate) async fn raise_term(&self) -> Result<()> {
        let highest = self.highest_logged().await?;
        let lower = doc! { "_id": LEASE_ID, "term": { "$lt": highest } };
        let raise = doc! { "$set": { "term": highest } };
        retry(async || self.lock().update_one(lower.clone(), raise.clone()).await).await.map(|_| ())
    }

    pub(super) async fn highest_logged(&self) -> Result<i64> {
        let logged = self.log().find_one(doc! { "fence": { "$type": "long" } }).sort(doc! { "fence": -1 }).await?;
        Ok(logged.and_then(|event| event.get_i64("fence").ok()).unwrap_or_default())
    }

    /// Creates the two documents, which are never deleted. If one was deleted by hand, it starts above all earlier numbers.
    async fn lay_lock(&self) -> Result<()> {
        let fence = self.lock().find_one(doc! { "_id": FENCE_ID }).await?;
        let fence = fence.and_then(|fence| fence.get_i64("number").ok()).unwrap_or_default();
        let number = fence.max(self.highest_logged().await?);
        let documents =
            [doc! { "_id": LEASE_ID, "term": number, "owner": Bson::Null }, doc! { "_id": FENCE_ID, "number": number }];
        match retry(async || self.lock().insert_many(&documents).ordered(false).await).await {
            Ok(_) => Ok(()),
            // Another process created them first.
            Err(error) if is_duplicate(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether any run may take the lease, as an expression.
fn is_free() -> Document {
    doc! { "$or": [
        { "$eq": [{ "$ifNull": ["$owner", Bson::Null] }, Bson::Null] },
        { "$lte": ["$expires_at", "$$NOW"] },
    ] }
}

/// The update that gives the lease to a run. Its term grows unless the run has it already.
fn take(run: &Run) -> Vec<Document> {
    let (user, host) = super::origin::who_and_where();
    let is_ours = doc! { "$eq": ["$owner", { "$literal": &run.id }] };
    let mut set = doc! {
        // A shell stores a number that was edited by hand as a double.
        "term": { "$toLong": { "$cond": [is_ours, "$term", { "$add": ["$term", 1_i64] }] } },
        "owner": { "$literal": &run.id },
        "user": { "$literal": user },
        "host": { "$literal": host },
        "pid": i64::from(std::process::id()),
        "command": { "$literal": &run.command },
        "acquired_at": "$$NOW",
        // Terms are compared only within one lock: a log may have been copied from another database with its numbers.
        "epoch": { "$ifNull": ["$epoch", { "$literal": ObjectId::new().to_hex() }] },
    };
    set.extend(renewed());
    vec![doc! { "$set": set }]
}

/// The statement that gives the lease to a run if it is still free, and no other run has had it since it had that term.
pub(super) fn take_after(term: i64, epoch: &str, run: &Run) -> Document {
    doc! { "q": { "_id": LEASE_ID, "term": term, "epoch": epoch, "$expr": is_free() }, "u": take(run) }
}

fn renewed() -> Document {
    let lease = i64::try_from(lease_time().as_millis()).expect("a few seconds");
    doc! { "renewed_at": "$$NOW", "expires_at": { "$add": ["$$NOW", lease] } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_live_on_the_servers_clock() {
        let at = |seconds: i64| DateTime::from_millis(1_000_000 + seconds * 1000);
        let mut document = doc! {
            "term": 4_i64, "owner": "run", "user": "deploy", "host": "web-2", "pid": 7_i64, "command": "execute",
            "acquired_at": at(0), "renewed_at": at(60), "expires_at": at(70),
        };
        let lease = Lease::read(&document, Some(at(62)));
        let holder = lease.live().unwrap();
        assert_eq!((holder.held_for, holder.renewed), (Duration::from_secs(62), Duration::from_secs(2)));
        assert!(Lease::read(&document, Some(at(70))).live().is_none());
        document.insert("owner", Bson::Null);
        assert_eq!(Lease::read(&document, Some(at(70))), Lease { term: 4, holder: None });
    }
}
