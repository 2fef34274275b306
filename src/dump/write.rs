//! Copies one collection's documents from the server to a file. The server's batches are split into documents but not parsed, and
//! a thread writes each batch while the next one is read.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use mongodb::bson::{Document, RawDocument, doc};
use mongodb::raw_batch_cursor::{RawBatch, SessionRawBatchCursor};
use mongodb::{ClientSession, Database};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, mpsc};

use super::writeback::Writeback;
use super::{io, manifest};
use crate::error::{Error, Result};
use crate::report::Progress;

/// The size of the buffer in front of the file.
const BUFFER: usize = 1 << 20;

/// How much data of all collections together may wait to be written, in KiB. A batch has 16 MiB at most.
const ROOM: usize = 20 << 10;

/// How many collections with more than one batch are read at a time. The batches after the first are large. The others wait without
/// an open cursor, which a server closes after a while.
const LARGE: usize = 2;

/// The collection that is read, and the session that says as of when.
pub(super) struct Source<'a> {
    pub(super) database: &'a Database,
    pub(super) name: &'a str,
    pub(super) session: &'a mut ClientSession,
}

/// The files of one collection.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// `None` for a view.
    pub(super) data: Option<PathBuf>,
    pub(super) metadata: PathBuf,
    pub(super) metadata_text: String,
    pub(super) gzip: bool,
}

impl Target {
    /// Removes the files, as far as they exist.
    pub(super) fn remove(&self) {
        for path in self.data.iter().chain([&self.metadata]) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What was written to the files of one collection.
pub(super) struct Written {
    pub(super) data: Option<manifest::Data>,
    pub(super) metadata: manifest::File,
}

/// What the concurrent dumps of collections share: the progress, and the room for data that waits to be written.
pub(super) struct Shared {
    progress: Progress,
    /// Whether the size of the database is known.
    has_size: bool,
    documents: AtomicU64,
    bytes: AtomicU64,
    /// A permit for each KiB of [`ROOM`].
    room: Arc<Semaphore>,
    large: Semaphore,
}

impl Shared {
    pub(super) fn new(progress: Progress, has_size: bool) -> Self {
        let (documents, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { progress, has_size, documents, bytes, room: Arc::new(Semaphore::new(ROOM)), large: Semaphore::new(LARGE) }
    }

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

/// A batch, and the room that it takes until it is written.
type Waiting = (RawBatch, OwnedSemaphorePermit);

/// Writes all documents of a collection as the session sees them, and its metadata.
pub(super) async fn collection(
    source: Option<Source<'_>>,
    shown: &str,
    target: &Target,
    shared: &Arc<Shared>,
) -> Result<Written> {
    let mut batches = match source {
        Some(source) => Some(Batches::open(source, shared).await?),
        None => None,
    };
    let (sender, receiver) = mpsc::channel::<Waiting>(1);
    let writing = {
        let (target, shared, shown) = (target.clone(), Arc::clone(shared), shown.to_owned());
        tokio::task::spawn_blocking(move || {
            write(receiver, &target, &|documents, bytes| shared.count(&shown, documents, bytes))
        })
    };
    let mut failed = None;
    while let Some(batch) = async { batches.as_mut()?.next().await }.await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        let size = (batch.as_raw_document().as_bytes().len() >> 10).clamp(1, ROOM);
        let size = u32::try_from(size).expect("at most ROOM");
        let room = Arc::clone(&shared.room).acquire_many_owned(size).await.expect(NEVER_CLOSED);
        if sender.send((batch, room)).await.is_err() {
            // The writer has failed. Its error is returned below.
            break;
        }
    }
    drop(sender);
    let written =
        writing.await.map_err(|error| Error::failed("a file of the dump could not be written").caused_by(error))?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(written?),
    }
}

const NEVER_CLOSED: &str = "the semaphore is never closed";

/// The batches of one collection.
struct Batches<'a> {
    session: &'a mut ClientSession,
    first: Option<RawBatch>,
    /// `None` if the first batch is all.
    rest: Option<(SessionRawBatchCursor, SemaphorePermit<'a>)>,
}

impl<'a> Batches<'a> {
    async fn open(source: Source<'a>, shared: &'a Shared) -> mongodb::error::Result<Self> {
        let Source { database, name, session } = source;
        let collection = database.collection::<Document>(name);
        let mut permit = None;
        loop {
            // A view that has the name of the collection meanwhile would return documents of another one, but has no such option.
            let find = collection.find(doc! {}).no_cursor_timeout(true);
            let mut cursor = find.session(&mut *session).batch().await?;
            let first = cursor.stream(session).next().await.transpose()?;
            if first.as_ref().is_none_or(is_last) {
                return Ok(Self { session, first, rest: None });
            }
            if let Some(permit) = permit.or_else(|| shared.large.try_acquire().ok()) {
                return Ok(Self { session, first, rest: Some((cursor, permit)) });
            }
            drop(cursor);
            permit = Some(shared.large.acquire().await.expect(NEVER_CLOSED));
        }
    }

    async fn next(&mut self) -> Option<mongodb::error::Result<RawBatch>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        let (cursor, _permit) = self.rest.as_mut()?;
        cursor.stream(self.session).next().await
    }
}

/// Whether the server has closed the cursor after this batch.
fn is_last(batch: &RawBatch) -> bool {
    let cursor = batch.as_raw_document().get_document("cursor");
    cursor.is_ok_and(|cursor| cursor.get_i64("id").is_ok_and(|id| id == 0))
}

/// Returns the documents of a batch. They are not parsed.
pub(super) fn documents(batch: &RawBatch) -> impl Iterator<Item = Result<&RawDocument, Error>> {
    let unreadable = || Error::failed("the server's reply is not valid");
    let (slices, error) = match batch.doc_slices() {
        Ok(slices) => (Some(slices), None),
        Err(_) => (None, Some(Err(unreadable()))),
    };
    let documents = slices.into_iter().flatten();
    error
        .into_iter()
        .chain(documents.map(move |value| value.ok().and_then(|value| value.as_document()).ok_or_else(unreadable)))
}

fn write(mut batches: mpsc::Receiver<Waiting>, target: &Target, on_written: &dyn Fn(u64, u64)) -> Result<Written, Error> {
    let metadata = text(&target.metadata, &target.metadata_text, target.gzip)?;
    let Some(path) = &target.data else { return Ok(Written { data: None, metadata }) };
    let failed = io(path, "written");
    let mut out = Output::create(path, target.gzip).map_err(&failed)?;
    let (mut total, mut bytes) = (0, 0);
    while let Some((batch, _room)) = batches.blocking_recv() {
        let (mut count, mut size) = (0, 0);
        for document in documents(&batch) {
            let raw = document?.as_bytes();
            out.write_all(raw).map_err(&failed)?;
            count += 1;
            size += raw.len() as u64;
        }
        total += count;
        bytes += size;
        on_written(count, size);
    }
    let sha256 = out.finish().map_err(&failed)?;
    let file = manifest::File { file: relative(path), sha256 };
    Ok(Written { data: Some(manifest::Data { documents: total, bytes, file }), metadata })
}

/// A file with its checksum, compressed or not.
enum Output {
    Plain(BufWriter<HashingFile>),
    Gzip(GzEncoder<BufWriter<HashingFile>>),
}

impl Output {
    fn create(path: &Path, gzip: bool) -> std::io::Result<Self> {
        let file = BufWriter::with_capacity(BUFFER, HashingFile::create(path)?);
        Ok(if gzip { Self::Gzip(GzEncoder::new(file, Compression::fast())) } else { Self::Plain(file) })
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(out) => out.write_all(bytes),
            Self::Gzip(out) => out.write_all(bytes),
        }
    }

