//! The processes at work on a backfill. Each says again and again that it lives, and learns on that occasion what it is to do.

use std::time::Duration;

use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::{Acknowledgment, ReturnDocument, WriteConcern};

use super::Store;
use super::backfill_id::BackfillId;
use super::backfills::Claim;
use super::origin::who_and_where;

/// How one process is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Beat {
    /// Documents that it has read.
    pub(crate) read: u64,
    /// Documents a second, lately.
    pub(crate) rate: f64,
    pub(crate) in_flight: usize,
    pub(crate) most: usize,
    /// Why not more are in flight.
    pub(crate) why: String,
    /// It has seen that it is to pause, and nothing is in flight any more.
    pub(crate) is_paused: bool,
    /// The sessions of its transactions.
    pub(crate) sessions: Vec<Document>,
}

/// The orders to the processes of a backfill.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Orders {
    pub(crate) paused: bool,
    /// Documents a second, of all processes together.
    pub(crate) throttle: Option<u64>,
    /// The processes that live.
    pub(crate) living: Vec<String>,
    /// The sessions of those that are dead.
    pub(crate) dead_sessions: Vec<Document>,
    /// Whether the run that the backfill belongs to lives.
    pub(crate) owner_lives: bool,
    /// All of the backfill is done.
    pub(crate) done: bool,
}

/// A backfill that a process may join.
#[derive(Clone, Debug)]
pub(crate) struct Joinable {
    pub(crate) claim: Claim,
    pub(crate) what: String,
}

impl Store {
    /// Says that a process lives, for `lease` from now, and returns the orders. `None` if a later run has the backfill.
    pub(crate) async fn beat(&self, claim: &Claim, beat: &Beat, lease: Duration) -> mongodb::error::Result<Option<Orders>> {
        let (who, place) = who_and_where();
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let about = doc! {
            "who": who, "where": place, "pid": i64::from(std::process::id()),
            "read": i64::try_from(beat.read).unwrap_or(i64::MAX), "rate": beat.rate, "in_flight": count(beat.in_flight),
            "most": count(beat.most), "why": &beat.why, "is_paused": beat.is_paused,
            "sessions": &beat.sessions,
        };
        let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let until = doc! { "until": { "$add": ["$$NOW", lease] } };
        let own = doc! { "$mergeObjects": [{ "$literal": about }, until] };
        let set = doc! { "$set": { "now": "$$NOW", (format!("workers.{}", claim.worker)): own } };
        // Nothing is lost with it in an election.
        let concern = WriteConcern::builder().w(Acknowledgment::Nodes(1)).journal(false).build();
        let backfills = self.backfills();
        let said = backfills.find_one_and_update(claim.backfill(), vec![set]).write_concern(concern);
        Ok(said.return_document(ReturnDocument::After).await?.as_ref().map(Orders::read))
    }

    /// Says that a process no longer works on a backfill: others need not wait until its lease has run out.
    pub(crate) async fn leave_backfill(&self, claim: &Claim) -> mongodb::error::Result<()> {
        let gone = doc! { "$unset": { format!("workers.{}", claim.worker): true } };
        self.backfills().update_one(claim.backfill(), gone).await?;
        Ok(())
    }

    /// Ends the transactions of the processes that are dead, before the run of `id` goes on. What they have written, and not committed, is
    /// locked until the server ends them by itself, which takes a minute.
    pub(crate) async fn end_dead_transactions(&self, id: &BackfillId) -> mongodb::error::Result<()> {
        let now = doc! { "$set": { "now": "$$NOW" } };
        let mut cursor = self.backfills().aggregate([doc! { "$match": { "_id": id.as_str() } }, now]).await?;
        if cursor.advance().await? {
            let mut found = cursor.deserialize_current()?;
            // This run has the lock, so the one before is dead, too.
            let owner = found.get_str("owner").unwrap_or_default().to_owned();
            if let Ok(owner) = found.get_document_mut("workers").and_then(|workers| workers.get_document_mut(&owner)) {
                owner.remove("until");
            }
            self.kill_sessions(&Orders::read(&found).dead_sessions).await;
        }
        Ok(())
    }

