//! Reads a dump's files: documents one after the other, and metadata.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use mongodb::bson::{Bson, Document, RawDocumentBuf};

use super::io;
use crate::error::Error;

/// The largest document that a server stores (16 MiB), with the 16 KiB that it adds internally.
const LARGEST: usize = (16 << 20) + (16 << 10);

const BUFFER: usize = 1 << 20;

/// The documents of a `.bson` or `.bson.gz` file.
pub(super) struct Documents {
    input: Box<dyn Read + Send>,
    /// The path, for messages.
    path: String,
    offset: u64,
}

impl Documents {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { input: open(path)?, path: path.display().to_string(), offset: 0 })
    }

    /// The error for a damaged file. The damage is at the present offset.
    pub(super) fn damaged(&self, why: &str) -> Error {
        Error::failed(format!("{} is damaged: {why} at byte {}", self.path, self.offset)).with_hint("use another dump")
    }

    /// Returns the next document, without looking at its values, or `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<RawDocumentBuf>, Error> {
        let mut length = [0; 4];
        let mut read = 0;
        while read < 4 {
            match self.input.read(&mut length[read..]).map_err(|_| self.damaged("it cannot be read"))? {
                0 if read == 0 => return Ok(None),
                0 => return Err(self.damaged("it is cut off")),
                count => read += count,
            }
        }
        let size = usize::try_from(i32::from_le_bytes(length)).unwrap_or(0);
        if !(5..=LARGEST).contains(&size) {
            return Err(self.damaged("no document begins"));
        }
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&length);
        self.input.read_exact(&mut bytes[4..]).map_err(|_| self.damaged("it is cut off"))?;
        let document = RawDocumentBuf::from_bytes(bytes).map_err(|_| self.damaged("no document begins"))?;
        self.offset += size as u64;
        Ok(Some(document))
    }
}

/// A file with documents that can be read in any order. A compressed file is unpacked into a temporary file while its documents
/// are read in their own order.
pub(super) struct Seekable {
    file: File,
    /// The path, for messages.
    path: String,
    unpacked: Option<PathBuf>,
}

impl Documents {
    /// Opens the file for reading in any order.
    pub(super) fn seekable(&self, path: &Path) -> Result<Seekable, Error> {
        if !is_compressed(path) {
            let file = File::open(path).map_err(io(path, "read"))?;
            return Ok(Seekable { file, path: self.path.clone(), unpacked: None });
        }
        let mut number = 0;
        loop {
            let unpacked = std::env::temp_dir().join(format!("cargo-migrations-{}-{number}.bson", std::process::id()));
            let mut options = File::options();
            options.read(true).write(true).create_new(true);
            // It contains data of the database, so only its owner may read it.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&unpacked) {
                Ok(file) => {
                    // A file without a name is removed when the process ends, even if it is killed.
                    #[cfg(unix)]
                    let _ = std::fs::remove_file(&unpacked);
                    return Ok(Seekable { file, path: unpacked.display().to_string(), unpacked: Some(unpacked) });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(io(&unpacked, "written")(error)),
            }
        }
    }
}

impl Seekable {
    /// Adds the bytes of the next document to the temporary file, if there is one.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &self.unpacked {
            Some(path) => self.file.write_all(bytes).map_err(io(path, "written")),
            None => Ok(()),
        }
    }

    pub(super) fn read(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length];
        let read = self.file.seek(SeekFrom::Start(offset)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(io(Path::new(&self.path), "read"))?;
        Ok(bytes)
    }
}

impl Drop for Seekable {
    fn drop(&mut self) {
        if let Some(path) = &self.unpacked {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

fn open(path: &Path) -> Result<Box<dyn Read + Send>, Error> {
    let file = BufReader::with_capacity(BUFFER, File::open(path).map_err(io(path, "read"))?);
    Ok(if is_compressed(path) {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}

/// Reads the document in a metadata file.
pub(super) fn metadata(path: &Path) -> Result<Document, Error> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text).map_err(io(path, "read"))?;
    let damaged = || {
        Error::failed(format!("{} is damaged: it is not a metadata file of mongodump's format", path.display()))
            .with_hint("use another dump")
    };
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|_| damaged())?;
    match Bson::try_from(value) {
        Ok(Bson::Document(document)) => Ok(document),
        _ => Err(damaged()),
    }
}

/// Returns the checksum of a file as it is on disk.
pub(super) fn sha256(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(io(path, "read"))?;
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer).map_err(io(path, "read"))? {
            0 => return Ok(super::write::hex(digest.finish().as_ref())),
            count => digest.update(&buffer[..count]),
        }
    }
}
