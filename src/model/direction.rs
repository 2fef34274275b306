//! What a step of a run does with a migration.

/// What a step does with a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
    /// Registered without running.
    Ignore,
}

impl Direction {
    /// The word that is stored and printed as JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Ignore => "ignore",
        }
    }

    /// Reads that word.
    pub(crate) fn read(text: &str) -> Option<Self> {
        [Self::Up, Self::Down, Self::Ignore].into_iter().find(|direction| direction.as_str() == text)
    }
}
