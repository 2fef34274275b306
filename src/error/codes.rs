//! The server's error codes by name.

use mongodb::error::{Error, ErrorKind, WriteFailure};

/// The user lacks a right that the command needs.
pub(crate) const UNAUTHORIZED: i32 = 13;

/// The server refused the user or the password.
pub(crate) const AUTHENTICATION_FAILED: i32 = 18;

/// The collection, or the database, does not exist.
pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;

/// There is no index to drop.
pub(crate) const INDEX_NOT_FOUND: i32 = 27;

/// A collection or view of the name exists.
pub(crate) const NAMESPACE_EXISTS: i32 = 48;

/// The index exists.
pub(crate) const INDEX_ALREADY_EXISTS: i32 = 68;

/// The index exists with other options.
pub(crate) const INDEX_OPTIONS_CONFLICT: i32 = 85;

/// Of a capped collection, what is read next was overwritten.
const CAPPED_POSITION_LOST: i32 = 136;

/// A view does not have an option that a query of a collection has.
const INVALID_PIPELINE_OPERATOR: i32 = 168;

/// Two transactions wrote the same document.
pub(crate) const WRITE_CONFLICT: i32 = 112;

/// The collection of a running query was dropped, renamed or otherwise changed.
pub(crate) const QUERY_PLAN_KILLED: i32 = 175;

/// The read needs a point in time that the server no longer keeps.
pub(crate) const SNAPSHOT_TOO_OLD: i32 = 239;

/// A collection or index is younger than the point in time that is read.
pub(crate) const SNAPSHOT_UNAVAILABLE: i32 = 246;

/// The transaction was aborted by the server, for example because it was open for too long.
pub(crate) const NO_SUCH_TRANSACTION: i32 = 251;

/// The writes of a transaction exceed the size of an oplog entry.
pub(crate) const TRANSACTION_TOO_LARGE: i32 = 257;

/// The command is not allowed in a transaction.
pub(crate) const OPERATION_NOT_SUPPORTED_IN_TRANSACTION: i32 = 263;

/// The writes of a transaction do not fit into the server's cache.
pub(crate) const TRANSACTION_TOO_LARGE_FOR_CACHE: i32 = 388;

/// A document exceeds 16 MiB.
pub(crate) const BSON_OBJECT_TOO_LARGE: i32 = 10334;

/// A unique index already has the key.
pub(crate) const DUPLICATE_KEY: i32 = 11000;

/// The server could not reach another server.
const HOST_UNREACHABLE: i32 = 6;

/// The server could not resolve the name of another server.
const HOST_NOT_FOUND: i32 = 7;

/// Another server did not answer the server in time.
const NETWORK_TIMEOUT: i32 = 89;

/// The server is shutting down.
const SHUTDOWN_IN_PROGRESS: i32 = 91;

/// The primary stepped down during the command.
const PRIMARY_STEPPED_DOWN: i32 = 189;

/// The connection between two servers broke.
const SOCKET_EXCEPTION: i32 = 9001;

/// A write was sent to a server that is not the primary.
const NOT_WRITABLE_PRIMARY: i32 = 10107;

/// The server shut down during the command.
const INTERRUPTED_AT_SHUTDOWN: i32 = 11600;

/// The server became or stopped being the primary during the command.
const INTERRUPTED_DUE_TO_REPL_STATE_CHANGE: i32 = 11602;

/// A read of the primary was sent to a secondary.
const NOT_PRIMARY_NO_SECONDARY_OK: i32 = 13435;

/// The server is neither primary nor secondary, for example because it is recovering.
const NOT_PRIMARY_OR_SECONDARY: i32 = 13436;

/// The server is not the primary, is shutting down, or did not reach another server: the same command may succeed later.
pub(crate) const TEMPORARY: &[i32] = &[
    HOST_UNREACHABLE,
    HOST_NOT_FOUND,
    NETWORK_TIMEOUT,
    SHUTDOWN_IN_PROGRESS,
    PRIMARY_STEPPED_DOWN,
    SOCKET_EXCEPTION,
    NOT_WRITABLE_PRIMARY,
    INTERRUPTED_AT_SHUTDOWN,
    INTERRUPTED_DUE_TO_REPL_STATE_CHANGE,
    NOT_PRIMARY_NO_SECONDARY_OK,
    NOT_PRIMARY_OR_SECONDARY,
];

/// The collection that is read was dropped, renamed, or replaced by another one or by a view.
pub(crate) const GONE: &[i32] =
    &[NAMESPACE_NOT_FOUND, CAPPED_POSITION_LOST, INVALID_PIPELINE_OPERATOR, QUERY_PLAN_KILLED, SNAPSHOT_UNAVAILABLE];

/// A transaction, or one document in it, is larger than the server accepts.
pub(crate) const TOO_LARGE_FOR_TRANSACTION: &[i32] =
    &[TRANSACTION_TOO_LARGE, TRANSACTION_TOO_LARGE_FOR_CACHE, BSON_OBJECT_TOO_LARGE];

/// Returns the code of a command or a write that the server refused; of an insert of several documents, that of the first
/// refused one.
///
/// A write concern error has a code too, but it does not say that the server refused the write, so it is not returned.
pub(crate) fn code_of(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::InsertMany(insert) => insert.write_errors.iter().flatten().next().map(|write| write.code),
        _ => None,
    }
}
