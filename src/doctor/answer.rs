//! What a server answers, or why it does not.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::Error;

use crate::error::codes::{self, code_of};
use crate::error::describe;
use crate::report::Finding;
use crate::store::Store;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The user lacks a right. The text says which.
    Refused(String),
    Other(String),
}

impl NoAnswer {
    pub(super) fn finding(self, about: &'static str) -> Finding {
        match self {
            // `not authorized on admin: the command … needs … (Unauthorized): grant …`
            Self::Refused(text) => match text.split_once(" (Unauthorized): ") {
                Some((why, remedy)) => Finding::unknown(about, why).with_remedy(remedy),
                None => Finding::unknown(about, text),
            },
            Self::Other(text) => Finding::unknown(about, text),
        }
    }
}

impl From<Error> for NoAnswer {
    fn from(error: Error) -> Self {
        let text = describe::driver(&error);
        if code_of(&error) == Some(codes::UNAUTHORIZED) { Self::Refused(text) } else { Self::Other(text) }
    }
}

/// Waits for an answer, but not for ever.
pub(super) async fn within<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, NoAnswer> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(NoAnswer::Other(format!("the server did not answer within {} s", PATIENCE.as_secs()))),
    }
}

/// Sends a command to the database `admin`.
pub(super) async fn admin(store: &Store, command: Document) -> Result<Document, NoAnswer> {
    let admin = store.database().client().database("admin");
    within(admin.run_command(command).into_future()).await
}

/// `hello`: anybody may ask for it.
pub(super) async fn hello(store: &Store) -> Result<Document, NoAnswer> {
    admin(store, doc! { "hello": 1 }).await
}
