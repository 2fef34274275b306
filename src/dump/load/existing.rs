//! What a restore finds in the database.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::Database;
use mongodb::bson::Document;
use mongodb::error::Result;

use super::server;
use crate::dump::catalog::{self, Collection, Kind};
use crate::dump::temporary;

/// How many collections are counted or dropped at a time.
const AT_A_TIME: usize = 8;

/// Returns the approximate number of documents of each, or `None` if the user may not count them.
pub(super) async fn count(database: &Database, existing: &[&Collection]) -> Vec<Option<u64>> {
    let count = async |existing: &Collection| match existing.kind {
        Kind::View => Some(0),
        _ => database.collection::<Document>(&existing.name).estimated_document_count().await.ok(),
    };
    stream::iter(existing.iter().map(|existing| count(existing))).buffered(AT_A_TIME).collect().await
}

/// Drops the collections and views that restores have left under temporary names: all of them, or those of one restore. Returns
/// their number.
pub(super) async fn drop_temporary(database: &Database, of: Option<i64>) -> Result<usize> {
    let mut all = catalog::list_temporary(database).await?;
    all.retain(|existing| of.is_none() || temporary::restore_of(&existing.name) == of);
    // A view first: it may be defined on one of the others.
    all.sort_by_key(|existing| existing.kind != Kind::View);
    let drops = stream::iter(all.iter().map(|existing| server::drop(database, &existing.name)));
    drops.buffered(AT_A_TIME).try_collect::<Vec<()>>().await?;
    Ok(all.len())
}
