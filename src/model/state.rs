//! Where a migration stands.

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Registered,
    Ignored,
    Unregistered,
    /// It returned an error, or panicked.
    Failed,
    /// It began, and it is not known how far it got.
    Interrupted,
    /// Registered, but there is no such file.
    Missing,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Registered, Self::Ignored, Self::Unregistered, Self::Failed, Self::Interrupted, Self::Missing];

    /// The word that is stored, and printed as JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Ignored => "ignored",
            Self::Unregistered => "unregistered",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Missing => "missing",
        }
    }

    /// Reads that word.
    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether something is left to do about it: it is neither registered nor ignored.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Unregistered | Self::Failed | Self::Interrupted)
    }
}
