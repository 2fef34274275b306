//! Durations, sizes and counts as people read them.

use std::fmt;
use std::time::Duration;

use crate::model::Direction;

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

/// `2026-02-03T04:05:06.789Z` as `2026-02-03 04:05:06Z`: servers and people are in different time zones.
pub(super) fn short_time(rfc3339: &str) -> String {
    let seconds = rfc3339.split(['.', 'Z']).next().unwrap_or(rfc3339);
    format!("{}Z", seconds.replacen('T', " ", 1))
}

/// The forms of the verb for what a step does.
pub(super) struct Verb {
    pub(super) plain: &'static str,
    pub(super) running: &'static str,
    pub(super) done: &'static str,
}

pub(super) fn verb(direction: Direction) -> Verb {
    match direction {
        Direction::Up => Verb { plain: "execute", running: "Executing", done: "executed" },
        Direction::Down => Verb { plain: "roll back", running: "Rolling back", done: "rolled back" },
        Direction::Ignore => Verb { plain: "ignore", running: "Ignoring", done: "ignored" },
    }
}

/// How many steps of a run were done, by what they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    down: usize,
    up: usize,
    ignored: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, direction: Direction) {
        *match direction {
            Direction::Down => &mut self.down,
            Direction::Up => &mut self.up,
            Direction::Ignore => &mut self.ignored,
        } += 1;
    }

    pub(crate) fn total(&self) -> usize {
        self.down + self.up + self.ignored
    }

    /// `1 migration was rolled back, 2 were executed`
    pub(super) fn sentence(&self) -> String {
        self.listed(|count| if count == 1 { "was " } else { "were " })
    }

    fn listed(&self, be: impl Fn(usize) -> &'static str) -> String {
        let parts = [(self.down, Direction::Down), (self.up, Direction::Up), (self.ignored, Direction::Ignore)];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0).enumerate().map(|(index, (count, direction))| {
            let counted = if index == 0 { migrations(count) } else { count.to_string() };
            format!("{counted} {}{}", be(count), verb(direction).done)
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// `1 migration rolled back, 2 executed`
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.listed(|_| ""))
    }
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
        assert_eq!(short_time("2026-02-03T04:05:06.789Z"), "2026-02-03 04:05:06Z");
        assert_eq!(short_time("2026-02-03T04:05:06Z"), "2026-02-03 04:05:06Z");
    }

    #[test]
    fn a_tally_of_both_directions_reads_as_a_sentence() {
        let mut tally = Tally::default();
        for direction in [Direction::Down, Direction::Up, Direction::Up] {
            tally.add(direction);
        }
        assert_eq!(tally.to_string(), "1 migration rolled back, 2 executed");
        assert_eq!(tally.sentence(), "1 migration was rolled back, 2 were executed");
        assert_eq!(tally.total(), 3);
    }
}
