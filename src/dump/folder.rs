//! The folder with the dumps. Each dump is a folder in it that is named by time, unless a person has renamed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mongodb::bson::DateTime;

use super::stored::Dump;
use super::{archive, io};
use crate::error::Error;
use crate::line::program::program;
use crate::line::words::{listed, nearest};
use crate::model::PARTIAL;

/// The form of the names that we give to dumps: the time, where `0` stands for any digit.
const NAME_FORM: &str = "0000-00-00_00_00_00_000";

/// The age at which an incomplete dump is considered abandoned.
const ABANDONED: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// The folder that holds the dumps.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
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
        loop {
            let path = self.unused_partial();
            match private(false).create(&path) {
                Ok(()) => return Ok(path),
                // Another process has begun a dump in the same millisecond.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io(&path, "created")(error)),
            }
        }
    }

    /// Returns the path of an incomplete dump that does not exist yet.
    fn unused_partial(&self) -> PathBuf {
        // As in migopy, the name is the time with `_` in place of `T` and `:`. If a dump of this millisecond exists, a later one
        // is tried.
        loop {
            let now = DateTime::now();
            let seconds: String = now.try_to_rfc3339_string().unwrap_or_default().chars().take(19).collect();
            let name = format!("{}_{:03}", seconds.replace(['T', ':'], "_"), now.timestamp_millis() % 1000);
            let path = self.path.join(format!("{name}{PARTIAL}"));
            if !exists(&path) && !exists(&self.path.join(&name)) {
                return path;
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

    /// Lists the complete dumps, oldest first. Those without the time in a manifest come before all others.
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
        // Not by name: a person may have renamed one.
        dumps.sort_by_cached_key(|dump| (dump.taken_at(), dump.name.clone()));
        Ok(dumps)
    }

    /// Lists the names of the incomplete dumps: a dump is being taken, or was cut off.
    pub(crate) fn partial(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(&self.path, "read")(error)),
        };
        let is_partial = |name: &String| name.strip_suffix(PARTIAL).is_some_and(is_own_name);
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(is_partial)
            .collect();
        names.sort();
        Ok(names)
    }

    /// Finds a dump: by its name, by the path of a folder elsewhere, or the `latest` of that database.
    pub(crate) fn find(&self, name: &str, database: &str) -> Result<Dump, Error> {
        let mut dumps = self.list()?;
        if name == "latest" {
            // The folder may have dumps of other databases too, and without a manifest a dump's time is not known.
            dumps.retain(|dump| dump.is_of(database));
            let partial: Vec<Dump> = dumps.extract_if(.., |dump| dump.is_partial()).collect();
            return dumps.pop().ok_or_else(|| match partial.last() {
                None => Error::usage(format!("there is no dump of {database} in {}", self.path.display()))
                    .with_hint(format!("run `{} dbdump` to take one", program())),
                Some(partial) => Error::usage(format!(
                    "there is no dump of all of {database} in {}, and `latest` is never one that was limited to some collections",
                    self.path.display()
                ))
                .with_hint(format!("name that dump: `{}`. Or run `{} dbdump` to take a complete one", partial.name, program())),
            });
        }
        if let Some(dump) = dumps.iter().find(|dump| dump.name == name) {
            return dump.clone().usable();
        }
        if name.contains(['/', std::path::MAIN_SEPARATOR]) && Path::new(name).is_dir() {
            return Dump::open(PathBuf::from(name)).usable();
        }
        if let Some(path) = [PathBuf::from(name), self.path.join(name)].into_iter().find(|path| path.is_file()) {
            return Err(archive::refused(&path));
        }
        let names = || dumps.iter().map(|dump| dump.name.as_str());
        let near = nearest(name, names());
        let list = if dumps.is_empty() {
            format!("run `{} dbdump` to take one", program())
        } else if near.is_empty() {
            format!("run `{} dumps` to list the dumps (the latest: {})", program(), listed(names().rev().take(3)))
        } else {
            format!("run `{} dumps` to list the dumps (the nearest: {})", program(), listed(near))
        };
        Err(Error::usage(format!("there is no dump `{name}` in {}", self.path.display()))
            .with_hint(format!("{list}, or give the path of a dump in another folder")))
    }

    /// Removes all dumps of a database except the newest `keep`. Returns the names of the removed dumps.
    ///
    /// A dump that a person has renamed, or that has only a part of the database, is neither removed nor counted.
    pub(crate) fn prune(&self, database: &str, keep: usize) -> Result<Vec<String>, Error> {
        let mut dumps = self.list()?;
        // A dump without a manifest was made by another program, so it is kept.
        dumps.retain(|dump| dump.is_of(database) && is_own_name(&dump.name) && !dump.is_partial());
        dumps.truncate(dumps.len().saturating_sub(keep));
        for dump in &dumps {
            // It is first marked as incomplete: the process may be killed during the removal.
            let mut partial = self.path.join(format!("{}{PARTIAL}", dump.name));
            if exists(&partial) {
                partial = self.unused_partial();
            }
            fs::rename(&dump.path, &partial).map_err(io(&dump.path, "removed"))?;
            let _ = sync(&self.path);
            fs::remove_dir_all(&partial).map_err(io(&partial, "removed"))?;
        }
        self.remove_abandoned(SystemTime::now())?;
        Ok(dumps.into_iter().map(|dump| dump.name).collect())
    }

    /// Removes incomplete dumps that killed processes left, once they are too old to be still in progress.
    fn remove_abandoned(&self, now: SystemTime) -> Result<(), Error> {
        for entry in fs::read_dir(&self.path).map_err(io(&self.path, "read"))?.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            // Only folders that `begin` has made, not what a person keeps under a similar name.
            let is_ours = name.to_str().and_then(|name| name.strip_suffix(PARTIAL)).is_some_and(is_own_name)
                && entry.file_type().is_ok_and(|file_type| file_type.is_dir());
            let is_old =
                || last_modified(&path).and_then(|time| now.duration_since(time).ok()).is_some_and(|age| age > ABANDONED);
            if is_ours && is_old() {
                fs::remove_dir_all(&path).map_err(io(&path, "removed"))?;
            }
        }
        Ok(())
    }
}

