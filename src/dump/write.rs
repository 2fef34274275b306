//! Copies one collection's documents from the server to a file. The server's batches are split into documents but not parsed, and
//! a thread writes each batch while the next one is read.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::StreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::raw_batch_cursor::RawBatch;
use mongodb::{ClientSession, Database};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{io, manifest};
use crate::error::{Error, Result};

/// The size of the buffer in front of the file.
const BUFFER: usize = 1 << 20;

/// What was written to one file.
pub(super) struct Written {
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Called with the number and the size of the documents after each written batch.
pub(super) type OnWritten<'a> = dyn Fn(u64, u64) + Send + Sync + 'a;

/// How much data of all collections together may wait to be written, in KiB. A batch has 16 MiB at most.
pub(super) const ROOM: usize = 20 << 10;

/// How a collection's file is written.
pub(super) struct WriteOptions {
    pub(super) gzip: bool,
    pub(super) on_written: Arc<OnWritten<'static>>,
    /// A permit for each KiB of [`ROOM`], shared by all collections.
    pub(super) room: Arc<Semaphore>,
}

/// Writes all documents of a collection as the session sees it.
pub(super) async fn collection(
    database: &Database,
    name: &str,
    session: &mut ClientSession,
    path: &Path,
    options: WriteOptions,
) -> Result<Written> {
    let collection = database.collection::<Document>(name);
    let mut cursor = collection.find(doc! {}).session(&mut *session).batch().await?;
    let (sender, receiver) = mpsc::channel::<(RawBatch, OwnedSemaphorePermit)>(1);
    let (file, WriteOptions { gzip, on_written, room }) = (path.to_owned(), options);
    let writing = tokio::task::spawn_blocking(move || write(receiver, &file, gzip, &*on_written));
    let mut batches = cursor.stream(session);
    let mut failed = None;
    while let Some(batch) = batches.next().await {
        match batch {
            Ok(batch) => {
                let size = (batch.as_raw_document().as_bytes().len() >> 10).clamp(1, ROOM);
                let size = u32::try_from(size).expect("at most ROOM");
                let room = Arc::clone(&room).acquire_many_owned(size).await.expect("the semaphore is never closed");
                if sender.send((batch, room)).await.is_err() {
                    // The writer has failed. Its error is returned below.
                    break;
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
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

fn write(
    mut batches: mpsc::Receiver<(RawBatch, OwnedSemaphorePermit)>,
    path: &Path,
    gzip: bool,
    on_written: &OnWritten<'_>,
) -> Result<Written, Error> {
    let failed = io(path, "written");
    let mut out = Output::create(path, gzip).map_err(&failed)?;
    let (mut documents, mut bytes) = (0, 0);
    while let Some((batch, _room)) = batches.blocking_recv() {
        let unreadable = || Error::failed("the server's reply is not valid");
        let (mut count, mut size) = (0, 0);
        for document in batch.doc_slices().map_err(|_| unreadable())? {
            let document = document.ok().and_then(|value| value.as_document()).ok_or_else(unreadable)?;
            let raw = document.as_bytes();
            out.write_all(raw).map_err(&failed)?;
            count += 1;
            size += raw.len() as u64;
        }
        documents += count;
        bytes += size;
        on_written(count, size);
    }
    let sha256 = out.finish().map_err(&failed)?;
    Ok(Written { documents, bytes, sha256 })
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
}

impl HashingFile {
    fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::create_new(path)?, digest: ring::digest::Context::new(&ring::digest::SHA256) })
    }
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.digest.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file with that text.
pub(super) fn text(path: &Path, text: &str, gzip: bool) -> Result<manifest::File, Error> {
    let failed = io(path, "written");
    let mut out = Output::create(path, gzip).map_err(&failed)?;
    out.write_all(text.as_bytes()).map_err(&failed)?;
    let sha256 = out.finish().map_err(&failed)?;
    Ok(manifest::File { file: relative(path), sha256 })
}

/// Returns a file's path relative to the dump's folder: `DATABASE/NAME`.
pub(super) fn relative(path: &Path) -> String {
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
