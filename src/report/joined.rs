//! A process has helped with a backfill.

use serde_json::{Value, json};

use super::{Report, Said};
use crate::model::{EventName, Joined};
use crate::store::StoredBackfill;

/// A process has joined a backfill, and this is how that ended.
pub(crate) struct JoinEnded<'a> {
    pub(crate) database: &'a str,
    pub(crate) backfill: &'a StoredBackfill,
    pub(crate) joined: Joined,
}

impl Report for JoinEnded<'_> {
    fn json(&self) -> Value {
        let StoredBackfill { migration, direction, label, collection, .. } = self.backfill;
        json!({
            "database": self.database, "migration": migration, "direction": direction, "label": label,
            "collection": collection, "outcome": self.joined.as_str(), "read": self.joined.read(),
        })
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::BackfillJoined)
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        let what = format!("{} of {}", self.backfill.called(), self.backfill.migration);
        let read = self.joined.read();
        let message = format!("{what}: this process has read {read} documents");
        let verb = if matches!(self.joined, Joined::Done { .. }) { "Done" } else { "Left" };
        say(Said::Status { verb, message: &message });
    }
}
