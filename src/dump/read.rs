//! Reading a dump's files: documents one after the other, and metadata.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use mongodb::bson::{Bson, Document, RawDocumentBuf};

use super::io;
use crate::error::Error;

/// The largest document that a server stores, and what it allows itself beyond that.
const LARGEST: usize = (16 << 20) + (16 << 10);

const BUFFER: usize = 1 << 20;

/// The documents of a `.bson` or `.bson.gz` file.
pub(super) struct Documents {
    input: Box<dyn Read + Send>,
    shown: String,
    at: u64,
}

impl Documents {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { input: open(path)?, shown: path.display().to_string(), at: 0 })
    }

    pub(super) fn broken(&self, why: &str) -> Error {
        Error::failed(format!("{} is damaged: {why} at byte {}; use another dump", self.shown, self.at))
    }

    /// The next one; its inside is not looked at.
    pub(super) fn next(&mut self) -> Result<Option<RawDocumentBuf>, Error> {
        let mut length = [0; 4];
        let mut read = 0;
        while read < 4 {
            match self.input.read(&mut length[read..]).map_err(|_| self.broken("it cannot be read"))? {
                0 if read == 0 => return Ok(None),
                0 => return Err(self.broken("it is cut off")),
                count => read += count,
            }
        }
        let size = usize::try_from(i32::from_le_bytes(length)).unwrap_or(0);
        if !(5..=LARGEST).contains(&size) {
            return Err(self.broken("no document begins"));
        }
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&length);
        self.input.read_exact(&mut bytes[4..]).map_err(|_| self.broken("it is cut off"))?;
        let document = RawDocumentBuf::from_bytes(bytes).map_err(|_| self.broken("no document begins"))?;
        self.at += size as u64;
        Ok(Some(document))
    }
}

/// A dump's file in which any document can be read: a compressed one is unpacked into a temporary file, as it is read.
pub(super) struct Seekable {
    file: File,
    shown: String,
    unpacked: Option<PathBuf>,
}

impl Documents {
    /// See [`Seekable`].
    pub(super) fn seekable(&self, path: &Path) -> Result<Seekable, Error> {
        if !is_compressed(path) {
            let file = File::open(path).map_err(io(path, "read"))?;
            return Ok(Seekable { file, shown: self.shown.clone(), unpacked: None });
        }
        let mut number = 0;
        loop {
            let unpacked = std::env::temp_dir().join(format!("cargo-migrations-{}-{number}.bson", std::process::id()));
            let mut options = File::options();
            options.read(true).write(true).create_new(true);
            // It holds what the database does.
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            match options.open(&unpacked) {
                Ok(file) => {
                    // Without a name it goes when this process does, however it ends.
                    #[cfg(unix)]
                    let _ = std::fs::remove_file(&unpacked);
                    return Ok(Seekable { file, shown: unpacked.display().to_string(), unpacked: Some(unpacked) });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(io(&unpacked, "written")(error)),
            }
        }
    }
}

impl Seekable {
    /// Notes the next document's bytes.
    pub(super) fn note(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &self.unpacked {
            Some(path) => self.file.write_all(bytes).map_err(io(path, "written")),
            None => Ok(()),
        }
    }

    pub(super) fn read(&mut self, at: u64, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length];
        let read = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(io(Path::new(&self.shown), "read"))?;
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

/// A metadata file's document.
pub(super) fn metadata(path: &Path) -> Result<Document, Error> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text).map_err(io(path, "read"))?;
    let broken =
        || Error::failed(format!("{} is damaged: it is no metadata of mongodump's; use another dump", path.display()));
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|_| broken())?;
    match Bson::try_from(value) {
        Ok(Bson::Document(document)) => Ok(document),
        _ => Err(broken()),
    }
}

/// The checksum of a file as it lies on the disk.
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
