//! The backfills that are stored: the result of `backfill`.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use mongodb::bson::DateTime;
use serde_json::{Value, json};

use super::text::millis;
use super::{Report, Said, ago, human_duration, table};
use crate::store::{BackfillState, StoredBackfill, Worker};
use crate::terminal;

/// A database's backfills, those that are not done first.
pub(crate) struct Backfills<'a> {
    pub(crate) database: &'a str,
    pub(crate) rows: &'a [StoredBackfill],
}

impl Report for Backfills<'_> {
    fn table(&self) -> Vec<Vec<String>> {
        let head = table::head(["MIGRATION", "BACKFILL", "STATE", "READ", "WORKERS", "NOW"]);
        std::iter::once(head).chain(self.rows.iter().map(cells)).collect()
    }

    fn json(&self) -> Value {
        json!({ "database": self.database, "backfills": self.rows.iter().map(row_json).collect::<Vec<_>>() })
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        if self.rows.is_empty() {
            let message = format!("none is under way on {}", self.database);
            say(Said::Status { verb: "Backfills", message: &message });
        }
    }
}

/// Five columns, which fit in 80 characters, and last what has any length.
fn cells(backfill: &StoredBackfill) -> Vec<String> {
    let state = backfill.state();
    let color = match state {
        BackfillState::Running | BackfillState::Done => AnsiColor::Green,
        BackfillState::Pausing | BackfillState::Paused => AnsiColor::Yellow,
        BackfillState::Stopped => AnsiColor::Red,
    };
    let color = color.on_default();
    let direction = if backfill.direction == "down" { " (down)" } else { "" };
    let (read, expected) = (backfill.read(), backfill.expected());
    vec![
        format!("{}{direction}", backfill.migration),
        backfill.called().to_owned(),
        format!("{color}{}{color:#}", state.as_str()),
        format!("{}/{} ({}%)", short(read), short(expected), percent(read, expected)),
        backfill.workers.len().to_string(),
        now(backfill),
    ]
}

/// What it does now, or why it does nothing.
fn now(backfill: &StoredBackfill) -> String {
    let control = &backfill.control;
    let mut text = match backfill.state() {
        BackfillState::Running => running(backfill),
        BackfillState::Pausing | BackfillState::Paused => {
            let by = control.by.as_deref().map(|by| format!("by {by}, ")).unwrap_or_default();
            format!("{by}{} ago", ago(control.since))
        }
        BackfillState::Stopped => "its process is gone, and the next run goes on with it".to_owned(),
        BackfillState::Done => "the migration goes on".to_owned(),
    };
    if let (Some(limit), false) = (control.throttle, backfill.is_done) {
        let _ = write!(text, ", at most {}/s", short(limit));
    }
    if backfill.failed > 0 {
        let _ = write!(text, ", {} failed", short(backfill.failed));
    }
    text
}

/// `20.1k/s, 29.4s left, 3 of 8 in flight: majority write 240 ms > 120 ms`
fn running(backfill: &StoredBackfill) -> String {
    let left = backfill.left().map(|left| format!(", {} left", human_duration(left))).unwrap_or_default();
    let workers = || backfill.workers.iter();
    let in_flight: u64 = workers().map(|worker| worker.in_flight).sum();
    let most: u64 = workers().map(|worker| worker.most).sum();
    let why = workers().map(|worker| worker.why.as_str()).find(|why| !why.is_empty());
    let why = why.map(|why| format!(": {}", terminal::scrub(why))).unwrap_or_default();
    format!("{}/s{left}, {in_flight} of {most} in flight{why}", short(rounded(backfill.rate())))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate is neither negative nor that large")]
fn rounded(rate: f64) -> u64 {
    rate.round() as u64
}

/// Full only if it is.
fn percent(read: u64, expected: u64) -> u64 {
    u64::try_from(u128::from(read) * 100 / u128::from(expected.max(1))).unwrap_or(100).min(100)
}

/// Three digits of a large count: `312`, `9999`, `41.2k`, `1.00M`
fn short(count: u64) -> String {
    if count < 10_000 {
        return count.to_string();
    }
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let mut unit = 0;
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut size = count as f64;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let decimals = if size < 9.995 { 2 } else { usize::from(size < 99.95) };
    format!("{size:.decimals$}{}", UNITS[unit])
}

fn row_json(backfill: &StoredBackfill) -> Value {
    let control = &backfill.control;
    let (read, expected) = (backfill.read(), backfill.expected());
    json!({
        "migration": backfill.migration, "direction": backfill.direction, "label": backfill.label,
        "collection": backfill.collection, "state": backfill.state().as_str(),
        "read": read, "expected": expected, "percent": percent(read, expected), "estimate": backfill.estimate,
        "failed": backfill.failed, "ranges": backfill.ranges, "ranges_done": backfill.ranges_done,
        "rate": backfill.rate(), "left_ms": backfill.left().map(millis), "started_at": time(backfill.started_at),
        "paused": control.is_paused, "throttle": control.throttle, "by": control.by, "at": time(control.at),
        "workers": backfill.workers.iter().map(worker_json).collect::<Vec<_>>(),
    })
}

fn worker_json(worker: &Worker) -> Value {
    json!({
        "who": worker.who, "where": worker.place, "pid": worker.pid, "read": worker.read, "rate": worker.rate,
        "in_flight": worker.in_flight, "most": worker.most, "why": worker.why, "paused": worker.is_paused,
    })
}

fn time(at: Option<DateTime>) -> Option<String> {
    at?.try_to_rfc3339_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_counts_have_three_digits() {
        for (count, text) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10.0k"),
            (99_949, "99.9k"),
            (99_950, "100k"),
            (999_499, "999k"),
            (999_500, "1.00M"),
            (1_234_567_890, "1.23G"),
            (u64::MAX, "18446744T"),
        ] {
            assert_eq!(short(count), text);
        }
    }

    #[test]
    fn a_hundred_percent_is_all_of_it() {
        assert_eq!([percent(0, 0), percent(999, 1000), percent(1000, 1000), percent(5, 4)], [0, 99, 100, 100]);
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
    }
}
