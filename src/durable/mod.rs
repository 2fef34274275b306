//! How a write lasts: with which concerns, repeated how often, in which transactions, and within which of their limits.

pub(crate) mod attempt;
mod limits;
mod retry;

use mongodb::options::{Acknowledgment, ReadConcern, ReadPreference, SelectionCriteria, TransactionOptions, WriteConcern};

pub(crate) use retry::{again, is_duplicate};

/// Majority, and in the journal.
pub(crate) fn write_concern() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// What every transaction of ours runs with, a migration's own included.
///
/// `local`, since collections and indexes can be created with that alone. A transaction sees one snapshot all the same, and one
/// that is committed with majority has read nothing that could be undone: what it read came before it in the same primary's
/// history.
pub(crate) fn transaction_options() -> TransactionOptions {
    TransactionOptions::builder()
        .read_concern(ReadConcern::local())
        .write_concern(write_concern())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build()
}
