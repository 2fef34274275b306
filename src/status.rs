//! Where each migration stands: what `show_status` tells.

use std::time::Duration;

use mongodb::bson::DateTime;

/// Where a migration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Registered,
    Ignored,
    Unregistered,
    /// Registered, but there is no such file.
    Missing,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Ignored => "ignored",
            Self::Unregistered => "unregistered",
            Self::Missing => "missing",
        }
    }

    /// Whether something is left to do about it.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Unregistered)
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
}
