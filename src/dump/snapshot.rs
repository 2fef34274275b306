//! The point in time of a dump, and the collections that the database had then.
//!
//! Documents are read as of that time, whatever is written later. For the list of collections, with their options and indexes,
//! there are two ways:
//!
//! - `$listCatalog` (MongoDB 6.0 and newer) lists them as of a point in time. It needs the right to list the collections of all
//!   databases, which the role `backup` has.
//! - Otherwise the list is read before and after the point in time is chosen. If both are equal, it was so at that time. If they
//!   still differ after several attempts, the dump contains what either of them has.
//!
//! What happens after the point in time (`T`) to a collection that was there at `T`:
//!
//! | it is | then |
//! | --- | --- |
//! | written to, gets or loses an index, or other options | it is read as of `T`, with the indexes and options that it had at `T` |
//! | created | it is not in the dump |
//! | dropped, renamed, or replaced by `$out` before it was read | MongoDB 7.0 and newer reads it as of `T`. Older servers cannot: a read gets no documents, or an error. What has its name now is then dumped as it is, and marked; if nothing has, it is left out. Both are a warning |
//! | dropped, renamed, or replaced while it is read | the server ends the read, so as above |
//!
//! A read that gets no documents does not say whether the collection was empty or gone, so the list is then consulted again.
//! Temporary collections, which `$out` fills before it renames them, are not dumped.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, Timestamp, doc};
use mongodb::error::Result;
use mongodb::{ClientSession, Database};

use super::catalog::{self, BUCKETS, Collection, Kind};
use crate::error::codes::code_of;

/// How often a point in time is looked for at which the list of collections does not change.
const TRIES: u32 = 5;

/// What to dump.
pub(super) struct Snapshot {
    pub(super) collections: Vec<Collection>,
    /// The point in time to read as of. `None` to read each collection as it is at that moment.
    pub(super) time: Option<Timestamp>,
}

/// The collections as they are now.
pub(super) async fn without_time(database: &Database) -> Result<Snapshot> {
    Ok(Snapshot { collections: catalog::read(database).await?, time: None })
}

/// Chooses a point in time that includes all writes which a majority has acknowledged.
pub(super) async fn choose(database: &Database) -> Result<Snapshot> {
    let mut session = start_session(database, None).await?;
    let recorded = recorded(database, &mut session).await?;
    match (recorded, session.snapshot_time()) {
        (Some(collections), Some(time)) => Ok(Snapshot { collections, time: Some(time) }),
        _ => bracketed(database).await,
    }
}

/// Starts a session that reads as of that point in time, or as of one that the server chooses with the first read.
pub(super) async fn start_session(database: &Database, time: Option<Timestamp>) -> Result<ClientSession> {
    let mut options = mongodb::options::SessionOptions::default();
    options.snapshot = Some(true);
    options.snapshot_time = time;
    database.client().start_session().with_options(options).await
}

