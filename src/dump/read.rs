//! Reads a dump's files: documents one after the other, and metadata.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use mongodb::bson::{Bson, Document, RawDocumentBuf};

use super::io;
use super::structure::{self, Check, Flaw, LEVELS};
use crate::error::Error;
use crate::model::extended_json;

/// The largest document that a server stores (16 MiB), with the 16 KiB that it adds internally.
const LARGEST: usize = (16 << 20) + (16 << 10);

/// The largest text of a metadata file or a manifest. The server keeps a collection's options and indexes in one document, which is
/// at most a few times larger as JSON.
const LARGEST_TEXT: u64 = 128 << 20;

const BUFFER: usize = 1 << 20;

/// The documents of a `.bson` or `.bson.gz` file.
pub(super) struct Documents {
    input: Box<dyn Read + Send>,
    /// The path, for messages.
    path: String,
    offset: u64,
    check: Check,
}

impl Documents {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::checking(path, Check::Frames)
    }

    /// Opens a file of whose documents more is checked.
    pub(super) fn checking(path: &Path, check: Check) -> Result<Self, Error> {
        Ok(Self { input: open(path)?, path: path.display().to_string(), offset: 0, check })
    }

    /// The error for a damaged file. The damage is at the present offset.
    fn damaged(&self, why: &str) -> Error {
        Error::failed(format!("{} is damaged: {why} at byte {}", self.path, self.offset)).with_hint("use another dump")
    }

    /// Returns the next document, or `None` at the end of the file. Its structure is right, so that it can be parsed.
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
        structure::check(document.as_bytes(), self.check).map_err(|flaw| match flaw {
            Flaw::TooDeep => self.damaged(&format!("a document has more than {LEVELS} levels")),
            Flaw::Unreadable => self.damaged("a document cannot be read"),
        })?;
        self.offset += size as u64;
        Ok(Some(document))
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

const NOT_METADATA: &str = "it is not a metadata file of mongodump's format";

/// Reads the document in a metadata file.
pub(super) fn metadata(path: &Path) -> Result<Document, Error> {
    let text = text(open(path)?, path)?;
    let damaged = |why: &str| Error::failed(format!("{} is damaged: {why}", path.display())).with_hint("use another dump");
    // The parser has a limit of its own, and reports it as a mistake in the text.
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|_| match levels(&text) {
        128.. => damaged("its values are nested too deeply"),
        _ => damaged(NOT_METADATA),
    })?;
    match extended_json::read(value) {
        Some(Bson::Document(document)) => Ok(document),
        _ => Err(damaged(NOT_METADATA)),
    }
}

/// Returns how deeply objects and arrays are nested in a JSON text.
fn levels(text: &str) -> usize {
    let (mut level, mut most) = (0_usize, 0_usize);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                level += 1;
                most = most.max(level);
            }
            b'}' | b']' => level = level.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => {
                            bytes.next();
                        }
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    most
}

/// Reads a text of a dump. A compressed one may be a thousand times larger than its file.
pub(super) fn text(input: impl Read, path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let read = input.take(LARGEST_TEXT + 1).read_to_string(&mut text).map_err(io(path, "read"))?;
    if read as u64 > LARGEST_TEXT {
        return Err(
            Error::failed(format!("{} is damaged: it is larger than 128 MiB", path.display())).with_hint("use another dump")
        );
    }
    Ok(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> Result<Document, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.metadata.json");
        std::fs::write(&path, text).unwrap();
        metadata(&path)
    }

    #[test]
    fn metadata_that_is_nested_too_deeply_is_refused() {
        assert!(reading(r#"{ "options": {}, "indexes": [] }"#).is_ok());
        for levels in [200, 5_000, 1_000_000] {
            let text = format!(r#"{{ "options": {{ "a": {}1{} }} }}"#, "[".repeat(levels), "]".repeat(levels));
            let error = reading(&text).unwrap_err().to_string();
            assert!(error.ends_with("notes.metadata.json is damaged: its values are nested too deeply"), "{error}");
        }
        let error = reading(r#"{ "options": "#).unwrap_err().to_string();
        assert!(error.ends_with("is damaged: it is not a metadata file of mongodump's format"), "{error}");
    }

    #[test]
    fn brackets_in_strings_are_not_levels() {
        for (text, expected) in [("1", 0), ("[{}, [1]]", 2), (r#"{"[[[": "\"[[{"}"#, 1), (r#"["\\", []]"#, 2)] {
            assert_eq!(levels(text), expected, "{text}");
        }
    }

    #[test]
    fn a_compressed_text_that_unpacks_to_more_than_any_is_refused() {
        let endless = std::io::repeat(b' ');
        let error = text(endless, Path::new("dump/notes.metadata.json.gz")).unwrap_err();
        assert_eq!(error.to_string(), "dump/notes.metadata.json.gz is damaged: it is larger than 128 MiB");
    }
}