/// Whether the name has the form of those that we give to dumps.
fn is_own_name(name: &str) -> bool {
    let fits = |(byte, form): (u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
    name.len() == NAME_FORM.len() && name.bytes().zip(NAME_FORM.bytes()).all(fits)
}

/// Whether there is anything at the path, even a link to nowhere.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Returns when anything in a folder was last written. Writing into a file does not change the time of its folder.
fn last_modified(folder: &Path) -> Option<SystemTime> {
    let own = folder.symlink_metadata().and_then(|metadata| metadata.modified()).ok();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let times = entries.map(|entry| match entry.file_type() {
        Ok(file_type) if file_type.is_dir() => last_modified(&entry.path()),
        _ => entry.metadata().and_then(|metadata| metadata.modified()).ok(),
    });
    times.chain([own]).flatten().max()
}

/// Syncs a folder to disk: the names of what is in it. Some file systems, most of them of a network, cannot do that for folders.
fn sync(folder: &Path) -> std::io::Result<()> {
    use std::io::ErrorKind::{InvalidInput, Unsupported};
    match fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if matches!(error.kind(), InvalidInput | Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Creates a folder that only its owner can read, unless it exists already, and the folders that it is in.
pub(super) fn make_private(path: &Path) -> std::io::Result<()> {
    private(true).create(path)
}

/// Returns a builder of folders that only their owner can read: a dump may contain everything that is in the database. If it is
/// recursive, a folder that exists already is not an error.
fn private(is_recursive: bool) -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(is_recursive);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::dump::manifest::FORMAT;
    use crate::dump::manifest::Manifest;

    /// A folder with a dump of `blog` for each name and time. Without a time it has no manifest.
    fn folder(dumps: &[(&str, Option<&str>)]) -> (tempfile::TempDir, Folder) {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path().to_owned());
        for (name, taken_at) in dumps {
            let path = temporary.path().join(name);
            fs::create_dir(&path).unwrap();
            if let Some(taken_at) = taken_at {
                manifest(taken_at).write(&path).unwrap();
            }
        }
        (temporary, folder)
    }

    fn manifest(taken_at: &str) -> Manifest {
        Manifest {
            format: FORMAT,
            database: "blog".into(),
            taken_at: taken_at.into(),
            server_version: "6.0.5".into(),
            tool_version: "0.1.0".into(),
            is_consistent: true,
            snapshot: None,
            gzip: false,
            selection: None,
            vanished: Vec::new(),
            registered: Vec::new(),
            collections: Vec::new(),
        }
    }

    fn names(folder: &Folder) -> Vec<String> {
        folder.list().unwrap().into_iter().map(|dump| dump.name).collect()
    }

    #[test]
    fn dumps_are_in_the_order_of_their_manifests() {
        let (_temporary, folder) = folder(&[
            ("2026-02-03_04_05_06_789", Some("2026-02-03T04:05:09Z")),
            // Its name begins later, and its time has a fraction.
            ("2026-02-03_04_05_08_000", Some("2026-02-03T04:05:09.5Z")),
            ("before_release", Some("2026-02-01T00:00:00Z")),
            ("0_newest", Some("2026-02-04T00:00:00+00:00")),
            ("mongodumps_own", None),
            ("2027-01-01_00_00_00_000", None),
            ("2028-01-01_00_00_00_000", Some("not a time")),
        ]);
        let expected = [
            "2027-01-01_00_00_00_000",
            "2028-01-01_00_00_00_000",
            "mongodumps_own",
            "before_release",
            "2026-02-03_04_05_06_789",
            "2026-02-03_04_05_08_000",
            "0_newest",
        ];
        assert_eq!(names(&folder), expected);
        assert_eq!(folder.find("latest", "blog").unwrap().name, "0_newest");
        assert!(folder.find("latest", "another").is_err());
    }

    #[test]
    fn only_dumps_that_have_our_own_name_are_removed() {
        let (temporary, folder) = folder(&[
            ("2026-02-01_00_00_00_000", Some("2026-02-01T00:00:01Z")),
            ("2026-02-02_00_00_00_000", Some("2026-02-02T00:00:01Z")),
            ("2026-02-03_00_00_00_000", Some("2026-02-03T00:00:01Z")),
            ("before_release", Some("2026-01-01T00:00:00Z")),
            ("2026-02-04_00_00_00_000 copy", Some("2026-02-04T00:00:01Z")),
            ("2026-01-01_00_00_00_000", None),
        ]);
        // What a person has put there does not get in the way.
        fs::write(temporary.path().join("2026-02-01_00_00_00_000.partial"), "notes").unwrap();
        fs::write(temporary.path().join("x.partial"), "notes").unwrap();
        assert_eq!(folder.prune("another", 1).unwrap(), [""; 0]);
        assert_eq!(folder.prune("blog", 1).unwrap(), ["2026-02-01_00_00_00_000", "2026-02-02_00_00_00_000"]);
        let left = ["2026-01-01_00_00_00_000", "before_release", "2026-02-03_00_00_00_000", "2026-02-04_00_00_00_000 copy"];
        assert_eq!(names(&folder), left);
        for file in ["2026-02-01_00_00_00_000.partial", "x.partial"] {
            assert_eq!(fs::read_to_string(temporary.path().join(file)).unwrap(), "notes");
        }
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 6);
    }

    #[test]
    fn only_incomplete_dumps_of_ours_are_removed_and_only_when_nothing_is_written_any_more() {
        let (temporary, folder) = folder(&[
            ("2026-02-01_00_00_00_000.partial", None),
            ("x.partial", None),
            ("before_release.partial", None),
            ("2026-02-01_00_00_00_000.old.partial", None),
        ]);
        let file = temporary.path().join("2026-02-02_00_00_00_000.partial");
        fs::write(&file, "a file").unwrap();
        let has = |name: &str| exists(&temporary.path().join(name));
        let in_an_hour = SystemTime::now() + Duration::from_secs(60 * 60);
        folder.remove_abandoned(in_an_hour).unwrap();
        assert!(has("2026-02-01_00_00_00_000.partial"));

        // A dump is being written for two days, into a file that it has opened long ago.
        let in_two_days = SystemTime::now() + Duration::from_secs(48 * 60 * 60);
        let database = temporary.path().join("2026-02-01_00_00_00_000.partial/blog");
        fs::create_dir(&database).unwrap();
        let data = fs::File::create(database.join("notes.bson")).unwrap();
        data.set_modified(in_two_days).unwrap();
        folder.remove_abandoned(in_two_days).unwrap();
        assert!(has("2026-02-01_00_00_00_000.partial"));

        data.set_modified(SystemTime::now()).unwrap();
        folder.remove_abandoned(in_two_days).unwrap();
        assert!(!has("2026-02-01_00_00_00_000.partial"));
        for kept in ["x.partial", "before_release.partial", "2026-02-01_00_00_00_000.old.partial"] {
            assert!(has(kept), "{kept}");
        }
        assert!(file.is_file());
    }

    #[test]
    fn dumps_that_begin_at_the_same_time_get_folders_of_their_own() {
        let (_temporary, folder) = folder(&[]);
        let begin = || (0..10).map(|_| folder.begin().unwrap()).collect::<Vec<_>>();
        let all: Vec<PathBuf> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!((all.len(), different.len()), (40, 40));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_system_that_cannot_sync_folders_is_no_obstacle() {
        // The kernel's own file system cannot.
        let error = fs::File::open("/proc").and_then(|folder| folder.sync_all()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        sync(Path::new("/proc")).unwrap();
        assert!(sync(Path::new("/proc/none")).is_err());
    }

    #[test]
    fn our_own_names_are_recognized() {
        let (_temporary, folder) = folder(&[]);
        let partial = folder.begin().unwrap();
        let finished = folder.finish(&partial).unwrap();
        assert!(is_own_name(&finished.name), "{}", finished.name);
        for other in ["", "before_release", "2026-02-03_04_05_06_78", "2026-02-03_04_05_06_7890", "2026-02-03T04_05_06_789"]
        {
            assert!(!is_own_name(other), "{other}");
        }
    }
}
