//! A file where the folder of a dump is expected: an archive, which `mongodump --archive` writes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::error::Error;

/// How an archive begins.
const MAGIC: [u8; 4] = [0x6d, 0xe2, 0x99, 0x81];

/// How a compressed file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The error for a file that is given as a dump.
pub(super) fn refused(path: &Path) -> Error {
    let shown = path.display();
    let mut magic = [0; 4];
    let _ = File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    let archive = |gzip: &str| {
        Error::usage(format!("{shown} is an archive of `mongodump --archive`, but only folders can be restored")).with_hint(
            format!("restore it with `mongorestore --drop {gzip}--archive={shown}`, or dump with `mongodump --out`"),
        )
    };
    if magic == MAGIC {
        archive("")
    } else if magic.starts_with(&GZIP) {
        archive("--gzip ")
    } else {
        Error::usage(format!("{shown} is a file, but a dump is a folder")).with_hint("give the path of the folder")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_recognized() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blog.archive");
        let hint = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = refused(&path);
            assert_eq!(error.exit_code(), 2);
            error.hint().unwrap().replace(&path.display().to_string(), "FILE")
        };
        assert!(hint(&[0x6d, 0xe2, 0x99, 0x81, 1]).starts_with("restore it with `mongorestore --drop --archive=FILE`"));
        assert!(hint(&[0x1f, 0x8b, 8, 0]).starts_with("restore it with `mongorestore --drop --gzip --archive=FILE`"));
        assert_eq!(hint(b""), "give the path of the folder");
        assert_eq!(hint(b"text"), "give the path of the folder");
    }
}
