//! Whether a majority of the replica set confirms writes, and which members keep it from doing so.

use std::time::Duration;

use futures_util::future::join_all;
use mongodb::Client;
use mongodb::bson::{Bson, Document, Timestamp, doc};
use mongodb::options::{ClientOptions, ServerAddress};

use super::Connection;

/// How long a member may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The state of a member that has no data, and so confirms nothing.
const ARBITER: i32 = 7;

/// How long ago the primary last heard from a member for that to be worth mentioning.
const UNHEARD: i64 = 3;

/// How far the primary has written, and how far a majority has confirmed that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) written: Timestamp,
    pub(crate) confirmed: Timestamp,
}

impl Progress {
    fn read(hello: &Document) -> Option<Self> {
        let last = hello.get_document("lastWrite").ok()?;
        let time = |key| last.get_document(key).ok()?.get_timestamp("ts").ok();
        Some(Self { written: time("opTime")?, confirmed: time("majorityOpTime")? })
    }
}

impl Connection {
    /// `None` if the primary does not answer, or does not say it: a standalone server has no majority, and the router of a sharded
    /// cluster says nothing about its shards.
    pub(crate) async fn progress(&self) -> Option<Progress> {
        Progress::read(&self.ask("hello").await?)
    }

    /// The members with data that do not confirm what the primary has written, each with the reason. Empty if that cannot be found
    /// out.
    pub(crate) async fn silent_members(&self) -> Vec<String> {
        // Users may lack the right to ask for it. Every member says what is needed by itself, to anyone.
        match self.ask("replSetGetStatus").await {
            Some(status) => silent_in(&status),
            None => self.silent_by_themselves().await.unwrap_or_default(),
        }
    }

    async fn ask(&self, command: &str) -> Option<Document> {
        let admin = self.database.client().database("admin");
        let asked = admin.run_command(doc! { command: 1 }).into_future();
        tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()
    }

    async fn silent_by_themselves(&self) -> Option<Vec<String>> {
        // Those who connect to one member directly may not reach the others under the names that the set has for them.
        if self.options.direct_connection == Some(true) {
            return None;
        }
        let hello = self.ask("hello").await?;
        let written = Progress::read(&hello)?.written;
        let names = |key| hello.get_array(key).into_iter().flatten().filter_map(Bson::as_str);
        let others = names("hosts").chain(names("passives")).filter(|name| hello.get_str("me").ok() != Some(*name));
        let asked = others.map(async |name: &str| {
            let answer = async {
                let mut options = ClientOptions::clone(&self.options);
                options.hosts = vec![ServerAddress::parse(name).ok()?];
                (options.repl_set_name, options.credential) = (None, None);
                options.direct_connection = Some(true);
                options.server_selection_timeout = Some(PATIENCE);
                let client = Client::with_options(options).ok()?;
                client.database("admin").run_command(doc! { "hello": 1 }).await.ok()
            };
            match tokio::time::timeout(PATIENCE, answer).await.ok().flatten() {
                None => Some(format!("{name} (no answer)")),
                Some(hello) => match Progress::read(&hello) {
                    Some(progress) if progress.written >= written => None,
                    _ => Some(format!("{name} (behind)")),
                },
            }
        });
        Some(join_all(asked).await.into_iter().flatten().collect())
    }
}

/// The silent members, by the primary's own view of its set.
fn silent_in(status: &Document) -> Vec<String> {
    let members: Vec<&Document> = status.get_array("members").into_iter().flatten().filter_map(Bson::as_document).collect();
    let written = |member: &Document| member.get_document("optime").ok().and_then(|time| time.get_timestamp("ts").ok());
    let is_self = |member: &Document| member.get_bool("self").unwrap_or(false);
    let Some(primary) = members.iter().find(|member| is_self(member)).and_then(|member| written(member)) else {
        return Vec::new();
    };
    let now = status.get_datetime("date").ok();
    let silent = members.iter().filter_map(|member| {
        if is_self(member)
            || member.get_i32("state").is_ok_and(|state| state == ARBITER)
            || written(member).is_some_and(|time| time >= primary)
        {
            return None;
        }
        let heard = member.get_datetime("lastHeartbeatRecv").ok();
        let unheard = now.zip(heard).map(|(now, heard)| (now.timestamp_millis() - heard.timestamp_millis()) / 1000);
        let why = match unheard {
            _ if member.get_f64("health").is_ok_and(|health| health < 1.0) => "not reachable".to_owned(),
            Some(seconds) if seconds >= UNHEARD => format!("last heard of {seconds} s ago"),
            _ => "behind".to_owned(),
        };
        Some(format!("{} ({why})", member.get_str("name").unwrap_or("a member")))
    });
    silent.collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::DateTime;

    use super::*;

    #[test]
    fn who_is_silent_is_read_from_the_sets_status() {
        let time = |time: u32| doc! { "ts": Timestamp { time, increment: 1 } };
        let at = |seconds: i64| DateTime::from_millis(seconds * 1000);
        let member = |name: &str, health: f64, state: i32, time: Document, heard: i64| {
            doc! { "name": name, "health": health, "state": state, "optime": time, "lastHeartbeatRecv": at(heard) }
        };
        let status = doc! { "date": at(100), "members": [
            { "name": "a:1", "health": 1.0, "state": 1, "optime": time(90), "self": true },
            member("b:1", 1.0, 2, time(80), 92),
            member("c:1", 0.0, 8, time(0), 10),
            member("d:1", 1.0, 2, time(80), 99),
            member("e:1", 1.0, 2, time(90), 99),
            { "name": "f:1", "health": 1.0, "state": 7 },
        ] };
        assert_eq!(silent_in(&status), ["b:1 (last heard of 8 s ago)", "c:1 (not reachable)", "d:1 (behind)"]);
        assert_eq!(silent_in(&doc! {}), [""; 0]);
    }

    #[test]
    fn a_reply_without_times_says_nothing() {
        let time = doc! { "ts": Timestamp { time: 7, increment: 2 } };
        assert!(Progress::read(&doc! { "lastWrite": { "opTime": &time, "majorityOpTime": &time } }).is_some());
        assert!(Progress::read(&doc! { "msg": "isdbgrid" }).is_none());
    }
}