/// Lists the collections as the session sees them, or returns `None` if the server or the user's rights do not allow it.
async fn recorded(database: &Database, session: &mut ClientSession) -> Result<Option<Vec<Collection>>> {
    let stages = [doc! { "$listCatalog": {} }, doc! { "$match": { "db": database.name() } }];
    let mut cursor = match database.client().database("admin").aggregate(stages).session(&mut *session).await {
        Ok(cursor) => cursor,
        Err(error) if code_of(&error).is_some() => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut entries: BTreeMap<String, Document> = BTreeMap::new();
    while cursor.advance(session).await? {
        let entry = cursor.deserialize_current()?;
        entries.insert(entry.get_str("name").unwrap_or_default().to_owned(), entry);
    }
    let mut collections = Vec::new();
    for (name, entry) in &entries {
        let Some(mut collection) = recorded_collection(name, entry, &entries) else { continue };
        if collection.kind == Kind::TimeSeries {
            // The record has the indexes on its buckets, in another form.
            collection.indexes = catalog::indexes(database, name).await?;
        }
        collections.push(collection);
    }
    Ok(Some(collections))
}

/// Turns an entry of `$listCatalog` into what `listCollections` and `listIndexes` say.
fn recorded_collection(name: &str, entry: &Document, all: &BTreeMap<String, Document>) -> Option<Collection> {
    let kind = Kind::read(entry.get_str("type").unwrap_or_default());
    let stored = |entry: &Document| entry.get_document("md").cloned().unwrap_or_default();
    let stored_options = |md: &Document| md.get_document("options").cloned().unwrap_or_default();
    let without = |mut options: Document, names: &[&str]| {
        for name in names {
            options.remove(name);
        }
        options
    };
    let (uuid, options, indexes) = match kind {
        Kind::View => {
            let fields = entry.iter().filter(|(name, _)| ["viewOn", "pipeline", "collation"].contains(&name.as_str()));
            (None, fields.map(|(name, value)| (name.clone(), value.clone())).collect(), Vec::new())
        }
        Kind::TimeSeries => {
            let options = stored_options(&stored(all.get(&format!("{BUCKETS}{name}"))?));
            let uuid = catalog::hex_uuid(options.get("uuid"));
            (uuid, without(options, &["uuid", "validator", "clusteredIndex"]), Vec::new())
        }
        Kind::Collection => {
            let md = stored(entry);
            let options = stored_options(&md);
            let uuid = catalog::hex_uuid(options.get("uuid"));
            (uuid, without(options, &["uuid"]), recorded_indexes(&md))
        }
    };
    (!catalog::is_not_the_users(name, &options)).then(|| Collection { name: name.to_owned(), kind, options, uuid, indexes })
}

/// Returns the indexes that were complete.
fn recorded_indexes(md: &Document) -> Vec<Document> {
    let stored = md.get_array("indexes").into_iter().flatten().filter_map(Bson::as_document);
    let complete = stored.filter(|index| index.get_bool("ready").unwrap_or(true));
    let specs = complete.filter_map(|index| index.get_document("spec").ok().cloned());
    // The index of a clustered collection is stored as one of its options, and listed first.
    let clustered = md.get_document("options").and_then(|options| options.get_document("clusteredIndex")).ok();
    let clustered = clustered.map(|index| {
        let mut index = index.clone();
        index.insert("clustered", true);
        index
    });
    clustered.into_iter().chain(specs).collect()
}

/// Looks for a point in time with the same collections before and after it.
async fn bracketed(database: &Database) -> Result<Snapshot> {
    let mut before = catalog::read(database).await?;
    let mut latest = None;
    for _ in 0..TRIES {
        let any = before.iter().find(|collection| !collection.is_capped() && collection.data().is_some());
        let time = match any {
            Some(any) => server_time(database, any).await?,
            // There are only views and capped collections, which are not read as of a point in time.
            None => None,
        };
        let after = catalog::read(database).await?;
        if after == before && (time.is_some() || any.is_none()) {
            return Ok(Snapshot { collections: after, time });
        }
        if time.is_some() {
            latest = Some(Snapshot { collections: either(std::mem::take(&mut before), &after), time });
        }
        before = after;
    }
    Ok(latest.unwrap_or(Snapshot { collections: before, time: None }))
}

/// Returns the collections that are in one of the lists. Where both have one, the later list counts.
fn either(before: Vec<Collection>, after: &[Collection]) -> Vec<Collection> {
    let all = before.into_iter().chain(after.iter().cloned()).map(|collection| (collection.name.clone(), collection));
    all.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// Returns a point in time of the server. The server reports it with any read of a collection in a snapshot session, so one
/// document of `any` is read; `None` if it was dropped meanwhile.
async fn server_time(database: &Database, any: &Collection) -> Result<Option<Timestamp>> {
    let mut session = start_session(database, None).await?;
    let any = database.collection::<Document>(&any.data().unwrap_or_else(|| any.name.clone()));
    let read = any.find_one(doc! {}).projection(doc! { "_id": 1 }).session(&mut session).await;
    match read {
        Ok(_) => Ok(session.snapshot_time()),
        // The collection is younger than what a majority has acknowledged.
        Err(error) if code_of(&error) == Some(crate::error::codes::SNAPSHOT_UNAVAILABLE) => Ok(None),
        Err(error) => Err(error),
    }
}
