//! The server: its version, how it is set up, its clock, and how far back its oplog goes.

use std::time::{Duration, Instant};

use mongodb::bson::{Bson, DateTime, Document, doc};

use super::answer::{NoAnswer, admin, hello, within};
use crate::report::{Finding, ago};
use crate::store::Store;

/// The oldest version whose commands suffice: `$unionWith` is of 4.4.
const OLDEST: (u32, u32) = (4, 4);

/// How much two clocks may differ. The lock does not depend on them, but people compare times.
const CLOCKS: i64 = 5_000;

/// How long a majority may take to confirm what is written now.
const CONFIRMING: Duration = Duration::from_secs(5);

/// The least time that the oplog should cover once it is full.
const OPLOG: i64 = 3600;

pub(super) async fn examine(store: &Store) -> Vec<Finding> {
    let (version, feature, majority, clock, last_run, oplog) = tokio::join!(
        version(store),
        feature_compatibility(store),
        majority(store),
        clock(store),
        last_runs_clock(store),
        oplog(store),
    );
    let known = |about, result: Result<Finding, NoAnswer>| result.unwrap_or_else(|no_answer| no_answer.finding(about));
    let hello = hello(store).await;
    let mut findings = vec![known("server", version), known("compatibility", feature)];
    match hello {
        Ok(hello) => findings.extend([topology(&hello), transactions(store)]),
        Err(no_answer) => findings.push(no_answer.finding("topology")),
    }
    findings.extend([known("majority", majority), known("clock", clock), known("clock", last_run), known("oplog", oplog)]);
    findings
}

