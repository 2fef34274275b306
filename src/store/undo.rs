//! Undo logs: what the backfills of a migration have replaced. Each migration has a collection of its own.
//!
//! It has a document for each document that was changed, and one for each backfill that says since when it is kept and for how
//! long. The `_id` of the latter is a text, so that they are found among millions of the former.

use std::fmt::Write as _;
use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Collection, IndexModel};
use sha2::{Digest, Sha256};

use super::Store;
use super::backfill_control::count;
use crate::durable;
use crate::error::codes;

/// The longest name that a collection may have, together with that of its database and the dot between them, in bytes.
const LONGEST: usize = 255;

/// The index that removes what is too old.
const INDEX: &str = "expires";

/// The undo log of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UndoLog {
    /// Its collection.
    pub(crate) name: String,
    /// The stem of the migration, if it says so.
    pub(crate) migration: Option<String>,
    pub(crate) documents: u64,
    pub(crate) bytes: u64,
}

/// What a backfill has stored about its part of an undo log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UndoPart {
    pub(crate) label: String,
    pub(crate) started_at: DateTime,
    pub(crate) days: u32,
    pub(crate) is_undone: bool,
}

impl UndoLog {
    /// The stem of the migration, or the name of the collection.
    pub(crate) fn of(&self) -> &str {
        self.migration.as_deref().unwrap_or(&self.name)
    }
}

impl UndoPart {
    /// When the first of its documents may be removed.
    pub(crate) fn expires_at(&self) -> DateTime {
        let kept = Duration::from_secs(u64::from(self.days) * 24 * 3600);
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        DateTime::from_millis(self.started_at.timestamp_millis().saturating_add(kept))
    }
}

/// The `_id` of a document of the log, which says what became of one document of a collection.
pub(crate) fn undo_id(collection: &str, label: &str, id: Bson) -> Document {
    doc! { "collection": collection, "label": label, "id": id }
}

fn prefix(registry: &str) -> String {
    format!("{registry}_undo_")
}

/// The name of the collection. A long one is cut, and made unique by a digest.
fn name_of(database: &str, registry: &str, stem: &str) -> String {
    let name = format!("{}{stem}", prefix(registry));
    let most = LONGEST.saturating_sub(database.len() + 1);
    if name.len() <= most {
        return name;
    }
    let mut digest = String::from("_");
    for byte in &Sha256::digest(stem.as_bytes())[..6] {
        let _ = write!(digest, "{byte:02x}");
    }
    let end = name.floor_char_boundary(most.saturating_sub(digest.len()));
    name[..end].to_owned() + &digest
}

fn part_id(collection: &str, label: &str) -> String {
    format!("{collection}/{label}")
}

impl Store {
    /// The name of the undo log of a migration.
    pub(crate) fn undo_log_name(&self, stem: &str) -> String {
        name_of(self.database().name(), self.registry_name(), stem)
    }

    pub(crate) fn undo_log(&self, stem: &str) -> Collection<Document> {
        self.collection(&self.undo_log_name(stem))
    }

    /// Makes the undo log of a migration ready for a backfill of a collection. If it went on with it before, it goes on with that.
    pub(crate) async fn begin_undo_log(
        &self,
        stem: &str,
        collection: &str,
        label: &str,
        days: u32,
    ) -> mongodb::error::Result<()> {
        let log = self.undo_log(stem);
        let seconds = u64::from(days) * 24 * 3600;
        let options = IndexOptions::builder().name(INDEX.to_owned()).expire_after(Duration::from_secs(seconds)).build();
        let index = IndexModel::builder().keys(doc! { "at": 1 }).options(options).build();
        let created = durable::patiently(async || log.create_index(index.clone()).await).await;
        match created {
            Ok(_) => {}
            // It is there with another time.
            Err(error) if codes::code_of(&error) == Some(codes::INDEX_OPTIONS_CONFLICT) => {
                let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
                let index = doc! { "name": INDEX, "expireAfterSeconds": seconds };
                let change = doc! { "collMod": log.name(), "index": index };
                durable::patiently(async || self.database().run_command(change.clone()).await).await?;
            }
            Err(error) => return Err(error),
        }
        let filter = doc! { "_id": part_id(collection, label) };
        let is_open = doc! { "$and": [{ "$gt": ["$started_at", Bson::Null] }, { "$lte": ["$undone_at", Bson::Null] }] };
        let part = [doc! { "$replaceWith": {
            "_id": "$_id", "migration": { "$literal": stem }, "collection": { "$literal": collection },
            "label": { "$literal": label }, "days": i64::from(days),
            "started_at": { "$cond": [is_open, "$started_at", "$$NOW"] },
        } }];
        durable::patiently(async || log.update_one(filter.clone(), part.to_vec()).upsert(true).await).await?;
        Ok(())
    }

