//! Reads a dump again, and checks that it is complete and as it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::catalog::{BUCKETS, Collection, Kind};
use super::manifest::{Contents, File};
use super::stored::Dump;
use super::structure::Check;
use super::{file_names, io, read};
use crate::error::Error;

/// A dump that was checked and is intact.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(super) parts: Vec<Part>,
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
    /// Whether it has only some collections of a database: a restore leaves the others as they are.
    pub(crate) is_partial: bool,
    /// Collections that its database had, and that could not be dumped any more.
    pub(super) vanished: BTreeSet<String>,
    /// Whether it has a manifest, so that checksums were compared.
    pub(crate) has_manifest: bool,
    /// Whether it is known to be of one point in time.
    pub(crate) is_consistent: bool,
    /// The database that was dumped, if the manifest says so.
    database: Option<String>,
}

impl Verified {
    #[cfg(test)]
    pub(super) fn of_parts(parts: Vec<Part>, is_partial: bool) -> Self {
        let (vanished, has_manifest, is_consistent) = (BTreeSet::new(), true, true);
        Self { parts, documents: 0, bytes: 0, is_partial, vanished, has_manifest, is_consistent, database: None }
    }

    /// Whether the dump is known to be of that database.
    pub(crate) fn is_of(&self, database: &str) -> bool {
        self.database.as_deref() == Some(database)
    }

    /// The database that was dumped, if the manifest says so.
    pub(crate) fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// Returns the database that was dumped, if it is known to be another one.
    pub(crate) fn database_of_another(&self, database: &str) -> Option<&str> {
        self.database.as_deref().filter(|of| *of != database)
    }
}

/// One collection of a dump.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) collection: Collection,
    /// The file with its documents. `None` for a view.
    pub(super) data: Option<PathBuf>,
    pub(super) documents: u64,
    pub(super) bytes: u64,
}

/// Reads all files of a dump of that database, and compares them with its manifest. Blocks.
pub(crate) fn verify(dump: &Dump, database: &str) -> Result<Verified, Error> {
    let mut parts = match &dump.manifest {
        Some(manifest) => {
            let parts = manifest.collections.iter().map(|contents| against_manifest(&dump.path, contents));
            parts.collect::<Result<Vec<_>, _>>()?
        }
        None => {
            let folder = dump.database(database)?;
            super::oplog::refuse(&folder)?;
            without_manifest(&folder)?
        }
    };
    parts.sort_by(|a, b| a.collection.name.cmp(&b.collection.name));
    Ok(Verified {
        documents: parts.iter().map(|part| part.documents).sum(),
        bytes: parts.iter().map(|part| part.bytes).sum(),
        is_partial: match &dump.manifest {
            Some(manifest) => manifest.is_partial(),
            // It does not say whether it is complete, and `mongodump --collection` writes it so.
            None => parts.len() == 1,
        },
        vanished: dump.manifest.iter().flat_map(|manifest| manifest.vanished.iter().cloned()).collect(),
        has_manifest: dump.manifest.is_some(),
        is_consistent: dump.manifest.as_ref().is_some_and(|manifest| manifest.is_consistent),
        database: dump.manifest.as_ref().map(|manifest| manifest.database.clone()),
        parts,
    })
}

fn against_manifest(folder: &Path, contents: &Contents) -> Result<Part, Error> {
    let metadata = check_file(folder, &contents.metadata)?;
    let collection = read_metadata(&metadata, &contents.name)?;
    let Some(data) = &contents.data else { return Ok(Part { collection, data: None, documents: 0, bytes: 0 }) };
    let path = check_file(folder, &data.file)?;
    let (documents, bytes) = count(&path, Check::Frames)?;
    if (documents, bytes) != (data.documents, data.bytes) {
        let why = format!(
            "it contains {documents} documents ({bytes} bytes), but the manifest says {} ({} bytes)",
            data.documents, data.bytes
        );
        return Err(damaged(&path, &why));
    }
    Ok(Part { collection, data: Some(path), documents, bytes })
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::failed(format!("{} is damaged: {why}", path.display())).with_hint("use another dump")
}

fn check_file(folder: &Path, file: &File) -> Result<PathBuf, Error> {
    // A forged manifest could name any file of this machine.
    if !Path::new(&file.file).components().all(|part| matches!(part, std::path::Component::Normal(_))) {
        return Err(damaged(folder, &format!("its manifest names `{}`, which is not in the dump", file.file)));
    }
    let path = folder.join(&file.file);
    if !path.is_file() {
        return Err(incomplete(format!("{} is missing", path.display())));
    }
    if read::sha256(&path)? != file.sha256 {
        return Err(damaged(&path, "its checksum differs from the manifest's"));
    }
    Ok(path)
}

fn incomplete(why: String) -> Error {
    Error::failed(format!("{why}, so the dump is incomplete")).with_hint("use another dump")
}

fn read_metadata(path: &Path, name: &str) -> Result<Collection, Error> {
    Collection::from_metadata(&read::metadata(path)?, name).map_err(|why| damaged(path, why))
}

/// Checks a dump that mongodump wrote: each file with documents must have a metadata file, and consist of complete documents.
fn without_manifest(folder: &Path) -> Result<Vec<Part>, Error> {
    let mut data: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io(folder, "read"))? {
        let path = entry.map_err(io(folder, "read"))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        if let Some(stem) = plain.strip_suffix(".metadata.json") {
            // Older metadata does not contain the collection's name, so it is taken from the file's.
            let collection = read_metadata(&path, &file_names::unescape(stem))?;
            parts.push((stem.to_owned(), Part { collection, data: None, documents: 0, bytes: 0 }));
        } else if let Some(stem) = plain.strip_suffix(".bson") {
            data.insert(stem.to_owned(), path);
        }
    }
    for (stem, part) in &mut parts {
        let buckets = format!("{}{stem}", file_names::escape(BUCKETS));
        let found = match part.collection.kind {
            Kind::View => continue,
            Kind::Collection => data.remove(stem),
            Kind::TimeSeries => data.remove(&buckets),
        };
        let Some(path) = found else {
            let name = &part.collection.name;
            return Err(incomplete(format!("{} has no file with the documents of {name}", folder.display())));
        };
        // Without a checksum, damage is noticed only where a document cannot be read.
        (part.documents, part.bytes) = count(&path, Check::Values)?;
        part.data = Some(path);
    }
    let parts: Vec<Part> = parts.into_iter().map(|(_, part)| part).collect();
    // Users and roles, which mongodump adds to a dump, are not restored.
    let is_ours = |name: &str| !name.starts_with("%24admin") && !name.starts_with("$admin") && !name.starts_with("system.");
    data.retain(|name, _| is_ours(name) || name.starts_with(BUCKETS));
    match data.into_values().next() {
        None if parts.is_empty() => Err(Error::usage(format!("{} contains no dump", folder.display()))
            .with_hint("give the path of a folder that mongodump or `dbdump` wrote")),
        None => Ok(parts),
        Some(path) => Err(incomplete(format!("{} has no metadata file", path.display()))),
    }
}

/// Reads all documents of a file. Returns their number and their size in bytes.
fn count(path: &Path, check: Check) -> Result<(u64, u64), Error> {
    let mut input = read::Documents::checking(path, check)?;
    let (mut documents, mut bytes) = (0, 0);
    while let Some(document) = input.next()? {
        documents += 1;
        bytes += document.as_bytes().len() as u64;
    }
    Ok((documents, bytes))
}
