//! The folder with the dumps. Each dump is a folder in it that is named by time.

use std::fs;
use std::path::{Path, PathBuf};

use mongodb::bson::DateTime;

use super::io;
use super::manifest::Manifest;
use crate::error::chain::error_text;
use crate::error::{Error, ErrorKind, Remark};
use crate::line::words::{listed, nearest};

/// The suffix of a folder's name while its dump is incomplete.
const PARTIAL: &str = ".partial";

/// The age at which an incomplete dump is considered abandoned.
const ABANDONED: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// The folder that holds the dumps.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

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

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the folder of a new dump, with a name that marks it as incomplete.
    pub(super) fn begin(&self) -> Result<PathBuf, Error> {
        make_private(&self.path).map_err(io(&self.path, "created"))?;
        // Dumps are data and must not be committed to a repository.
        let ignore = self.path.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(io(&ignore, "written"))?;
        }
        // As in migopy, the name is the time with `_` in place of `T` and `:`. If a dump of this millisecond exists, a later one
        // is tried.
        loop {
            let now = DateTime::now();
            let seconds: String = now.try_to_rfc3339_string().unwrap_or_default().chars().take(19).collect();
            let name = format!("{}_{:03}", seconds.replace(['T', ':'], "_"), now.timestamp_millis() % 1000);
            let path = self.path.join(format!("{name}{PARTIAL}"));
            if !path.exists() && !self.path.join(&name).exists() {
                make_private(&path).map_err(io(&path, "created"))?;
                return Ok(path);
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Gives a complete dump its final name, after syncing its folders to disk.
    pub(super) fn finish(&self, partial: &Path) -> Result<Dump, Error> {
        let path = partial.with_extension("");
        for entry in fs::read_dir(partial).map_err(io(partial, "read"))?.flatten().filter(|entry| entry.path().is_dir()) {
            sync(&entry.path()).map_err(io(&entry.path(), "written"))?;
        }
        sync(partial).map_err(io(partial, "written"))?;
        fs::rename(partial, &path).map_err(io(&path, "renamed"))?;
        sync(&self.path).map_err(io(&self.path, "written"))?;
        Ok(Dump::open(path))
    }

    /// Lists the complete dumps, oldest first.
    pub(crate) fn list(&self) -> Result<Vec<Dump>, Error> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(&self.path, "read")(error)),
        };
        let mut dumps = Vec::new();
        for entry in entries {
            let path = entry.map_err(io(&self.path, "read"))?.path();
            let is_complete = path.is_dir() && path.extension().is_none_or(|extension| extension != "partial");
            if is_complete {
                dumps.push(Dump::open(path));
            }
        }
        dumps.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(dumps)
    }

    /// Finds a dump: by its name, by the path of a folder elsewhere, or the `latest` of that database.
    pub(crate) fn find(&self, name: &str, database: &str) -> Result<Dump, Error> {
        let mut dumps = self.list()?;
        if name == "latest" {
            // The folder may have dumps of other databases too, and without a manifest a dump's time is not known.
            dumps.retain(|dump| dump.is_of(database));
            return dumps.into_iter().next_back().ok_or_else(|| {
                Error::usage(format!("there is no dump of {database} in {}", self.path.display()))
                    .with_hint("run `cargo migrations dbdump` to take one")
            });
        }
        if let Some(dump) = dumps.iter().find(|dump| dump.name == name) {
            return dump.clone().usable();
        }
        if name.contains(['/', std::path::MAIN_SEPARATOR]) && Path::new(name).is_dir() {
            return Dump::open(PathBuf::from(name)).usable();
        }
        let names = || dumps.iter().map(|dump| dump.name.as_str());
        let near = nearest(name, names());
        let list = if dumps.is_empty() {
            "run `cargo migrations dbdump` to take one".to_owned()
        } else if near.is_empty() {
            format!("run `cargo migrations dumps` to list the dumps (the latest: {})", listed(names().rev().take(3)))
        } else {
            format!("run `cargo migrations dumps` to list the dumps (the nearest: {})", listed(near))
        };
        Err(Error::usage(format!("there is no dump `{name}` in {}", self.path.display()))
            .with_hint(format!("{list}, or give the path of a dump in another folder")))
    }

    /// Removes all dumps of a database except the newest `keep`. Returns the names of the removed dumps.
    pub(crate) fn prune(&self, database: &str, keep: usize) -> Result<Vec<String>, Error> {
        let mut dumps = self.list()?;
        // A dump without a manifest was made by another program, so it is kept.
        dumps.retain(|dump| dump.is_of(database));
        dumps.truncate(dumps.len().saturating_sub(keep));
        for dump in &dumps {
            // It is first marked as incomplete: the process may be killed during the removal.
            let partial = self.path.join(format!("{}{PARTIAL}", dump.name));
            fs::rename(&dump.path, &partial).map_err(io(&dump.path, "removed"))?;
            let _ = sync(&self.path);
            fs::remove_dir_all(&partial).map_err(io(&partial, "removed"))?;
        }
        self.remove_abandoned()?;
        Ok(dumps.into_iter().map(|dump| dump.name).collect())
    }

    /// Removes incomplete dumps that killed processes left, once they are too old to be still in progress.
    fn remove_abandoned(&self) -> Result<(), Error> {
        for entry in fs::read_dir(&self.path).map_err(io(&self.path, "read"))?.flatten() {
            let path = entry.path();
            let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
            let is_partial = path.extension().is_some_and(|extension| extension == "partial");
            if is_partial && age.is_some_and(|age| age > ABANDONED) {
                fs::remove_dir_all(&path).map_err(io(&path, "removed"))?;
            }
        }
        Ok(())
    }
}

fn sync(path: &Path) -> std::io::Result<()> {
    fs::File::open(path).and_then(|folder| folder.sync_all())
}

impl Dump {
    fn open(path: PathBuf) -> Self {
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

    fn usable(self) -> Result<Self, Error> {
        match &self.broken {
            None => Ok(self),
            Some(why) => Err(Error::of_remarks(ErrorKind::Failed, [why.clone()])),
        }
    }

    /// Whether its manifest says that it is of that database.
    fn is_of(&self, database: &str) -> bool {
        self.manifest.as_ref().is_some_and(|manifest| manifest.database == database)
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

/// Creates a folder that only its owner can read: a dump may contain everything that is in the database.
pub(super) fn make_private(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