    /// Syncs the file to disk and returns its checksum.
    fn finish(self) -> std::io::Result<String> {
        let out = match self {
            Self::Plain(out) => out,
            Self::Gzip(out) => out.finish()?,
        };
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.file.sync_all()?;
        Ok(hex(file.digest.finish().as_ref()))
    }
}

/// A file that computes the checksum of what is written to it.
struct HashingFile {
    file: File,
    digest: ring::digest::Context,
    writeback: Writeback,
}

impl HashingFile {
    fn create(path: &Path) -> std::io::Result<Self> {
        let digest = ring::digest::Context::new(&ring::digest::SHA256);
        Ok(Self { file: File::create_new(path)?, digest, writeback: Writeback::default() })
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.writeback.appended(&self.file, count);
        self.digest.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file with that text.
fn text(path: &Path, text: &str, gzip: bool) -> Result<manifest::File, Error> {
    let failed = io(path, "written");
    let mut out = Output::create(path, gzip).map_err(&failed)?;
    out.write_all(text.as_bytes()).map_err(&failed)?;
    let sha256 = out.finish().map_err(&failed)?;
    Ok(manifest::File { file: relative(path), sha256 })
}

/// Returns a file's path relative to the dump's folder: `DATABASE/NAME`.
fn relative(path: &Path) -> String {
    let parts: PathBuf = path.iter().skip(path.iter().count().saturating_sub(2)).collect();
    parts.display().to_string()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
