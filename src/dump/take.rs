//! Taking a dump: everything into a folder that is named when it is whole.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mongodb::bson::{DateTime, Document, Timestamp, doc};
use mongodb::error::ErrorKind;
use mongodb::{ClientSession, Database};
use tokio::sync::Semaphore;

use super::catalog::{self, Collection};
use super::folder::{Dump, Folder, make_private};
use super::manifest::{Contents, Data, FORMAT, Manifest};
use super::write::{self, Written};
use super::{file_names, size};
use crate::error::{Error, Result};
use crate::report::{Progress, Reporter, human_bytes};
use crate::store::Store;

/// How many collections are read at a time.
const AT_A_TIME: usize = 2;

/// How often a point in time is looked for at which no collection was just being made or dropped.
const TRIES: u32 = 10;

/// How a dump is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) gzip: bool,
    /// Of one point in time, where the server can.
    pub(crate) is_consistent: bool,
}

/// Dumps the database. What is there when it fails is removed.
pub(crate) async fn take(store: &Store, folder: &Folder, options: Options, reporter: &Reporter) -> Result<Dump> {
    let database = store.database();
    if !store.has_transactions() && options.is_consistent {
        reporter.warning(
            "a standalone server cannot be read as of one point in time: what is written during the dump may be in it in part",
        );
    }
    let size = data_size(database).await?;
    let partial = Partial(folder.begin()?);
    check_space(folder.path(), size, options)?;
    let manifest = write_all(store, &partial.0, options, size, reporter).await?;
    manifest.write(&partial.0)?;
    Ok(folder.finish(&partial.0)?)
}

/// A dump that is not whole yet. What is left of it goes when this does, as when Ctrl-C ends it; a whole one has another name.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn data_size(database: &Database) -> Result<u64> {
    let stats = database.run_command(doc! { "dbStats": 1 }).await.map_err(unreadable)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
    Ok(stats
        .get_f64("dataSize")
        .map(|size| size as u64)
        .or_else(|_| stats.get_i64("dataSize").map(i64::unsigned_abs))
        .unwrap_or(0))
}

fn check_space(folder: &Path, size: u64, options: Options) -> Result<(), Error> {
    // Compressed it is smaller; how much nobody knows.
    let needed = if options.gzip { size / 10 } else { size };
    match size::available(folder) {
        Some(available) if available < needed => Err(Error::failed(format!(
            "{} has {} left, and the database holds {}; make room, set another MONGO_DUMP_DIRECTORY, or dump with `gzip=yes`",
            folder.display(),
            human_bytes(available),
            human_bytes(size)
        ))),
        _ => Ok(()),
    }
}

fn unreadable(error: mongodb::error::Error) -> Error {
    let message = match &*error.kind {
        // Snapshot too old, and its cursor's end that comes of it.
        ErrorKind::Command(command) if command.code == 239 => {
            "the dump took longer than the server keeps the past (minSnapshotHistoryWindowInSeconds, 300 s unless changed); \
             raise that parameter, or dump with `consistent=no`"
        }
        ErrorKind::Command(command) if matches!(command.code, 26 | 175 | 246) => {
            "a collection was dropped, renamed or made anew during the dump; take it again when nothing of the kind is under way"
        }
        _ if crate::error::describe::is_authentication(&error) => "could not log in to the server",
        _ => "the database could not be read for the dump",
    };
    Error::failed(message).caused_by(error)
}

/// The collections, and how their point in time is read.
struct Plan {
    collections: Vec<Collection>,
    /// The server's time; `None`: as they are when they are read.
    time: Option<Timestamp>,
}

