//! Where each migration stands: what `show_status` tells.

use std::time::Duration;

use mongodb::bson::DateTime;

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Registered,
    Ignored,
    Unregistered,
    /// It returned an error, or panicked.
    Failed,
    /// It began, and nobody knows how far it came.
    Interrupted,
    /// Registered, but there is no such file.
    Missing,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Registered, Self::Ignored, Self::Unregistered, Self::Failed, Self::Interrupted, Self::Missing];

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

    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether something is left to do about it.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Unregistered | Self::Failed | Self::Interrupted)
    }
}

/// One line of the status.
#[derive(Debug, PartialEq)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) number: &'a str,
    pub(crate) state: State,
    pub(crate) registered_at: Option<DateTime>,
    pub(crate) duration: Option<Duration>,
    pub(crate) description: Option<&'a str>,
    /// It was registered with other code than its file has now.
    pub(crate) is_changed: bool,
    /// It is not registered, and one with a higher number is.
    pub(crate) is_out_of_order: bool,
    /// Somebody is at it now.
    pub(crate) is_under_way: bool,
}
