//! Takes a dump: writes everything into a folder that gets its final name when the dump is complete.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use mongodb::bson::{DateTime, Document, Timestamp, doc};
use mongodb::{ClientSession, Database};
use tokio::sync::Semaphore;

use super::catalog::{self, Collection};
use super::folder::{Folder, make_private};
use super::manifest::{Contents, Data, FORMAT, Manifest};
use super::stored::Dump;
use super::write::{self, Written};
use super::{file_names, size};
use crate::error::codes::{self, code_of};
use crate::error::{Error, Result, describe};
use crate::model::extended_json;
use crate::report::{Progress, Reporter, human_bytes, human_duration};
use crate::store::Store;

/// How many collections are dumped at a time.
const AT_A_TIME: usize = 2;

/// How often to look for a point in time at which no collection was being created or dropped.
const TRIES: u32 = 10;

/// How a dump is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) gzip: bool,
    /// Whether the dump is of one point in time, where the server supports that.
    pub(crate) is_consistent: bool,
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
    let size = data_size(database).await?;
    let partial = Partial(folder.begin()?);
    if let Some(size) = size {
        check_space(folder.path(), size::available(folder.path()), size, options)?;
    }
    let manifest = write_all(store, &partial.0, options, size, reporter).await?;
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
        let _ = std::fs::remove_dir_all(&self.0);
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

fn check_space(folder: &Path, available: Option<u64>, size: u64, options: Options) -> Result<(), Error> {
    // A compressed dump is smaller, but it is not known by how much.
    let (needed, hint) = if options.gzip {
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
        Some(codes::NAMESPACE_NOT_FOUND | codes::QUERY_PLAN_KILLED | codes::SNAPSHOT_UNAVAILABLE) => {
            Error::failed("a collection was dropped, renamed or created again during the dump")
                .with_hint("take it again when no collection is being changed")
                .caused_by(error)
        }
        _ => describe::unreadable("the database", error),
    }
}

/// The collections to dump, and the point in time to read them as of.
struct Plan {
    collections: Vec<Collection>,
    /// The server's time. `None` to read each collection as it is at that moment.
    time: Option<Timestamp>,
}

/// Starts a session that reads as of that point in time.
async fn start_session(database: &Database, time: Option<Timestamp>) -> mongodb::error::Result<ClientSession> {
    let client = database.client();
    match time {
        None => client.start_session().await,
        Some(_) => {
            let mut options = mongodb::options::SessionOptions::default();
            options.snapshot = Some(true);
            options.snapshot_time = time;
            client.start_session().with_options(options).await
        }
    }
}

/// Finds a point in time at which the database had the collections that the server lists.
async fn plan(database: &Database, is_consistent: bool) -> Result<Plan> {
    let mut collections = catalog::read(database).await.map_err(unreadable)?;
    if !is_consistent {
        return Ok(Plan { collections, time: None });
    }
    for _ in 0..TRIES {
        let time = match collections.iter().find(|collection| !collection.is_capped() && collection.data().is_some()) {
            Some(any) => Some(server_time(database, any).await?),
            // There are only views and capped collections, which are not read as of a point in time.
            None => None,
        };
        let now = catalog::read(database).await.map_err(unreadable)?;
        if now == collections {
            return Ok(Plan { collections, time });
        }
        collections = now;
    }
    Err(Error::failed("collections or indexes keep being created or dropped, so there is no point in time to dump")
        .with_hint("wait until they are no longer being changed, or dump with `consistent=no`")
        .into())
}

/// Returns a point in time of the server that includes all writes which a majority has acknowledged. The server reports it with
/// any read in a snapshot session, so one document of `any` collection is read.
async fn server_time(database: &Database, any: &Collection) -> Result<Timestamp> {
    let mut options = mongodb::options::SessionOptions::default();
    options.snapshot = Some(true);
    let mut session = database.client().start_session().with_options(options).await.map_err(unreadable)?;
    let any = database.collection::<Document>(&any.data().unwrap_or_else(|| any.name.clone()));
    any.find_one(doc! {}).projection(doc! { "_id": 1 }).session(&mut session).await.map_err(unreadable)?;
    session.snapshot_time().ok_or_else(|| {
        Error::failed("the server does not report the point in time that it reads as of")
            .with_hint("dump with `consistent=no`")
            .into()
    })
}

