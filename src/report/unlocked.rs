//! What `unlock` has found and done.

use serde_json::{Value, json};

use super::{Report, Said};
use crate::model::EventName;

/// The lock is free.
pub(crate) struct Unlocked<'a> {
    pub(crate) database: &'a str,
    pub(crate) was: Was,
}

/// How the lock was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Was {
    Free,
    /// A run that may be alive had it.
    Locked,
    /// A run had it that has not renewed it in time.
    Expired,
    /// It was deleted or edited by hand.
    Damaged,
    /// A run had it, and gave it back before it was freed.
    GivenBack,
}

impl Report for Unlocked<'_> {
    fn json(&self) -> Value {
        let was = match self.was {
            Was::Free => "free",
            Was::Locked => "locked",
            Was::Expired => "expired",
            Was::Damaged => "damaged",
            Was::GivenBack => "given_back",
        };
        json!({ "database": self.database, "was": was })
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::Unlocked)
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        let database = self.database;
        let (verb, message) = match self.was {
            Was::Free => ("Unlocked", format!("the lock on {database} is free")),
            Was::Locked | Was::Expired => ("Unlocked", database.to_owned()),
            Was::Damaged => ("Repaired", format!("the lock on {database}, which is free now")),
            Was::GivenBack => ("Unlocked", format!("{database}: that run has given the lock back in the meantime")),
        };
        say(Said::Status { verb, message: &message });
    }
}
