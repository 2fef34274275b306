//! How many batches are in flight, by how long the server takes to confirm them.
//!
//! The time of our own majority writes says how loaded the server is and how far its members lag, and needs no right. The shortest
//! time that was seen is that of a server at rest.

use std::fmt;
use std::time::Duration;

use super::load::Load;

/// The limit is so many times the shortest time, and within these bounds.
const TIMES: u32 = 6;
const LEAST_LIMIT: Duration = Duration::from_millis(120);
const LARGEST_LIMIT: Duration = Duration::from_secs(2);

/// How many times go into one decision.
const MEASURED: usize = 4;

/// How many batches may be in flight, and why.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    most: usize,
    now: usize,
    limit: Limit,
    shortest: Option<Duration>,
    recent: Vec<Duration>,
    last: Option<Duration>,
    /// What the server said of its load, if it was asked since.
    load: Option<Load>,
}

/// From when on a confirmation takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// As the server does when it is at rest, times a factor.
    Measured,
    /// The number is fixed, and nothing is measured.
    Fixed,
}

impl Pace {
    /// Begins with one in flight, and lets `most` be.
    pub(super) fn new(most: usize, limit: Limit) -> Self {
        let now = if limit == Limit::Fixed { most } else { 1 };
        Self { most, now, limit, shortest: None, recent: Vec::new(), last: None, load: None }
    }

    /// How many may ever be in flight.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// How many may be in flight now.
    pub(super) fn now(&self) -> usize {
        self.now
    }

    /// Takes what the server says of its load. It counts for the next decisions, until it says something else.
    pub(super) fn loaded(&mut self, load: Option<Load>) {
        self.load = load;
    }

    /// Takes the time in which a write of many documents was confirmed.
    pub(super) fn measured(&mut self, took: Duration) {
        self.recent.push(took);
        if self.recent.len() < MEASURED {
            return;
        }
        self.recent.sort_unstable();
        let median = self.recent[self.recent.len() / 2];
        self.recent.clear();
        self.last = Some(median);
        self.shortest = Some(self.shortest.map_or(median, |shortest| shortest.min(median)));
        if self.limit == Limit::Fixed {
            return;
        }
        let of_load = self.load.as_ref().map_or(0.0, |load| load.share);
        let share = self.share(median).max(of_load);
        self.now = match share {
            share if share < 0.4 => (self.now + 1).min(self.most),
            share if share < 0.7 => self.now,
            share if share <= 1.0 => self.now.saturating_sub(1).max(1),
            _ => (self.now / 2).max(1),
        };
    }

    /// How much of what it may take a confirmation takes.
    fn share(&self, took: Duration) -> f64 {
        took.as_secs_f64() / self.longest().as_secs_f64()
    }

    /// Why not more are in flight. Empty if nothing was measured.
    pub(super) fn why(&self) -> String {
        let Some(last) = self.last.filter(|_| self.limit == Limit::Measured) else { return String::new() };
        if let Some(load) = self.load.as_ref().filter(|load| load.share > self.share(last)) {
            return load.why.clone();
        }
        let (last, longest) = (last.as_millis(), self.longest().as_millis());
        let relation = if last > longest { ">" } else { "of" };
        format!("majority write {last} ms {relation} {longest} ms")
    }

    fn longest(&self) -> Duration {
        self.shortest.map_or(LEAST_LIMIT, |shortest| (shortest * TIMES).clamp(LEAST_LIMIT, LARGEST_LIMIT))
    }
}

/// `at 3 of 8: majority write 240 ms > 120 ms`
impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} of {}", self.now, self.most)?;
        let why = self.why();
        if why.is_empty() { Ok(()) } else { write!(f, ": {why}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pace: &mut Pace, ms: u64) -> usize {
        (0..MEASURED).for_each(|_| pace.measured(Duration::from_millis(ms)));
        pace.now()
    }

    #[test]
    fn it_grows_by_one_and_is_halved() {
        let mut pace = Pace::new(4, Limit::Measured);
        assert_eq!(pace.now(), 1);
        let counts = [20, 20, 20, 20].map(|ms| after(&mut pace, ms));
        assert_eq!(counts, [2, 3, 4, 4]);
        // The limit is 120 ms.
        assert_eq!([60, 100, 130, 500, 500].map(|ms| after(&mut pace, ms)), [4, 3, 1, 1, 1]);
        assert_eq!(pace.to_string(), "at 1 of 4: majority write 500 ms > 120 ms");
        assert_eq!(after(&mut pace, 10), 2);
        assert_eq!(pace.to_string(), "at 2 of 4: majority write 10 ms of 120 ms");
    }

    #[test]
    fn the_limit_follows_what_the_server_does_at_rest() {
        let mut pace = Pace::new(8, Limit::Measured);
        // A replica set of distant members.
        assert_eq!([200, 200, 470, 700, 1_300].map(|ms| after(&mut pace, ms)), [2, 3, 4, 4, 2]);
    }

    #[test]
    fn what_the_server_says_of_its_load_counts_if_it_is_more() {
        let mut pace = Pace::new(4, Limit::Measured);
        assert_eq!([10, 10].map(|ms| after(&mut pace, ms)), [2, 3]);
        pace.loaded(Some(Load { share: 1.5, why: "a secondary lags 15 s".into() }));
        assert_eq!(after(&mut pace, 10), 1);
        assert_eq!(pace.to_string(), "at 1 of 4: a secondary lags 15 s");
        pace.loaded(Some(Load { share: 0.01, why: "write tickets 1 of 128".into() }));
        assert_eq!(after(&mut pace, 10), 2);
        assert_eq!(pace.why(), "majority write 10 ms of 120 ms");
    }

    #[test]
    fn a_fixed_number_stays() {
        let mut pace = Pace::new(3, Limit::Fixed);
        assert_eq!([1, 5_000].map(|ms| after(&mut pace, ms)), [3, 3]);
        assert_eq!(pace.to_string(), "at 3 of 3");
    }
}