async fn write_all(
    store: &Store,
    partial: &Path,
    options: Options,
    size: Option<u64>,
    reporter: &Reporter,
) -> Result<Manifest> {
    let database = store.database();
    let is_consistent = options.is_consistent && store.has_transactions();
    let plan = plan(database, is_consistent).await?;
    let folder = partial.join(database.name());
    make_private(&folder).map_err(super::io(&folder, "created"))?;

    let mut reading = start_session(database, plan.time).await.map_err(unreadable)?;
    let registered = registered(store, &mut reading).await.map_err(unreadable)?;
    let shared = Arc::new(Shared {
        progress: reporter.transfer(size.unwrap_or(0)),
        has_size: size.is_some(),
        documents: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        room: Arc::new(Semaphore::new(write::ROOM)),
    });
    let queue = Mutex::new(plan.collections.iter());
    let contents = Mutex::new(Vec::new());
    let dump_from_queue = async || -> Result<()> {
        loop {
            let Some(collection) = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next() else {
                return Ok(());
            };
            let written = dump_collection(database, collection, &plan, &folder, options, &shared).await?;
            contents.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(written);
        }
    };
    futures_util::future::try_join_all((0..AT_A_TIME).map(|_| dump_from_queue())).await?;

    // The lists of collections and indexes are not part of the snapshot, so they must not have changed during the dump.
    if catalog::read(database).await.map_err(unreadable)? != plan.collections {
        return Err(Error::failed(
            "collections or indexes were created, changed or dropped during the dump, so it would not match the database at any \
             point in time",
        )
        .with_hint("take it again when no collection or index is being changed")
        .into());
    }
    let mut collections = contents.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    collections.sort_by(|a, b| a.name.cmp(&b.name));
    let build = database.run_command(doc! { "buildInfo": 1 }).await.map_err(unreadable)?;
    Ok(Manifest {
        format: FORMAT,
        database: database.name().to_owned(),
        taken_at: DateTime::now().try_to_rfc3339_string().unwrap_or_default(),
        server_version: build.get_str("version").unwrap_or_default().to_owned(),
        tool_version: crate::store::origin::VERSION.to_owned(),
        is_consistent,
        snapshot: plan.time.map(|time| (time.time, time.increment)),
        gzip: options.gzip,
        registered,
        collections,
    })
}

/// Dumps the documents and the metadata of one collection.
async fn dump_collection(
    database: &Database,
    collection: &Collection,
    plan: &Plan,
    folder: &Path,
    options: Options,
    shared: &Arc<Shared>,
) -> Result<Contents> {
    let ending = if options.gzip { ".gz" } else { "" };
    let file = |name: &str, what: &str| folder.join(format!("{}.{what}{ending}", file_names::escape(name)));
    // The server refuses to read a capped collection as of a point in time.
    let time = plan.time.filter(|_| !collection.is_capped());
    let data = match collection.data() {
        None => None,
        Some(source) => {
            let path = file(&source, "bson");
            let mut session = start_session(database, time).await.map_err(unreadable)?;
            let on_written: Arc<write::OnWritten<'static>> = {
                let (shared, name) = (Arc::clone(shared), collection.name.clone());
                Arc::new(move |documents, bytes| shared.count(&name, documents, bytes))
            };
            let options = write::WriteOptions { gzip: options.gzip, on_written, room: Arc::clone(&shared.room) };
            let written = write::collection(database, &source, &mut session, &path, options).await;
            let Written { documents, bytes, sha256 } =
                written.map_err(|error| match error.downcast::<mongodb::error::Error>() {
                    Ok(error) => unreadable(*error).into(),
                    Err(error) => error,
                })?;
            Some(Data { documents, bytes, file: super::manifest::File { file: write::relative(&path), sha256 } })
        }
    };
    let metadata = extended_json::canonical(mongodb::bson::Bson::Document(collection.metadata())).to_string();
    let metadata = write::text(&file(&collection.name, "metadata.json"), &metadata, options.gzip)?;
    Ok(Contents {
        name: collection.name.clone(),
        kind: collection.kind.as_str().to_owned(),
        in_snapshot: time.is_some(),
        data,
        metadata,
    })
}

/// Returns the names of the registered migrations, as the session sees the registry.
async fn registered(store: &Store, session: &mut ClientSession) -> mongodb::error::Result<Vec<String>> {
    let registry = store.database().collection::<Document>(store.registry_name());
    let mut cursor = registry.find(doc! {}).projection(doc! { "name": 1 }).session(&mut *session).await?;
    let mut names = Vec::new();
    while cursor.advance(session).await? {
        names.extend(cursor.current().get_str("name").ok().map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// What the concurrent dumps of collections share: the progress, and the room for data that waits to be written.
struct Shared {
    room: Arc<Semaphore>,
    progress: Progress,
    /// Whether the size of the database is known.
    has_size: bool,
    documents: AtomicU64,
    bytes: AtomicU64,
}

impl Shared {
    /// Adds the documents of a written batch to the progress.
    fn count(&self, collection: &str, documents: u64, bytes: u64) {
        let documents = self.documents.fetch_add(documents, Ordering::Relaxed) + documents;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.progress.set_message(format!("{collection}, {documents} documents in total"));
        // Without the size, any position would be shown as 100 %.
        if self.has_size {
            self.progress.set_position(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advised_for_a_full_disk_was_not_done_already() {
        let check =
            |available, gzip| check_space(Path::new("/dumps"), available, 1000, Options { gzip, is_consistent: true });
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
