//! Where dumps are: one folder each, named by time.

use std::fs;
use std::path::{Path, PathBuf};

use mongodb::bson::DateTime;

use super::io;
use super::manifest::Manifest;
use crate::error::Error;
use crate::line::words::listed;
use crate::line::words::nearest;

/// The end of a folder's name while its dump is not whole.
const PARTIAL: &str = ".partial";

/// How old a dump is that is not whole, and never will be.
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
    /// None of mongodump's own.
    pub(crate) manifest: Option<Manifest>,
    /// Why its manifest cannot be read; told when the dump is to be used.
    pub(crate) broken: Option<String>,
}

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A new dump's folder, under a name that shows that it is not whole.
    pub(super) fn begin(&self) -> Result<PathBuf, Error> {
        make_private(&self.path).map_err(io(&self.path, "made"))?;
        // Dumps are data: they are not for the repository that they lie in.
        let ignore = self.path.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(io(&ignore, "written"))?;
        }
        // As migopy: the time, with `_` for what a file name should not have. Two in one millisecond: the later one waits.
        loop {
            let now = DateTime::now();
            let seconds: String = now.try_to_rfc3339_string().unwrap_or_default().chars().take(19).collect();
            let name = format!("{}_{:03}", seconds.replace(['T', ':'], "_"), now.timestamp_millis() % 1000);
            let path = self.path.join(format!("{name}{PARTIAL}"));
            if !path.exists() && !self.path.join(&name).exists() {
                make_private(&path).map_err(io(&path, "made"))?;
                return Ok(path);
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }

    /// Gives a whole dump its name. What was written is on the disk before that.
    pub(super) fn finish(&self, partial: &Path) -> Result<Dump, Error> {
        let path = partial.with_extension("");
        for entry in fs::read_dir(partial).map_err(io(partial, "read"))?.flatten().filter(|entry| entry.path().is_dir()) {
            sync(&entry.path()).map_err(io(&entry.path(), "written"))?;
        }
        sync(partial).map_err(io(partial, "written"))?;
        fs::rename(partial, &path).map_err(io(&path, "named"))?;
        sync(&self.path).map_err(io(&self.path, "written"))?;
        Ok(Dump::open(path))
    }

    /// The whole dumps, oldest first.
    pub(crate) fn list(&self) -> Result<Vec<Dump>, Error> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(&self.path, "read")(error)),
        };
        let mut dumps = Vec::new();
        for entry in entries {
            let path = entry.map_err(io(&self.path, "read"))?.path();
            let is_whole = path.is_dir() && path.extension().is_none_or(|extension| extension != "partial");
            if is_whole {
                dumps.push(Dump::open(path));
            }
        }
        dumps.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(dumps)
    }

    /// The dump of that name, the `latest` of that database, or one in that folder elsewhere.
    pub(crate) fn find(&self, name: &str, database: &str) -> Result<Dump, Error> {
        let mut dumps = self.list()?;
        if name == "latest" {
            // Others may keep theirs in the same place; and what has no manifest has no time.
            dumps.retain(|dump| dump.is_of(database));
            return dumps.into_iter().next_back().ok_or_else(|| {
                Error::usage(format!(
                    "there is no dump of {database} in {}; `cargo migrations dbdump` takes one",
                    self.path.display()
                ))
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
        let hint = if near.is_empty() { listed(names().rev().take(3)) } else { listed(near) };
        let hint = if hint.is_empty() { "there is none at all".to_owned() } else { format!("there is {hint}") };
        Err(Error::usage(format!(
            "no dump `{name}` in {}; {hint} (`cargo migrations dumps` lists them; a folder elsewhere is named with its path)",
            self.path.display()
        )))
    }

    /// Removes all dumps of a database but the newest; their names.
    pub(crate) fn prune(&self, database: &str, keep: usize) -> Result<Vec<String>, Error> {
        let mut dumps = self.list()?;
        // What has no manifest is not ours to remove.
        dumps.retain(|dump| dump.is_of(database));
        dumps.truncate(dumps.len().saturating_sub(keep));
        for dump in &dumps {
            // Under a name that shows that it is not whole: it may be ended in the middle.
            let partial = self.path.join(format!("{}{PARTIAL}", dump.name));
            fs::rename(&dump.path, &partial).map_err(io(&dump.path, "removed"))?;
            let _ = sync(&self.path);
            fs::remove_dir_all(&partial).map_err(io(&partial, "removed"))?;
        }
        self.remove_abandoned()?;
        Ok(dumps.into_iter().map(|dump| dump.name).collect())
    }

    /// Removes what killed processes left, once nobody can be at it any more.
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
            Err(error) => (None, Some(error.to_string())),
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { name, path, manifest, broken }
    }

    fn usable(self) -> Result<Self, Error> {
        match &self.broken {
            None => Ok(self),
            Some(why) => Err(Error::failed(why.clone())),
        }
    }

    /// Whether its manifest says that it is of that database.
    fn is_of(&self, database: &str) -> bool {
        self.manifest.as_ref().is_some_and(|manifest| manifest.database == database)
    }

    /// How much of the disk it takes, in bytes.
    pub(crate) fn size(&self) -> u64 {
        size_of(&self.path)
    }

    /// The folder with the database's files. One of mongodump's may hold several databases.
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
            several => several
                .iter()
                .find(|path| path.file_name().is_some_and(|name| name == wanted))
                .cloned()
                .ok_or_else(|| Error::usage(format!("{} holds no dump of the database {wanted}", self.path.display()))),
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

/// A folder that nobody else can read: it may hold everything that the database does.
pub(super) fn make_private(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
