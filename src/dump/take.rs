//! Takes a dump: writes everything into a folder that gets its final name when the dump is complete.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _};
use mongodb::bson::{DateTime, Document, Timestamp, doc};
use mongodb::{ClientSession, Database};

use super::copy::{self, Copied, Copier};
use super::folder::{Folder, make_private};
use super::manifest::{Contents, FORMAT, Manifest, Selection};
use super::snapshot::{self, Snapshot};
use super::stored::Dump;
use super::write::Shared;
use super::{selection, size};
use crate::error::codes::{self, code_of};
use crate::error::{Error, Result, describe};
use crate::line::words::shortened;
use crate::report::{Reporter, human_bytes, human_duration};
use crate::store::Store;

/// How many collections are dumped at a time. Most of the time of a small one is spent waiting for the server and the disk.
const AT_A_TIME: usize = 8;

/// How often the removal of an incomplete dump is tried.
const TRIES: u32 = 5;

/// How a dump is taken.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) gzip: bool,
    /// Whether the dump is of one point in time, where the server supports that.
    pub(crate) is_consistent: bool,
    /// The collections to dump. `None` for all.
    pub(crate) selection: Option<Selection>,
}

/// Dumps the database, and reports the start and the end. A failed dump is removed.
pub(crate) async fn take(store: &Store, folder: &Folder, options: Options, reporter: &Reporter) -> Result<Dump> {
    let database = store.database();
    reporter.status("Dumping", format!("{} to {}", database.name(), folder.path().display()));
    let since = Instant::now();
    if !store.has_transactions() && options.is_consistent {
        reporter.warning(
            "a standalone server cannot be read as of one point in time, so writes during the dump may be in it only in part",
        );
    }
    // It is the size of all collections, and the dump may be of some.
    let size = if options.selection.is_none() { data_size(database).await? } else { None };
    let is_consistent = options.is_consistent && store.has_transactions();
    let mut snapshot = plan(database, is_consistent).await?;
    if let Some(wanted) = &options.selection {
        selection::apply(wanted, &mut snapshot.collections, database.name())?;
    }
    let partial = Partial(folder.begin()?);
    if let Some(size) = size {
        check_space(folder.path(), size::available(folder.path()), size, options.gzip)?;
    }
    let manifest = write_all(store, &snapshot, &partial.0, &options, size, reporter).await?;
    manifest.write(&partial.0)?;
    let dump = folder.finish(&partial.0)?;
    let (documents, bytes) = (manifest.documents(), human_bytes(manifest.bytes()));
    let took = human_duration(since.elapsed());
    reporter.status("Dumped", format!("{}: {documents} documents, {bytes}, in {took}", dump.name));
    Ok(dump)
}

