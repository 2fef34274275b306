//! What a step of a run does with a migration.

/// What a step does with a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
    /// Registered without running.
    Ignore,
    /// Its registration gets the name and the checksum that its file has now.
    Accept,
    /// Registered without running, since another tool has run it.
    Adopt,
    /// Taken out of the registry without running: its file is gone.
    Forget,
}

impl Direction {
    const ALL: [Self; 6] = [Self::Up, Self::Down, Self::Ignore, Self::Accept, Self::Adopt, Self::Forget];

    /// The word that is stored and printed as JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Ignore => "ignore",
            Self::Accept => "accept",
            Self::Adopt => "adopt",
            Self::Forget => "forget",
        }
    }

    /// Reads that word.
    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|direction| direction.as_str() == text)
    }

    /// Whether it runs the migration's code. What does not run any changes nothing unless it comes to its end.
    pub(crate) fn runs_code(self) -> bool {
        match self {
            Self::Up | Self::Down => true,
            Self::Ignore | Self::Accept | Self::Adopt | Self::Forget => false,
        }
    }
}
