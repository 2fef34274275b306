//! Dumps in mongodump's folder format: takes, verifies and restores them, and proves that they can be restored.

mod archive;
mod catalog;
mod checksum;
mod copy;
mod fields;
mod file_names;
mod folder;
mod load;
mod manifest;
mod oplog;
mod prove;
mod read;
mod selection;
mod size;
mod snapshot;
mod stored;
mod structure;
mod take;
mod temporary;
mod verify;
mod write;
mod writeback;

pub(crate) use folder::Folder;
pub(crate) use load::{Choice, Keep, Mode, Replaced, Restore, Wanted, drop_leftovers, leftovers, load_log};
pub(crate) use manifest::Selection;
pub(crate) use prove::prove;
pub(crate) use stored::Dump;
pub(crate) use take::{Options, take};
pub(crate) use verify::{Verified, verify};

use crate::error::Error;

/// Returns a function that turns an I/O error into `PATH cannot be VERB`, as in `io(path, "read")`.
fn io(path: &std::path::Path, verb: &str) -> impl Fn(std::io::Error) -> Error {
    let message = format!("{} cannot be {verb}", path.display());
    move |error| match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            Error::failed(format!("{message}: the disk is full"))
                .with_hint("free some space, or set MONGO_DUMP_DIRECTORY to a folder on another disk")
        }
        _ => Error::failed(message.clone()).caused_by(error),
    }
}
