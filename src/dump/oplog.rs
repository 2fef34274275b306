//! The file with the writes during a dump, which `mongodump --oplog` adds to it.
//!
//! Such a dump has each collection as of another point in time. They fit together only when those writes are repeated, and only
//! `mongorestore --oplogReplay` does that.

use std::path::{Path, PathBuf};

use super::read::Documents;
use crate::error::Error;

/// Its name, next to the folders of the databases.
const FILES: [&str; 2] = ["oplog.bson", "oplog.bson.gz"];

/// An error if the dump in the folder of a database does not have the writes that were made to it during the dump.
pub(super) fn refuse(database: &Path) -> Result<(), Error> {
    let Some(dump) = database.parent() else { return Ok(()) };
    let Some(path) = FILES.iter().map(|file| dump.join(file)).find(|path| path.is_file()) else { return Ok(()) };
    let name = database.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !has_writes(&path, &name) {
        return Ok(());
    }
    let dump = if dump.as_os_str().is_empty() { PathBuf::from(".") } else { dump.to_owned() };
    Err(Error::failed(format!(
        "the dump was taken with `mongodump --oplog`: its collections are of different points in time, and fit together only with \
         the writes in {}, which this program does not repeat",
        path.display()
    ))
    .with_hint(format!(
        "restore it with `mongorestore --drop --oplogReplay {}`, and take a dump with `dbdump`, which is of one point in time \
         without an oplog",
        dump.display()
    )))
}

/// Whether the file has a write to the database, as far as that can be read.
fn has_writes(path: &Path, database: &str) -> bool {
    let Ok(mut entries) = Documents::open(path) else { return true };
    loop {
        match entries.next() {
            Ok(Some(entry)) => {
                let text = |key| entry.get_str(key).unwrap_or_default();
                let of = text("ns").split_once('.').map_or(text("ns"), |(of, _)| of);
                // Transactions are entries of `admin`.
                if text("op") != "n" && (of == database || of == "admin") {
                    return true;
                }
            }
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Document, doc};

    use super::*;

    #[test]
    fn only_writes_to_the_database_count() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("blog");
        assert!(refuse(&database).is_ok(), "there is no such file");
        let file = folder.path().join(FILES[0]);
        let write = |entries: &[Document]| {
            let mut bytes = Vec::new();
            entries.iter().for_each(|entry| entry.to_writer(&mut bytes).unwrap());
            std::fs::write(&file, bytes).unwrap();
        };
        let entry = |op: &str, ns: &str| doc! { "op": op, "ns": ns, "o": {} };
        let of_others =
            [entry("n", ""), entry("u", "config.system.sessions"), entry("i", "blog2.posts"), entry("i", "x.blog.y")];
        write(&[]);
        assert!(refuse(&database).is_ok());
        write(&of_others);
        assert!(refuse(&database).is_ok());
        for write_to_it in [entry("i", "blog.posts"), entry("c", "blog.$cmd"), entry("c", "admin.$cmd")] {
            write(&[&of_others[..], &[write_to_it]].concat());
            let error = refuse(&database).unwrap_err();
            assert!(error.to_string().contains("oplog.bson, which this program does not repeat"), "{error}");
            let command = format!("`mongorestore --drop --oplogReplay {}`", folder.path().display());
            assert!(error.hint().unwrap().contains(&command), "{error:?}");
        }
        std::fs::write(&file, "not documents").unwrap();
        assert!(refuse(&database).is_err());
    }
}