    /// Ends what these sessions have under way. A user may end the sessions of their own.
    pub(crate) async fn kill_sessions(&self, sessions: &[Document]) {
        if !sessions.is_empty() {
            // Where it is not allowed, the server ends them later.
            let _ = self.database().client().database("admin").run_command(doc! { "killSessions": sessions }).await;
        }
    }

    /// Whether a part of that backfill is not done. Nothing is stored about it once its migration is registered.
    pub(crate) async fn is_open(&self, id: &BackfillId) -> mongodb::error::Result<bool> {
        Ok(self.backfills().find_one(doc! { "_id": id.as_str(), "done": false }).await?.is_some())
    }

    /// The backfill of that name, as a process called `worker` may join it. `None` if it is not there, or its run is dead.
    pub(crate) async fn joinable(
        &self,
        id: &BackfillId,
        worker: &str,
    ) -> mongodb::error::Result<Option<(Joinable, Orders)>> {
        let now = doc! { "$set": { "now": "$$NOW" } };
        let mut cursor = self.backfills().aggregate([doc! { "$match": { "_id": id.as_str() } }, now]).await?;
        if !cursor.advance().await? {
            return Ok(None);
        }
        let found = cursor.deserialize_current()?;
        let text = |key| found.get_str(key).unwrap_or_default().to_owned();
        let claim = Claim {
            id: id.clone(),
            fence: found.get_i64("fence").unwrap_or_default(),
            cut: text("cut"),
            worker: worker.to_owned(),
        };
        let orders = Orders::read(&found);
        Ok(orders.owner_lives.then(|| (Joinable { claim, what: text("what") }, orders)))
    }
}

impl Orders {
    /// Reads a backfill's document, whose `now` is that of the server.
    pub(super) fn read(backfill: &Document) -> Self {
        let now = backfill.get_datetime("now").copied().unwrap_or(DateTime::MIN);
        let lives = |worker: &&String| {
            let until = backfill.get_document("workers").and_then(|workers| workers.get_document(worker.as_str()));
            until.and_then(|worker| worker.get_datetime("until")).is_ok_and(|until| *until > now)
        };
        let workers = backfill.get_document("workers").ok();
        let living: Vec<String> = workers.map(|workers| workers.keys().filter(lives).cloned().collect()).unwrap_or_default();
        let dead = workers.into_iter().flat_map(|workers| workers.iter());
        let dead = dead.filter(|(name, _)| !living.contains(name)).filter_map(|(_, worker)| worker.as_document());
        let dead_sessions = dead
            .flat_map(|worker| worker.get_array("sessions").into_iter().flatten())
            .filter_map(|session| session.as_document().cloned())
            .collect();
        let control = backfill.get_document("control").ok();
        let owner = backfill.get_str("owner").unwrap_or_default();
        Self {
            paused: control.is_some_and(|control| control.get_bool("paused").unwrap_or(false)),
            throttle: control.and_then(|control| control.get_i64("throttle").ok()).and_then(|rate| u64::try_from(rate).ok()),
            owner_lives: living.iter().any(|worker| worker == owner),
            living,
            dead_sessions,
            done: backfill.get_bool("done").unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_lives_until_its_lease_runs_out_by_the_servers_clock() {
        let at = DateTime::from_millis;
        let backfill = doc! {
            "now": at(1000), "owner": "a", "done": false, "control": { "paused": true, "throttle": 500_i64 },
            "workers": { "a": { "until": at(1000) }, "b": { "until": at(1001) }, "c": { "sessions": [{ "id": 3 }] } },
        };
        let expected = Orders {
            paused: true,
            throttle: Some(500),
            living: vec!["b".into()],
            dead_sessions: vec![doc! { "id": 3 }],
            ..Orders::default()
        };
        assert_eq!(Orders::read(&backfill), expected);
        assert_eq!(Orders::read(&doc! {}), Orders::default());
    }
}
