//! What makes a write durable: write concerns, retries, transactions, and the server's limits on them.

pub(crate) mod attempt;
mod limits;
mod retry;

use mongodb::options::{Acknowledgment, ReadConcern, ReadPreference, SelectionCriteria, TransactionOptions, WriteConcern};

pub(crate) use retry::{is_duplicate, patiently, retry, unconfirmed};

/// A majority of the members has the write, and it is in the journal.
pub(crate) fn write_concern() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// The options of every transaction, including those of migrations.
///
/// The read concern is `local` because the server creates collections and indexes in a transaction with no other one. The
/// transaction reads a single snapshot all the same. What it read cannot be rolled back once it is committed with majority: those
/// writes precede its own in the oplog of the same primary.
pub(crate) fn transaction_options() -> TransactionOptions {
    TransactionOptions::builder()
        .read_concern(ReadConcern::local())
        .write_concern(write_concern())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build()
}
