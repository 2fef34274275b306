//! Durations, sizes and counts as people and programs read them.

use std::time::Duration;

use mongodb::bson::DateTime;
use serde_json::Value;

/// A duration as people read it: `0.05s`, `12.3s`, `3m 07s`, `2h 05m`.
pub(crate) fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.2}s", duration.as_secs_f64()),
        10..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A duration in JSON, in milliseconds.
pub(super) fn millis(duration: Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}

/// How long ago something was, roughly: `2 s`, `3 min`, `5 h`.
pub(crate) fn ago(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

/// `312 B`, `4.7 kB`, `198.2 MB`
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut unit = 0;
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let mut size = bytes as f64;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

/// `1 migration`, `2 migrations`
pub(crate) fn migrations(count: usize) -> String {
    format!("{count} migration{}", if count == 1 { "" } else { "s" })
}

/// `Executed`
pub(crate) fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// A time as people read it everywhere, such as `2026-02-03 04:05:06Z`: servers and people are in different time zones. It is
/// empty for a time that no calendar has.
pub(crate) fn human_time(at: DateTime) -> String {
    let Ok(rfc3339) = at.try_to_rfc3339_string() else { return String::new() };
    let seconds = rfc3339.split(['.', 'Z']).next().unwrap_or(&rfc3339);
    format!("{}Z", seconds.replacen('T', " ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (4_700, "4.7 kB"), (198_200_000, "198.2 MB")] {
            assert_eq!(human_bytes(bytes), text);
        }
    }

    #[test]
    fn durations_are_short() {
        for (ms, text) in [(0, "0.00s"), (9_994, "9.99s"), (12_345, "12.3s"), (187_000, "3m 07s"), (7_500_000, "2h 05m")] {
            assert_eq!(human_duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn times_are_short_and_say_their_zone() {
        let human = |text: &str| human_time(DateTime::parse_rfc3339_str(text).unwrap());
        assert_eq!(human("2026-02-03T04:05:06.789Z"), "2026-02-03 04:05:06Z");
        assert_eq!(human("2026-02-03T04:05:06Z"), "2026-02-03 04:05:06Z");
        assert_eq!(human_time(DateTime::MAX), "");
    }
}
