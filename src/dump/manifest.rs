//! The manifest: what a dump holds, with counts and checksums. It lies beside the database's folder, where MongoDB's own tools
//! do not look.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::io;
use crate::error::Error;

/// The file's name in the dump's folder.
pub(super) const FILE: &str = "manifest.json";

/// The format that this version writes and reads.
pub(super) const FORMAT: u32 = 1;

/// What a dump holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(super) format: u32,
    pub(crate) database: String,
    /// RFC 3339.
    pub(crate) taken_at: String,
    pub(super) server_version: String,
    pub(super) tool_version: String,
    /// Whether all of it, but for what is marked, is of one point in time.
    pub(crate) is_consistent: bool,
    /// That point in the server's time: seconds, and the count within one.
    pub(super) snapshot: Option<(u32, u32)>,
    pub(super) gzip: bool,
    /// The migrations that were registered then.
    pub(crate) registered: Vec<String>,
    pub(crate) collections: Vec<Contents>,
}

/// What a dump holds of one collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// It was read apart from the point in time: the server cannot read a capped collection as of one.
    pub(super) apart: bool,
    pub(super) data: Option<Data>,
    pub(super) metadata: File,
}

/// A file with documents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Data {
    pub(crate) documents: u64,
    /// Of the documents, before they are compressed.
    pub(crate) bytes: u64,
    #[serde(flatten)]
    pub(super) file: File,
}

/// A file, relative to the dump's folder.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct File {
    pub(super) file: String,
    /// Of the file as it lies on the disk.
    pub(super) sha256: String,
}

impl Manifest {
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

    /// `None`: there is no manifest, as in a dump of mongodump's.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(&path, "read")(error)),
        };
        let broken =
            |why: String| Error::failed(format!("{} cannot be understood: {why}; take another dump", path.display()));
        let manifest: Self = serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
        if manifest.format > FORMAT {
            return Err(broken(format!("it is of format {}, and this version knows {FORMAT}", manifest.format)));
        }
        Ok(Some(manifest))
    }
}
