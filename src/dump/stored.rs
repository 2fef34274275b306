//! A dump on disk: its name, its manifest, and where its files are.

use std::fs;
use std::path::{Path, PathBuf};

use mongodb::bson::DateTime;

use super::io;
use super::manifest::Manifest;
use crate::error::chain::error_text;
use crate::error::{Error, ErrorKind, Remark};

/// One dump.
#[derive(Clone, Debug)]
pub(crate) struct Dump {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// `None` for a dump that mongodump wrote.
    pub(crate) manifest: Option<Manifest>,
    /// Why its manifest cannot be read. It is an error only when the dump is used.
    pub(crate) broken: Option<Remark>,
}

impl Dump {
    pub(super) fn open(path: PathBuf) -> Self {
        let (manifest, broken) = match Manifest::read(&path) {
            Ok(manifest) => (manifest, None),
            Err(error) => {
                let hint = error.hint().unwrap_or("use another dump");
                (None, Some(Remark::new(error_text(&error)).with_hint(hint)))
            }
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { name, path, manifest, broken }
    }

    pub(super) fn usable(self) -> Result<Self, Error> {
        match &self.broken {
            None => Ok(self),
            Some(why) => Err(Error::of_remarks(ErrorKind::Failed, [why.clone()])),
        }
    }

    /// Whether its manifest says that it is of that database.
    pub(super) fn is_of(&self, database: &str) -> bool {
        self.manifest.as_ref().is_some_and(|manifest| manifest.database == database)
    }

    /// Whether it was limited to some collections.
    pub(super) fn is_partial(&self) -> bool {
        self.manifest.as_ref().is_some_and(Manifest::is_partial)
    }

    /// Returns when it was taken, in milliseconds since 1970, if it has a manifest.
    pub(super) fn taken_at(&self) -> Option<i64> {
        let taken_at = DateTime::parse_rfc3339_str(&self.manifest.as_ref()?.taken_at).ok()?;
        Some(taken_at.timestamp_millis())
    }

    /// Returns its size on disk, in bytes.
    pub(crate) fn size(&self) -> u64 {
        size_of(&self.path)
    }

    /// Returns the folder with the files of the database. A dump that mongodump wrote may contain several databases.
    pub(super) fn database(&self, wanted: &str) -> Result<PathBuf, Error> {
        if let Some(manifest) = &self.manifest {
            return Ok(self.path.join(&manifest.database));
        }
        let entries = fs::read_dir(&self.path).map_err(io(&self.path, "read"))?;
        let folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        let has_files = fs::read_dir(&self.path)
            .map_err(io(&self.path, "read"))?
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().trim_end_matches(".gz").ends_with(".metadata.json"));
        match &folders[..] {
            [] if has_files => Ok(self.path.clone()),
            [one] => Ok(one.clone()),
            several => {
                several.iter().find(|path| path.file_name().is_some_and(|name| name == wanted)).cloned().ok_or_else(|| {
                    Error::usage(format!("{} contains no dump of the database {wanted}", self.path.display()))
                })
            }
        }
    }
}

fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some(if metadata.is_dir() { size_of(&entry.path()) } else { metadata.len() })
        })
        .sum()
}