async fn session(database: &Database, time: Option<Timestamp>) -> mongodb::error::Result<ClientSession> {
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

/// Finds a point in time at which the collections are those that the server lists now.
async fn plan(database: &Database, is_consistent: bool) -> Result<Plan> {
    let mut collections = catalog::read(database).await.map_err(unreadable)?;
    if !is_consistent {
        return Ok(Plan { collections, time: None });
    }
    for _ in 0..TRIES {
        let time = match collections.iter().find(|collection| !collection.is_capped() && collection.data().is_some()) {
            Some(any) => Some(server_time(database, any).await?),
            // Nothing can be read as of a time, and nothing needs to.
            None => None,
        };
        let now = catalog::read(database).await.map_err(unreadable)?;
        if now == collections {
            return Ok(Plan { collections, time });
        }
        collections = now;
    }
    Err(Error::failed(
        "collections or indexes keep being made or dropped, so no point in time can be dumped; wait until that is over, or dump \
         with `consistent=no`",
    )
    .into())
}

/// A time of the server's at which a majority has everything that was acknowledged until now. Any read of a collection that
/// is there tells it.
async fn server_time(database: &Database, any: &Collection) -> Result<Timestamp> {
    let mut options = mongodb::options::SessionOptions::default();
    options.snapshot = Some(true);
    let mut session = database.client().start_session().with_options(options).await.map_err(unreadable)?;
    let any = database.collection::<Document>(&any.data().unwrap_or_else(|| any.name.clone()));
    any.find_one(doc! {}).projection(doc! { "_id": 1 }).session(&mut session).await.map_err(unreadable)?;
    session.snapshot_time().ok_or_else(|| {
        Error::failed("the server does not tell the point in time that it reads as of; dump with `consistent=no`").into()
    })
}

async fn write_all(store: &Store, partial: &Path, options: Options, size: u64, reporter: &Reporter) -> Result<Manifest> {
    let database = store.database();
    let is_consistent = options.is_consistent && store.has_transactions();
    let plan = plan(database, is_consistent).await?;
    let folder = partial.join(database.name());
    make_private(&folder).map_err(super::io(&folder, "made"))?;

    let mut reading = session(database, plan.time).await.map_err(unreadable)?;
    let registered = registered(store, &mut reading).await.map_err(unreadable)?;
    let bar = Arc::new(Bar {
        progress: reporter.transfer(size),
        documents: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        room: Arc::new(Semaphore::new(write::ROOM)),
    });
    let queue = Mutex::new(plan.collections.iter());
    let contents = Mutex::new(Vec::new());
    let lane = async || -> Result<()> {
        loop {
            let Some(collection) = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next() else {
                return Ok(());
            };
            let written = one(database, collection, &plan, &folder, options, &bar).await?;
            contents.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(written);
        }
    };
    futures_util::future::try_join_all((0..AT_A_TIME).map(|_| lane())).await?;

    // What has no point in time by itself, the server's lists, must not have changed meanwhile.
    if catalog::read(database).await.map_err(unreadable)? != plan.collections {
        return Err(Error::failed(
            "collections or indexes were made, changed or dropped during the dump, so it would not be what any moment was; take \
             it again when nothing of the kind is under way",
        )
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

async fn one(
    database: &Database,
    collection: &Collection,
    plan: &Plan,
    folder: &Path,
    options: Options,
    bar: &Arc<Bar>,
) -> Result<Contents> {
    let ending = if options.gzip { ".gz" } else { "" };
    let file = |name: &str, what: &str| folder.join(format!("{}.{what}{ending}", file_names::escape(name)));
    // The server refuses to read a capped one as of a time.
    let apart = plan.time.is_some() && collection.is_capped();
    let data = match collection.data() {
        None => None,
        Some(source) => {
            let path = file(&source, "bson");
            let time = if apart { None } else { plan.time };
            let mut session = session(database, time).await.map_err(unreadable)?;
            let told: Arc<write::Told<'static>> = {
                let (bar, name) = (Arc::clone(bar), collection.name.clone());
                Arc::new(move |documents, bytes| bar.told(&name, documents, bytes))
            };
            let how = write::How { gzip: options.gzip, told, room: Arc::clone(&bar.room) };
            let written = write::collection(database, &source, &mut session, &path, how).await;
            let Written { documents, bytes, sha256 } =
                written.map_err(|error| match error.downcast::<mongodb::error::Error>() {
                    Ok(error) => unreadable(*error).into(),
                    Err(error) => error,
                })?;
            Some(Data { documents, bytes, file: super::manifest::File { file: write::relative(&path), sha256 } })
        }
    };
    let metadata = mongodb::bson::Bson::Document(collection.metadata()).into_canonical_extjson().to_string();
    let metadata = write::text(&file(&collection.name, "metadata.json"), &metadata, options.gzip)?;
    Ok(Contents { name: collection.name.clone(), kind: collection.kind.as_str().to_owned(), apart, data, metadata })
}

/// The names in the registry, as the dump has it.
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

/// What all lanes share: the progress, and the room for what waits to be written.
struct Bar {
    room: Arc<Semaphore>,
    progress: Progress,
    documents: AtomicU64,
    bytes: AtomicU64,
}

impl Bar {
    fn told(&self, collection: &str, documents: u64, bytes: u64) {
        let documents = self.documents.fetch_add(documents, Ordering::Relaxed) + documents;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.progress.set_message(format!("{collection}, {documents} documents in all"));
        self.progress.set_position(bytes);
    }
}
