//! That `check` found nothing wrong.

use serde_json::{Value, json};

use super::{Report, Said, migrations};
use crate::model::EventName;

/// The manager and that many migrations are as they should be.
pub(crate) struct Checked {
    pub(crate) migrations: usize,
}

impl Report for Checked {
    fn json(&self) -> Value {
        json!({ "migrations": self.migrations })
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::Checked)
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        say(Said::Status { verb: "Checked", message: &format!("{} and the manager", migrations(self.migrations)) });
    }
}
