//! The manifest: a dump's content, with counts and checksums. It is stored next to the database's folder, where MongoDB's own
//! tools ignore it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::io;
use crate::error::Error;

/// The file's name in the dump's folder.
pub(super) const FILE: &str = "manifest.json";

/// The format that this version writes, and the highest that it reads.
pub(super) const FORMAT: u32 = 1;

/// The content of a dump.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(super) format: u32,
    pub(crate) database: String,
    /// When the dump ended, in RFC 3339.
    pub(crate) taken_at: String,
    pub(super) server_version: String,
    pub(super) tool_version: String,
    /// Whether the dump is of one point in time, apart from capped collections (see [`Contents::in_snapshot`]).
    pub(crate) is_consistent: bool,
    /// That point in time as the server's timestamp: seconds, and the counter within the second.
    pub(super) snapshot: Option<(u32, u32)>,
    pub(super) gzip: bool,
    /// What the dump was limited to. `None` for a dump of everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) selection: Option<Selection>,
    /// Collections that the server listed but could not give any more, because they were dropped during the dump.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) vanished: Vec<String>,
    /// The migrations that were registered at that time.
    pub(crate) registered: Vec<String>,
    pub(crate) collections: Vec<Contents>,
}

/// The collections that a dump is limited to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Selection {
    /// Only these collections.
    Only(Vec<String>),
    /// All collections except these.
    Except(Vec<String>),
}

impl Selection {
    /// The collections that it is limited to.
    pub(crate) fn only(&self) -> Option<&[String]> {
        match self {
            Self::Only(names) => Some(names),
            Self::Except(_) => None,
        }
    }

    /// The collections that are left out.
    pub(crate) fn except(&self) -> Option<&[String]> {
        match self {
            Self::Only(_) => None,
            Self::Except(names) => Some(names),
        }
    }
}

/// The content of one collection, view or time-series collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Whether it was read as of the point in time of the dump. `false` for capped collections, which the server cannot read as of
    /// a point in time, and for everything in a dump that is not consistent. Dumps of earlier versions do not say it, and then
    /// nothing is promised.
    #[serde(default)]
    pub(super) in_snapshot: bool,
    pub(super) data: Option<Data>,
    pub(super) metadata: File,
}

/// A file with documents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Data {
    pub(crate) documents: u64,
    /// The size of the documents before compression.
    pub(crate) bytes: u64,
    #[serde(flatten)]
    pub(super) file: File,
}

/// A file, relative to the dump's folder.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct File {
    pub(super) file: String,
    /// The checksum of the file as it is on disk, possibly compressed.
    pub(super) sha256: String,
}

impl Manifest {
    /// Whether the dump was limited to some collections. A restore of it must leave all others as they are.
    pub(crate) fn is_partial(&self) -> bool {
        self.selection.is_some()
    }

    pub(crate) fn documents(&self) -> u64 {
        self.collections.iter().filter_map(|contents| contents.data.as_ref()).map(|data| data.documents).sum()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.collections.iter().filter_map(|contents| contents.data.as_ref()).map(|data| data.bytes).sum()
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        let text = serde_json::to_string_pretty(self).expect("plain fields");
        std::fs::write(&path, text).and_then(|()| std::fs::File::open(&path)?.sync_all()).map_err(io(&path, "written"))
    }

    /// Reads a dump's manifest. Returns `None` where there is none, as in dumps that mongodump wrote.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(FILE);
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(&path, "read")(error)),
        };
        Self::parse(&super::read::text(file, &path)?, &path).map(Some)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let broken = |error: serde_json::Error| {
            Error::failed(format!("{} is not a valid manifest: {error}", path.display())).with_hint("use another dump")
        };
        // A newer format may lack fields of this one, so its number is read first.
        let found: Format = serde_json::from_str(text).map_err(broken)?;
        if found.format > FORMAT {
            return Err(Error::failed(format!("{} was written by a newer version of cargo-migrations", path.display()))
                .with_hint("update cargo-migrations"));
        }
        serde_json::from_str(text).map_err(broken)
    }
}

/// What every format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest, Error> {
        Manifest::parse(text, Path::new("dump/manifest.json"))
    }

    #[test]
    fn a_manifest_without_the_fields_of_later_versions_is_read() {
        let text = r#"{
            "format": 1, "database": "blog", "taken_at": "2026-02-03T04:05:06Z", "server_version": "6.0.5",
            "tool_version": "0.1.0", "is_consistent": true, "snapshot": null, "gzip": false, "registered": [],
            "collections": [{
                "name": "posts", "type": "collection", "apart": false, "data": null,
                "metadata": { "file": "blog/posts.metadata.json", "sha256": "00" }
            }]
        }"#;
        let manifest = parse(text).unwrap();
        assert!(!manifest.collections[0].in_snapshot, "it is not known");
    }

    #[test]
    fn a_manifest_of_a_newer_version_asks_for_an_update() {
        let error = parse(r#"{ "format": 2, "tables": [] }"#).unwrap_err();
        assert_eq!(error.to_string(), "dump/manifest.json was written by a newer version of cargo-migrations");
        assert_eq!(error.hint(), Some("update cargo-migrations"));
    }

    #[test]
    fn anything_else_is_not_a_manifest() {
        let error = parse("{}").unwrap_err();
        assert!(error.to_string().starts_with("dump/manifest.json is not a valid manifest: missing field `format`"));
        assert_eq!(error.hint(), Some("use another dump"));
    }
}