/// `6.0.5` as 6 and 0
fn parts(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn is_old(version: &str) -> bool {
    parts(version).is_some_and(|version| version < OLDEST)
}

async fn version(store: &Store) -> Result<Finding, NoAnswer> {
    let build = admin(store, doc! { "buildInfo": 1 }).await?;
    let version = build.get_str("version").unwrap_or("of an unknown version");
    let text = format!("MongoDB {version}");
    Ok(if is_old(version) {
        Finding::wrong("server", format!("{text} is too old")).with_remedy("use MongoDB 4.4 or newer")
    } else {
        Finding::good("server", text)
    })
}

async fn feature_compatibility(store: &Store) -> Result<Finding, NoAnswer> {
    let about = "compatibility";
    let parameters = admin(store, doc! { "getParameter": 1, "featureCompatibilityVersion": 1 }).await?;
    let of = parameters.get_document("featureCompatibilityVersion").cloned().unwrap_or_default();
    let Ok(version) = of.get_str("version") else {
        return Ok(Finding::unknown(about, "the router of a sharded cluster does not say"));
    };
    let text = format!("feature compatibility version {version}");
    Ok(match of.get_str("targetVersion") {
        Ok(target) => Finding::wrong(about, format!("{text}, on the way to {target}"))
            .with_remedy("run setFeatureCompatibilityVersion again until it succeeds"),
        Err(_) if is_old(version) => {
            Finding::wrong(about, format!("{text} is too old")).with_remedy("raise it to 4.4 or higher")
        }
        Err(_) => Finding::good(about, text),
    })
}

fn topology(hello: &Document) -> Finding {
    let about = "topology";
    let names = |key| hello.get_array(key).into_iter().flatten().filter_map(Bson::as_str);
    match hello.get_str("setName") {
        Ok(set) => {
            let members = names("hosts").chain(names("passives")).count();
            let members = format!("{members} member{} with data", if members == 1 { "" } else { "s" });
            let arbiters = names("arbiters").count();
            let arbiters = if arbiters > 0 { format!(", {arbiters} arbiter(s)") } else { String::new() };
            let primary = hello.get_str("primary").unwrap_or("none");
            let text = format!("replica set {set}, {members}{arbiters}, primary {primary}");
            if hello.contains_key("primary") {
                Finding::good(about, text)
            } else {
                Finding::wrong(about, text)
                    .with_remedy("get a majority of its members to answer, so that they elect a primary")
            }
        }
        Err(_) if hello.get_str("msg").is_ok_and(|text| text == "isdbgrid") => Finding::good(about, "sharded cluster"),
        Err(_) => Finding::note(about, "standalone server: it has no transactions, and dumps are not of one point in time")
            .with_remedy("make it a replica set of one: `mongod --replSet …`, then `rs.initiate()`"),
    }
}

fn transactions(store: &Store) -> Finding {
    if store.has_transactions() {
        Finding::good("transactions", "the server has them")
    } else {
        Finding::note(
            "transactions",
            "a standalone server has none, so a migration that takes `&mut Transaction` is refused",
        )
    }
}

/// Whether a majority confirms all that is written when this begins.
async fn majority(store: &Store) -> Result<Finding, NoAnswer> {
    let about = "majority";
    if !store.has_transactions() {
        return Ok(Finding::good(about, "a standalone server confirms writes alone"));
    }
    let connection = store.connection();
    let Some(first) = connection.progress().await else {
        return Ok(Finding::unknown(about, "the router of a sharded cluster does not say"));
    };
    let since = Instant::now();
    let mut confirmed = first.confirmed;
    while confirmed < first.written && since.elapsed() < CONFIRMING {
        tokio::time::sleep(Duration::from_millis(100)).await;
        confirmed = connection.progress().await.map_or(confirmed, |progress| progress.confirmed);
    }
    if confirmed >= first.written {
        return Ok(Finding::good(about, "a majority of the replica set confirms writes"));
    }
    let silent = connection.silent_members().await;
    let silent = if silent.is_empty() { String::new() } else { format!(": {}", silent.join(", ")) };
    let text = format!("a majority of the replica set does not confirm writes{silent}");
    Ok(Finding::wrong(about, text).with_remedy("get these members to answer, or take them out of the replica set"))
}

/// The server's clock, compared with the one here.
async fn clock(store: &Store) -> Result<Finding, NoAnswer> {
    let (before, since) = (DateTime::now().timestamp_millis(), Instant::now());
    let hello = hello(store).await?;
    let took = i64::try_from(since.elapsed().as_millis()).unwrap_or(0);
    let Ok(server) = hello.get_datetime("localTime") else {
        return Ok(Finding::unknown("clock", "the server does not say what time it is"));
    };
    Ok(skew("this machine", before + took / 2 - server.timestamp_millis()))
}

/// The clock of the last run's host. The `_id` of an event has that host's time, and the event the server's.
async fn last_runs_clock(store: &Store) -> Result<Finding, NoAnswer> {
    let Some(start) = within(store.last_start()).await? else {
        return Ok(Finding::good("clock", "no run is in the log, whose host's clock could be compared"));
    };
    let place = start.get_str("where").unwrap_or("unknown");
    match (start.get_object_id("_id"), start.get_datetime("at")) {
        (Ok(id), Ok(at)) => {
            let difference = id.timestamp().timestamp_millis() - at.timestamp_millis();
            Ok(skew(&format!("{place} (the host of the last run)"), difference))
        }
        _ => Ok(Finding::unknown("clock", format!("the log does not say what time it was on {place}"))),
    }
}

fn skew(whose: &str, milliseconds: i64) -> Finding {
    let about = "clock";
    // An `_id` has only seconds.
    if milliseconds.abs() <= CLOCKS {
        return Finding::good(about, format!("the clock of {whose} agrees with the server's within {} s", CLOCKS / 1000));
    }
    let (seconds, which) = (milliseconds.unsigned_abs() / 1000, if milliseconds > 0 { "fast" } else { "slow" });
    let text = format!("the clock of {whose} is {} {which}, compared with the server's", ago(Duration::from_secs(seconds)));
    Finding::wrong(about, text).with_remedy("let NTP set both clocks (the lock works all the same, but times mislead)")
}

async fn oplog(store: &Store) -> Result<Finding, NoAnswer> {
    let about = "oplog";
    let hello = hello(store).await?;
    if !hello.contains_key("setName") {
        return Ok(Finding::good(about, "only the members of a replica set have one"));
    }
    let local = store.database().client().database("local");
    let end = async |direction: i32| {
        let oplog = local.collection::<Document>("oplog.rs");
        within(oplog.find_one(doc! {}).sort(doc! { "$natural": direction }).projection(doc! { "ts": 1 }).into_future()).await
    };
    let stats = within(local.run_command(doc! { "collStats": "oplog.rs", "scale": 1024 }).into_future()).await?;
    let time = |event: Option<Document>| event?.get_timestamp("ts").ok().map(|time| i64::from(time.time));
    let (Some(first), Some(last)) = (time(end(1).await?), time(end(-1).await?)) else {
        return Ok(Finding::unknown(about, "it is empty"));
    };
    let number = |key: &str| match stats.get(key) {
        Some(Bson::Int32(number)) => f64::from(*number),
        #[expect(clippy::cast_precision_loss, reason = "a percentage is shown")]
        Some(Bson::Int64(number)) => *number as f64,
        Some(Bson::Double(number)) => *number,
        _ => 0.0,
    };
    Ok(window(last - first, number("size") / number("maxSize").max(1.0)))
}

/// What the oplog covers: so many seconds, in the part of it that is used.
fn window(seconds: i64, used: f64) -> Finding {
    let about = "oplog";
    let span = ago(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    if used < 0.9 {
        return Finding::good(about, format!("the last {span}, in {:.0} % of its size", used * 100.0));
    }
    let text = format!("it is full, and covers the last {span}");
    if seconds >= OPLOG {
        return Finding::good(about, text);
    }
    Finding::wrong(about, format!("{text}: a secondary that is away for longer has to copy everything again"))
        .with_remedy("make it larger with replSetResizeOplog before a migration writes much")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, expected) in [("4.2.24", true), ("4.4.0", false), ("6.0.5", false), ("10.0", false), ("?", false)] {
            assert_eq!(is_old(version), expected, "{version}");
        }
    }

    #[test]
    fn the_topology_is_read_from_hello() {
        let set = doc! { "setName": "rs0", "hosts": ["a:1", "b:1"], "arbiters": ["c:1"], "primary": "a:1" };
        let finding = topology(&set);
        assert_eq!(
            (finding.verdict, &*finding.text),
            (Verdict::Good, "replica set rs0, 2 members with data, 1 arbiter(s), primary a:1")
        );
        assert!(topology(&doc! { "setName": "rs0", "hosts": ["a:1"] }).is_wrong());
        assert_eq!(topology(&doc! { "msg": "isdbgrid" }).verdict, Verdict::Good);
        assert_eq!(topology(&doc! {}).verdict, Verdict::Note);
    }

    #[test]
    fn clocks_that_differ_by_seconds_are_wrong() {
        assert!(!skew("x", -900).is_wrong() && !skew("x", 5_000).is_wrong());
        assert_eq!(skew("this machine", 90_000).text, "the clock of this machine is 90 s fast, compared with the server's");
        assert!(skew("x", -6_000).text.contains("6 s slow"));
    }

    #[test]
    fn an_oplog_is_too_small_only_once_it_is_full() {
        assert!(!window(60, 0.2).is_wrong() && !window(7200, 0.99).is_wrong());
        assert!(window(60, 0.99).is_wrong());
    }
}
