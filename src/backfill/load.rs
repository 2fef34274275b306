//! How loaded the server is, as far as the user may ask it. The time of our own writes shows it without any right; this shows more.

use std::time::Duration;

use mongodb::Database;
use mongodb::bson::{Bson, DateTime, Document, doc};

/// From this lag of a secondary on, fewer batches are in flight.
const LONGEST_LAG: Duration = Duration::from_secs(10);

/// From this part of the tickets on, fewer batches are in flight.
const MOST_TICKETS: f64 = 0.8;

/// The load of the server.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Load {
    /// One is as much as there should be.
    pub(super) share: f64,
    /// `write tickets 110 of 128`
    pub(super) why: String,
}

/// What the user may ask the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asks {
    status: bool,
    members: bool,
}

impl Default for Asks {
    fn default() -> Self {
        Self { status: true, members: true }
    }
}

impl Asks {
    /// Asks the server. `None` if it says nothing. A question that is refused once is not asked again.
    pub(super) async fn load(&mut self, database: &Database) -> Option<Load> {
        let admin = database.client().database("admin");
        let mut loads = Vec::new();
        if self.status {
            let status = doc! { "serverStatus": 1, "repl": 0, "metrics": 0, "locks": 0, "tcmalloc": 0, "mirroredReads": 0 };
            match admin.run_command(status).await {
                Ok(status) => loads.extend(of_server(&status)),
                Err(_) => self.status = false,
            }
        }
        if self.members {
            match admin.run_command(doc! { "replSetGetStatus": 1 }).await {
                Ok(status) => loads.extend(of_members(&status)),
                Err(_) => self.members = false,
            }
        }
        loads.into_iter().max_by(|one, other| one.share.total_cmp(&other.share))
    }
}

fn number(document: &Document, path: &[&str]) -> Option<f64> {
    let (last, first) = path.split_last()?;
    let inner = first.iter().try_fold(document, |document, key| document.get_document(key).ok())?;
    match inner.get(last)? {
        Bson::Int32(number) => Some(f64::from(*number)),
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        _ => None,
    }
}

/// Tickets for writes, and writers that wait for one.
fn of_server(status: &Document) -> Option<Load> {
    let queued = number(status, &["globalLock", "currentQueue", "writers"]).unwrap_or(0.0);
    if queued > 0.0 {
        return Some(Load { share: 1.0 + queued / 10.0, why: format!("{queued} writers wait in the server's queue") });
    }
    // Where they are differs between versions.
    let at = [["wiredTiger", "concurrentTransactions", "write"], ["queues", "execution", "write"]];
    let (out, total) = at.iter().find_map(|path| {
        let of = |key| number(status, &[path[0], path[1], path[2], key]);
        Some((of("out")?, of("totalTickets")?))
    })?;
    (total > 0.0).then(|| Load { share: out / total / MOST_TICKETS, why: format!("write tickets {out} of {total}") })
}

/// How far the secondary that is farthest behind lags.
fn of_members(status: &Document) -> Option<Load> {
    const PRIMARY: i32 = 1;
    const SECONDARY: i32 = 2;
    let times = |state: i32| -> Vec<DateTime> {
        let members = status.get_array("members").into_iter().flatten().filter_map(Bson::as_document);
        let of_state = members.filter(|member| member.get_i32("state").is_ok_and(|of| of == state));
        of_state.filter_map(|member| member.get_datetime("optimeDate").ok().copied()).collect()
    };
    let (newest, oldest) = (times(PRIMARY).into_iter().max()?, times(SECONDARY).into_iter().min()?);
    let lag = u64::try_from(newest.timestamp_millis() - oldest.timestamp_millis()).ok().map(Duration::from_millis)?;
    let share = lag.as_secs_f64() / LONGEST_LAG.as_secs_f64();
    Some(Load { share, why: format!("a secondary lags {} s", lag.as_secs()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_and_queues_say_how_loaded_a_server_is() {
        let tickets =
            |out: i32| doc! { "wiredTiger": { "concurrentTransactions": { "write": { "out": out, "totalTickets": 128 } } } };
        let load = of_server(&tickets(64)).unwrap();
        assert!((load.share - 0.625).abs() < 1e-9, "{load:?}");
        assert_eq!(load.why, "write tickets 64 of 128");
        let newer = doc! { "queues": { "execution": { "write": { "out": 8_i64, "totalTickets": 8_i64 } } } };
        assert!(of_server(&newer).unwrap().share > 1.0);
        let mut queued = tickets(1);
        queued.insert("globalLock", doc! { "currentQueue": { "writers": 5 } });
        assert_eq!(of_server(&queued).unwrap(), Load { share: 1.5, why: "5 writers wait in the server's queue".into() });
        assert_eq!(of_server(&doc! { "ok": 1 }), None);
    }

    #[test]
    fn the_member_that_is_farthest_behind_counts() {
        let member = |state: i32, seconds: i64| doc! { "state": state, "optimeDate": DateTime::from_millis(seconds * 1000) };
        let status = |members: Vec<Document>| doc! { "members": members };
        let load = of_members(&status(vec![member(1, 100), member(2, 99), member(2, 85), member(8, 0)])).unwrap();
        assert_eq!(load, Load { share: 1.5, why: "a secondary lags 15 s".into() });
        assert_eq!(of_members(&status(vec![member(1, 100)])), None);
    }
}
