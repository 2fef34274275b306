//! Marks of backfills do not outlive the documents that they are about.

use mongodb::bson::{Document, doc};

use super::{BACKFILLS, Store};
use crate::durable;
use crate::error::codes::{self, code_of};

impl Store {
    /// Removes what is stored about the backfills of those collections: other documents are put in their place, so what was done has to
    /// be done again. A user who may not look has stored nothing.
    pub(crate) async fn forget_backfills_of(&self, is_replaced: impl Fn(&str) -> bool) -> mongodb::error::Result<()> {
        let all = doc! { "collection": { "$exists": true }, "cut": { "$exists": true } };
        let found: Vec<Document> = match self.read_backfills(all).await {
            Err(error) if code_of(&error) == Some(codes::UNAUTHORIZED) => return Ok(()),
            found => found?,
        };
        for backfill in found.iter().filter(|backfill| backfill.get_str("collection").is_ok_and(&is_replaced)) {
            let id = backfill.get_str("_id").unwrap_or_default();
            // The backfill first: without it, ranges mean nothing.
            for key in ["_id", "backfill"] {
                durable::patiently(async || self.backfills().delete_many(doc! { key: id }).await).await?;
            }
        }
        Ok(())
    }

    async fn read_backfills(&self, filter: Document) -> mongodb::error::Result<Vec<Document>> {
        let mut cursor = self.collection(BACKFILLS).find(filter).projection(doc! { "collection": 1 }).await?;
        let mut found = Vec::new();
        while cursor.advance().await? {
            found.push(cursor.deserialize_current()?);
        }
        Ok(found)
    }
}
