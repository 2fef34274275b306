//! Dumps in mongodump's own folder format: taken, checked, restored, and proven to restore.

mod catalog;
mod file_names;
mod folder;
mod load;
mod manifest;
mod prove;
mod read;
mod size;
mod take;
mod verify;
mod write;

pub(crate) use folder::{Dump, Folder};
pub(crate) use load::{Keep, load, load_log, replaced};
pub(crate) use prove::prove;
pub(crate) use take::{Options, take};
pub(crate) use verify::{Verified, verify};

use crate::error::Error;

/// An I/O error on a path, in a person's words.
fn io(path: &std::path::Path, what: &str) -> impl Fn(std::io::Error) -> Error {
    let message = format!("{} cannot be {what}", path.display());
    move |error| match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::failed(format!("{message}: the disk is full; make room, or set another MONGO_DUMP_DIRECTORY"))
        }
        _ => Error::failed(message.clone()).caused_by(error),
    }
}
