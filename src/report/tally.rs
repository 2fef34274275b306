//! What the steps of a run do, and how many of them were done.

use std::fmt;

use super::text::migrations;
use crate::model::Direction;

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
        Direction::Accept => Verb { plain: "accept", running: "Accepting", done: "accepted" },
        Direction::Adopt => Verb { plain: "adopt", running: "Adopting", done: "adopted" },
        Direction::Forget => Verb { plain: "forget", running: "Forgetting", done: "forgotten" },
    }
}

/// How many steps of a run were done, by what they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    down: usize,
    up: usize,
    ignored: usize,
    accepted: usize,
    adopted: usize,
    forgotten: usize,
}

impl Tally {
    pub(super) fn add(&mut self, direction: Direction) {
        *match direction {
            Direction::Down => &mut self.down,
            Direction::Up => &mut self.up,
            Direction::Ignore => &mut self.ignored,
            Direction::Accept => &mut self.accepted,
            Direction::Adopt => &mut self.adopted,
            Direction::Forget => &mut self.forgotten,
        } += 1;
    }

    pub(crate) fn total(&self) -> usize {
        self.down + self.up + self.ignored + self.accepted + self.adopted + self.forgotten
    }

    /// `roll back 1 migration, execute 2`
    pub(crate) fn request(&self) -> String {
        let parts = self.counts().into_iter().enumerate().map(|(index, (count, direction))| {
            let counted = if index == 0 { migrations(count) } else { count.to_string() };
            format!("{} {counted}", verb(direction).plain)
        });
        parts.collect::<Vec<_>>().join(", ")
    }

    /// `1 migration was rolled back, 2 were executed`
    pub(super) fn sentence(&self) -> String {
        self.listed(|count| if count == 1 { "was " } else { "were " })
    }

    /// What was done at least once, and how often.
    fn counts(&self) -> Vec<(usize, Direction)> {
        let all = [
            (self.down, Direction::Down),
            (self.up, Direction::Up),
            (self.ignored, Direction::Ignore),
            (self.accepted, Direction::Accept),
            (self.adopted, Direction::Adopt),
            (self.forgotten, Direction::Forget),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }

    fn listed(&self, be: impl Fn(usize) -> &'static str) -> String {
        let parts = self.counts().into_iter().enumerate().map(|(index, (count, direction))| {
            let counted = if index == 0 { migrations(count) } else { count.to_string() };
            format!("{counted} {}{}", be(count), verb(direction).done)
        });
        parts.collect::<Vec<_>>().join(", ")
    }
}

impl FromIterator<Direction> for Tally {
    fn from_iter<I: IntoIterator<Item = Direction>>(directions: I) -> Self {
        let mut tally = Self::default();
        directions.into_iter().for_each(|direction| tally.add(direction));
        tally
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
    fn a_tally_of_both_directions_reads_as_a_sentence() {
        let tally: Tally = [Direction::Down, Direction::Up, Direction::Up].into_iter().collect();
        assert_eq!(tally.request(), "roll back 1 migration, execute 2");
        assert_eq!(tally.to_string(), "1 migration rolled back, 2 executed");
        assert_eq!(tally.sentence(), "1 migration was rolled back, 2 were executed");
        assert_eq!(tally.total(), 3);
    }
}
