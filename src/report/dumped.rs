//! What was done with a dump: a line for people, and an event for programs.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::text::millis;
use super::{Report, Said, human_bytes, human_duration};
use crate::model::EventName;

/// A dump was taken.
pub(crate) struct DumpTaken<'a> {
    pub(crate) name: &'a str,
    pub(crate) path: PathBuf,
    pub(crate) database: &'a str,
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    pub(crate) is_consistent: bool,
    pub(crate) took: Duration,
}

/// A dump was removed.
pub(crate) struct DumpRemoved<'a> {
    pub(crate) name: &'a str,
}

/// A dump was read again.
pub(crate) struct DumpVerified<'a> {
    pub(crate) name: &'a str,
    /// The database that was dumped, if the dump says so.
    pub(crate) database: Option<&'a str>,
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    pub(crate) has_manifest: bool,
}

/// A dump was restored into a throwaway server, and compared.
pub(crate) struct DumpProved<'a>(pub(crate) DumpVerified<'a>);

/// A dump was put back.
pub(crate) struct Restored<'a> {
    pub(crate) name: &'a str,
    /// The database that it was restored into.
    pub(crate) database: &'a str,
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

fn contents(documents: u64, bytes: u64) -> String {
    format!("{documents} documents, {}", human_bytes(bytes))
}

fn say_status(say: &mut dyn FnMut(Said<'_>), verb: &str, message: &str) {
    say(Said::Status { verb, message });
}

impl Report for DumpTaken<'_> {
    fn json(&self) -> Value {
        json!({
            "name": self.name, "path": self.path, "database": self.database, "documents": self.documents, "bytes": self.bytes,
            "consistent": self.is_consistent, "duration_ms": millis(self.took),
        })
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::DumpTaken)
    }
}

impl Report for DumpRemoved<'_> {
    fn json(&self) -> Value {
        json!({ "name": self.name })
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::DumpRemoved)
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        say_status(say, "Removed", self.name);
    }
}

impl Report for DumpVerified<'_> {
    fn json(&self) -> Value {
        json!({
            "name": self.name, "database": self.database, "documents": self.documents, "bytes": self.bytes,
            "manifest": self.has_manifest,
        })
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::DumpVerified)
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        let how = if self.has_manifest { "as its manifest says" } else { "all complete (it has no manifest)" };
        say_status(say, "Verified", &format!("{}: {}, {how}", self.name, contents(self.documents, self.bytes)));
    }
}

impl Report for DumpProved<'_> {
    fn json(&self) -> Value {
        self.0.json()
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::DumpProved)
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        let contents = contents(self.0.documents, self.0.bytes);
        say_status(say, "Proven", &format!("{}: {contents}, restored exactly as they were dumped", self.0.name));
    }
}

impl Report for Restored<'_> {
    fn json(&self) -> Value {
        json!({
            "name": self.name, "database": self.database, "documents": self.documents, "bytes": self.bytes,
            "duration_ms": millis(self.took),
        })
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::Restored)
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        let (contents, took) = (contents(self.documents, self.bytes), human_duration(self.took));
        say_status(say, "Restored", &format!("{} into {}: {contents}, in {took}", self.name, self.database));
    }
}
