//! Errors as text for people. The driver's own texts print its data structures, so each kind has a text of ours here.
//!
//! These texts are printed as causes, which have no hint of their own, so some contain advice.

use std::error::Error as StdError;

use mongodb::error::{Error as DriverError, ErrorKind, WriteFailure};

use super::hidden::Hidden;
use super::{Error, codes, rights};

/// The text of one error of a chain, without its causes.
pub(crate) fn describe(error: &(dyn StdError + 'static)) -> String {
    match as_driver(error) {
        Some(error) => driver(error),
        None => hidden(error.to_string()),
    }
}

/// Replaces the text of a driver's error that another error hides.
fn hidden(text: String) -> String {
    let Some(hidden) = Hidden::find(&text) else { return text };
    let said = match hidden.refusal() {
        Some(refusal) => {
            let unconfirmed = if refusal.is_unconfirmed { "the write was not confirmed: " } else { "" };
            format!("{unconfirmed}{}", server_said(refusal.code, &refusal.name, &refusal.message))
        }
        None => match hidden.kind.strip_prefix("I/O error: ") {
            Some(io) => format!("the connection failed: {io}"),
            None => hidden.kind.to_owned(),
        },
    };
    format!("{}{said}{}", hidden.before, hidden.after)
}

/// The driver's error, if it is one. The driver boxes the sources of its errors.
pub(super) fn as_driver<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e DriverError> {
    error.downcast_ref::<DriverError>().or_else(|| error.downcast_ref::<Box<DriverError>>().map(|boxed| &**boxed))
}

const CHECK_LOGIN: &str = "check the user, its password, and authSource (the database that holds the user)";

/// The text of a driver's error, in one line.
pub(crate) fn driver(error: &DriverError) -> String {
    match &*error.kind {
        ErrorKind::Command(command) => server_said(command.code, &command.code_name, &command.message),
        ErrorKind::Write(WriteFailure::WriteError(write)) => {
            server_said(write.code, write.code_name.as_deref().unwrap_or_default(), &write.message)
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
            format!("the write was not confirmed: {}", server_said(concern.code, &concern.code_name, &concern.message))
        }
        ErrorKind::InsertMany(insert) => {
            let first = insert.write_errors.iter().flatten().next();
            let concern = insert.write_concern_error.as_ref();
            first
                .map(|write| {
                    let said = server_said(write.code, write.code_name.as_deref().unwrap_or_default(), &write.message);
                    format!("document {} of the insert: {said}", write.index)
                })
                .or_else(|| concern.map(|c| server_said(c.code, &c.code_name, &c.message)))
                .unwrap_or_else(|| "the insert failed".into())
        }
        ErrorKind::BulkWrite(bulk) => {
            let first = bulk.write_errors.iter().min_by_key(|(index, _)| **index);
            first.map_or_else(
                || "the bulk write failed".into(),
                |(index, write)| {
                    let said = server_said(write.code, write.code_name.as_deref().unwrap_or_default(), &write.message);
                    format!("operation {index} of the bulk write: {said}")
                },
            )
        }
        ErrorKind::Authentication { .. } => format!("the server refused the login: {CHECK_LOGIN}"),
        ErrorKind::ServerSelection { .. } => {
            "no suitable server was found in time (check that the server is running and that its replica set has a primary)"
                .into()
        }
        ErrorKind::Io(io) => format!("the connection failed: {io}"),
        ErrorKind::ConnectionPoolCleared { .. } => "the connection was lost".into(),
        // A text of ours, or of a migration.
        ErrorKind::Custom(_) => error.get_custom::<String>().cloned().unwrap_or_else(|| error.kind.to_string()),
        ErrorKind::GridFs(_) => "a GridFS operation failed".into(),
        other => other.to_string(),
    }
}

/// An error that says that `what` could not be read, or that the login failed: the first read is where a driver logs in.
pub(crate) fn unreadable(what: &str, error: DriverError) -> Error {
    let message = if is_authentication(&error) {
        "could not log in to the server".to_owned()
    } else {
        format!("{what} could not be read")
    };
    Error::failed(message).caused_by(error)
}

/// Whether the server refused the login.
fn is_authentication(error: &DriverError) -> bool {
    match &*error.kind {
        ErrorKind::Authentication { .. } => true,
        ErrorKind::Command(command) => command.code == codes::AUTHENTICATION_FAILED,
        _ => false,
    }
}

fn server_said(code: i32, name: &str, message: &str) -> String {
    match (code, name) {
        (codes::AUTHENTICATION_FAILED, _) => format!("the server refused the login (AuthenticationFailed): {CHECK_LOGIN}"),
        // The server's text quotes the command, which can fill pages.
        (codes::UNAUTHORIZED, _) => rights::explained(message).unwrap_or_else(|| {
            let head = message.split(" to execute command").next().unwrap_or(message);
            format!("{head} (Unauthorized): grant the user the role that this needs")
        }),
        (_, "") => format!("{message} (code {code})"),
        _ => format!("{message} ({name})"),
    }
}