/// The folder of an incomplete dump. It is removed on drop, so also when Ctrl-C ends the dump. A complete dump has been renamed by
/// then, so it stays.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        // A thread may still be creating a file in it.
        for _ in 0..TRIES {
            if std::fs::remove_dir_all(&self.0).is_ok() || !self.0.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Returns the approximate size of the data, or `None` if the user may not ask for it: the role `backup` may not.
async fn data_size(database: &Database) -> Result<Option<u64>> {
    let stats = match database.run_command(doc! { "dbStats": 1 }).await {
        Ok(stats) => stats,
        Err(error) if code_of(&error) == Some(codes::UNAUTHORIZED) => return Ok(None),
        Err(error) => return Err(unreadable(error).into()),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
    Ok(stats
        .get_f64("dataSize")
        .map(|size| size as u64)
        .or_else(|_| stats.get_i64("dataSize").map(i64::unsigned_abs))
        .or_else(|_| stats.get_i32("dataSize").map(|size| u64::from(size.unsigned_abs())))
        .ok())
}

fn check_space(folder: &Path, available: Option<u64>, size: u64, is_gzip: bool) -> Result<(), Error> {
    // A compressed dump is smaller, but it is not known by how much.
    let (needed, hint) = if is_gzip {
        (size / 10, "free some space, or set MONGO_DUMP_DIRECTORY to a folder on another disk")
    } else {
        (size, "free some space, set MONGO_DUMP_DIRECTORY to a folder on another disk, or dump with `gzip=yes`")
    };
    match available {
        Some(available) if available < needed => Err(Error::failed(format!(
            "{} has {} of free space, but the database has {} of data",
            folder.display(),
            human_bytes(available),
            human_bytes(size)
        ))
        .with_hint(hint)),
        _ => Ok(()),
    }
}

fn unreadable(error: mongodb::error::Error) -> Error {
    match code_of(&error) {
        Some(codes::SNAPSHOT_TOO_OLD) => Error::failed(
            "the dump took longer than the server keeps a snapshot (minSnapshotHistoryWindowInSeconds, 300 s by default)",
        )
        .with_hint("raise that parameter, or dump with `consistent=no`")
        .caused_by(error),
        _ => describe::unreadable("the database", error),
    }
}

/// Finds out what to dump, and as of when.
async fn plan(database: &Database, is_consistent: bool) -> Result<Snapshot> {
    if !is_consistent {
        return Ok(snapshot::without_time(database).await.map_err(unreadable)?);
    }
    let snapshot = snapshot::choose(database).await.map_err(unreadable)?;
    if snapshot.time.is_none() && snapshot.collections.iter().any(|one| !one.is_capped() && one.data().is_some()) {
        return Err(Error::failed("the server does not report the point in time that it reads as of")
            .with_hint("dump with `consistent=no`")
            .into());
    }
    Ok(snapshot)
}

async fn write_all(
    store: &Store,
    snapshot: &Snapshot,
    partial: &Path,
    options: &Options,
    size: Option<u64>,
    reporter: &Reporter,
) -> Result<Manifest> {
    let database = store.database();
    let folder = partial.join(database.name());
    make_private(&folder).map_err(super::io(&folder, "created"))?;
    let registered = registered(store, snapshot.time).await.map_err(unreadable)?;
    let copier = Copier {
        database,
        time: snapshot.time,
        folder: &folder,
        gzip: options.gzip,
        shared: Arc::new(Shared::new(reporter.transfer(size.unwrap_or(0)), size.is_some())),
    };
    let copies = snapshot.collections.iter().map(|collection| copier.copy(collection));
    let copied: Vec<Copied> =
        futures_util::stream::iter(copies).buffered(AT_A_TIME).try_collect().await.map_err(|error| {
            match error.downcast::<mongodb::error::Error>() {
                Ok(error) => unreadable(*error).into(),
                Err(error) => error,
            }
        })?;
    let (collections, vanished) = told_apart(copied, reporter);
    let build = database.run_command(doc! { "buildInfo": 1 }).await.map_err(unreadable)?;
    Ok(Manifest {
        format: FORMAT,
        database: database.name().to_owned(),
        taken_at: DateTime::now().try_to_rfc3339_string().unwrap_or_default(),
        server_version: build.get_str("version").unwrap_or_default().to_owned(),
        tool_version: crate::store::origin::VERSION.to_owned(),
        is_consistent: options.is_consistent && store.has_transactions(),
        snapshot: snapshot.time.map(|time| (time.time, time.increment)),
        gzip: options.gzip,
        selection: options.selection.clone(),
        vanished,
        registered,
        collections,
    })
}

/// Returns what was dumped and the names of what vanished, and warns about what is not as planned.
fn told_apart(copied: Vec<Copied>, reporter: &Reporter) -> (Vec<Contents>, Vec<String>) {
    let (mut collections, mut later, mut vanished) = (Vec::new(), Vec::new(), Vec::new());
    for copied in copied {
        match copied {
            Copied::Planned(contents) => collections.push(contents),
            Copied::Later(contents) => {
                later.push(contents.name.clone());
                collections.push(contents);
            }
            Copied::Vanished(name) => vanished.push(name),
        }
    }
    if !later.is_empty() {
        reporter.warning_with_hint(
            format!("{} created, replaced or renamed during the dump, so the dump has a later state of that", were(&later)),
            "everything else is of one point in time; take the dump again if all of it is to be",
        );
    }
    if !vanished.is_empty() {
        let them = if vanished.len() == 1 { "it" } else { "them" };
        reporter.warning_with_hint(
            format!(
                "{} dropped during the dump, or replaced again and again, so the dump does not have {them}",
                were(&vanished)
            ),
            "everything else is in the dump; take it again to see whether they are still there",
        );
    }
    (collections, vanished)
}

/// `` `a` was ``, or `` `a`, `b` were ``
fn were(names: &[String]) -> String {
    format!("{} {}", shortened(names), if names.len() == 1 { "was" } else { "were" })
}

/// Returns the names of the migrations that were registered at that point in time, or now if the server cannot say that any more.
async fn registered(store: &Store, time: Option<Timestamp>) -> mongodb::error::Result<Vec<String>> {
    match registered_as_of(store, time).await {
        Err(error) if copy::is_gone(&error) => registered_as_of(store, None).await,
        registered => registered,
    }
}

async fn registered_as_of(store: &Store, time: Option<Timestamp>) -> mongodb::error::Result<Vec<String>> {
    let database = store.database();
    let mut session: ClientSession = match time {
        Some(time) => snapshot::start_session(database, Some(time)).await?,
        None => database.client().start_session().await?,
    };
    let registry = database.collection::<Document>(store.registry_name());
    let mut cursor = registry.find(doc! {}).projection(doc! { "name": 1 }).session(&mut session).await?;
    let mut names = Vec::new();
    while cursor.advance(&mut session).await? {
        names.extend(cursor.current().get_str("name").ok().map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advised_for_a_full_disk_was_not_done_already() {
        let check = |available, gzip| check_space(Path::new("/dumps"), available, 1000, gzip);
        for (available, gzip) in [(None, false), (Some(1000), false), (None, true), (Some(100), true)] {
            assert!(check(available, gzip).is_ok(), "{available:?} {gzip}");
        }
        for (available, gzip) in [(999, false), (99, true)] {
            let error = check(Some(available), gzip).unwrap_err();
            assert!(error.to_string().starts_with("/dumps has "), "{error}");
            let hint = error.hint().unwrap();
            assert!(hint.contains("MONGO_DUMP_DIRECTORY") && hint.contains("gzip=yes") != gzip, "{hint}");
        }
    }
}