    /// What the backfills of a collection have stored about the undo log of a migration, the last one first.
    pub(crate) async fn undo_parts(&self, stem: &str, collection: &str) -> mongodb::error::Result<Vec<UndoPart>> {
        let log = self.undo_log(stem);
        durable::patiently(async || {
            let find = log.find(doc! { "_id": { "$gte": "" }, "collection": collection });
            let mut cursor = find.sort(doc! { "started_at": -1, "_id": -1 }).await?;
            let mut parts = Vec::new();
            while cursor.advance().await? {
                let part = cursor.deserialize_current()?;
                parts.push(UndoPart {
                    label: part.get_str("label").unwrap_or_default().to_owned(),
                    started_at: part.get_datetime("started_at").copied().unwrap_or(DateTime::MIN),
                    days: part.get_i64("days").ok().and_then(|days| u32::try_from(days).ok()).unwrap_or(0),
                    is_undone: part.contains_key("undone_at"),
                });
            }
            Ok(parts)
        })
        .await
    }

    /// Removes what was put back from the undo log, and marks it as undone. What has a field `conflict` stays.
    pub(crate) async fn end_undo(&self, stem: &str, collection: &str, label: &str) -> mongodb::error::Result<()> {
        let log = self.undo_log(stem);
        let bound = |id| undo_id(collection, label, id);
        let done = doc! {
            "_id": { "$gte": bound(Bson::MinKey), "$lte": bound(Bson::MaxKey) },
            "conflict": { "$exists": false },
        };
        durable::patiently(async || log.delete_many(done.clone()).await).await?;
        let filter = doc! { "_id": part_id(collection, label) };
        let undone = [doc! { "$set": { "undone_at": "$$NOW" } }];
        durable::patiently(async || log.update_one(filter.clone(), undone.to_vec()).await).await?;
        Ok(())
    }

    /// The undo logs of this registry, with their sizes. One that was undone has no documents.
    pub(crate) async fn undo_logs(&self) -> mongodb::error::Result<Vec<UndoLog>> {
        let pattern = format!("^{}", regex::escape(&prefix(self.registry_name())));
        let mut names = self.database().list_collection_names().filter(doc! { "name": { "$regex": pattern } }).await?;
        names.sort();
        let mut logs = Vec::new();
        for name in names {
            let log = self.collection(&name);
            let (mut documents, mut bytes) = (0, 0);
            let mut sizes = log.aggregate([doc! { "$collStats": { "storageStats": {} } }]).await?;
            while sizes.advance().await? {
                let sizes = sizes.deserialize_current()?;
                let Ok(stats) = sizes.get_document("storageStats") else { continue };
                documents += count(stats, "count");
                bytes += count(stats, "size");
            }
            let mut parts = log.find(doc! { "_id": { "$gte": "" } }).await?;
            let mut migration = None;
            while parts.advance().await? {
                documents = documents.saturating_sub(1);
                migration = parts.deserialize_current()?.get_str("migration").ok().map(str::to_owned).or(migration);
            }
            logs.push(UndoLog { name, migration, documents, bytes });
        }
        Ok(logs)
    }

    /// Drops an undo log.
    pub(crate) async fn drop_undo_log(&self, log: &UndoLog) -> mongodb::error::Result<()> {
        let collection = self.collection(&log.name);
        durable::patiently(async || collection.drop().await).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_never_too_long_and_stay_different() {
        assert_eq!(name_of("blog", "migrations", "0002_slugs"), "migrations_undo_0002_slugs");
        let long = |end: &str| name_of(&"d".repeat(60), "migrations", &format!("0001_{}{end}", "é".repeat(150)));
        let (one, other) = (long("a"), long("b"));
        assert!(one.len() <= 194 && one != other, "{one}");
        assert!(one.starts_with("migrations_undo_0001_é"));
    }

    #[test]
    fn it_expires_after_so_many_days() {
        let part = UndoPart { label: String::new(), started_at: DateTime::from_millis(5), days: 30, is_undone: false };
        assert_eq!(part.expires_at().timestamp_millis(), 30 * 24 * 3_600_000 + 5);
    }
}
