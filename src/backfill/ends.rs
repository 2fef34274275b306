//! What ends a backfill, a range or a batch before its time.

use std::fmt;

use super::totals::Failure;
use crate::error::{Error, ErrorKind};

/// The run was asked to stop.
pub(super) fn stopped(collection: &str) -> Error {
    let message = format!(
        "the backfill of `{collection}` stopped as asked: what is done stays done, and the next run goes on from there"
    );
    Error::new(ErrorKind::Interrupted, message)
}

/// A later run has the backfill.
#[derive(Debug)]
pub(super) struct Lost;

/// Another process has taken the range of this transaction.
#[derive(Debug)]
pub(super) struct Taken;

/// Other processes write to the documents of this transaction again and again.
#[derive(Debug)]
pub(super) struct Guarded;

/// In this transaction the server refused the write of a document.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Failure);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another run goes on with this backfill, so this one stops")
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another process has taken the range")
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("other processes write to the same documents")
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.why)
    }
}

impl std::error::Error for Lost {}
impl std::error::Error for Taken {}
impl std::error::Error for Guarded {}
impl std::error::Error for Refused {}
