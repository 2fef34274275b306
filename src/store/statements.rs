//! The updates of the lock's documents, as statements of the command `update`: a transaction changes both with one.

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Result;

use super::{LEASE_ID, LOCK, Store};

/// The statement that releases the lease of a run.
pub(super) fn release(run: &str) -> Document {
    doc! { "q": owned_by(run), "u": freed() }
}

/// The filter for the lease, if that run has it.
pub(super) fn owned_by(run: &str) -> Document {
    doc! { "_id": LEASE_ID, "owner": run }
}

/// The update that frees the lease.
pub(super) fn freed() -> Vec<Document> {
    vec![doc! { "$set": { "owner": Bson::Null, "expires_at": "$$NOW" } }]
}

impl Store {
    /// Updates documents of the lock with one command in a transaction. Returns how many statements matched.
    pub(super) async fn update_lock(
        &self,
        session: &mut ClientSession,
        statements: impl IntoIterator<Item = Document>,
    ) -> Result<i32> {
        let statements: Vec<Document> = statements.into_iter().collect();
        let command = doc! { "update": LOCK, "updates": statements };
        let reply = self.database().run_command(command).session(session).await?;
        Ok(reply.get_i32("n").unwrap_or_default())
    }
}
