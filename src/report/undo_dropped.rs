//! The undo log of a migration was dropped.

use serde_json::{Value, json};

use super::{Report, Said, human_bytes};
use crate::model::EventName;
use crate::store::UndoLog;

/// An undo log was dropped.
pub(crate) struct UndoDropped<'a> {
    pub(crate) database: &'a str,
    pub(crate) log: &'a UndoLog,
}

impl Report for UndoDropped<'_> {
    fn json(&self) -> Value {
        let UndoLog { name, migration, documents, bytes } = self.log;
        json!({
            "database": self.database, "migration": migration, "collection": name, "documents": documents, "bytes": bytes,
        })
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::UndoDropped)
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        let UndoLog { documents, bytes, .. } = self.log;
        let message = format!("the undo log of {} ({documents} documents, {})", self.log.of(), human_bytes(*bytes));
        say(Said::Status { verb: "Dropped", message: &message });
    }
}
