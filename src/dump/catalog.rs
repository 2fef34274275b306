//! The collections of a database, with their options and indexes exactly as the server lists them.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _};
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Result;

use super::temporary;
use crate::error::codes::{self, code_of};

/// The prefix of the collection that holds the data of a time-series collection.
pub(super) const BUCKETS: &str = "system.buckets.";

/// The collection with the functions of a database. It is the only one of the server's own that dumps contain.
pub(super) const FUNCTIONS: &str = "system.js";

/// A collection, a view or a time-series collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Collection {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) options: Document,
    /// In hexadecimal digits, as in mongodump's metadata.
    /// The identity of the collection that holds the data, in hexadecimal digits as in mongodump's metadata. A collection that is
    /// dropped and created again gets another one.
    pub(super) uuid: Option<String>,
    /// Empty for a view.
    pub(super) indexes: Vec<Document>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Collection,
    View,
    TimeSeries,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::View => "view",
            Self::TimeSeries => "timeseries",
        }
    }

    pub(super) fn read(text: &str) -> Self {
        match text {
            "view" => Self::View,
            "timeseries" => Self::TimeSeries,
            _ => Self::Collection,
        }
    }

    /// Returns the name of the collection that holds the data, or `None` for a view.
    pub(super) fn data(self, name: &str) -> Option<String> {
        match self {
            Self::Collection => Some(name.to_owned()),
            Self::View => None,
            Self::TimeSeries => Some(format!("{BUCKETS}{name}")),
        }
    }
}

impl Collection {
    pub(super) fn data(&self) -> Option<String> {
        self.kind.data(&self.name)
    }

    /// Whether it is capped. The server cannot read a capped collection as of a point in time.
    pub(super) fn is_capped(&self) -> bool {
        self.options.get_bool("capped").unwrap_or(false)
    }

    /// Returns the content of the metadata file, in mongodump's format.
    pub(super) fn metadata(&self) -> Document {
        let mut metadata = doc! { "options": self.options.clone(), "indexes": self.indexes.clone() };
        if let Some(uuid) = self.uuid.as_ref().filter(|_| self.kind == Kind::Collection) {
            metadata.insert("uuid", uuid);
        }
        metadata.insert("collectionName", &self.name);
        metadata.insert("type", self.kind.as_str());
        metadata
    }

    /// Reads a metadata file's content. The error says what is missing.
    pub(super) fn from_metadata(metadata: &Document, file_name: &str) -> std::result::Result<Self, &'static str> {
        let documents = |key: &str| -> Vec<Document> {
            metadata.get_array(key).into_iter().flatten().filter_map(Bson::as_document).cloned().collect()
        };
        let options = metadata.get_document("options").cloned().unwrap_or_default();
        let kind = match metadata.get_str("type") {
            Ok(kind) => Kind::read(kind),
            // Older versions of mongodump write no type.
            Err(_) if options.contains_key("viewOn") => Kind::View,
            Err(_) if options.contains_key("timeseries") => Kind::TimeSeries,
            Err(_) => Kind::Collection,
        };
        if !metadata.contains_key("indexes") {
            return Err("it has no `indexes`");
        }
        Ok(Self {
            name: metadata.get_str("collectionName").unwrap_or(file_name).to_owned(),
            kind,
            options,
            uuid: metadata.get_str("uuid").ok().map(str::to_owned),
            indexes: documents("indexes"),
        })
    }
}

/// How many lists of indexes are read at a time.
const AT_A_TIME: usize = 8;

/// Lists all collections by name, except those that are not the user's.
pub(super) async fn read(database: &Database) -> Result<Vec<Collection>> {
    let listed = list(database, doc! {}).await?;
    let with_indexes = async |mut collection: Collection| {
        if collection.kind != Kind::View {
            collection.indexes = indexes(database, &collection.name).await?;
        }
        Ok(collection)
    };
    futures_util::stream::iter(listed.into_iter().map(with_indexes)).buffered(AT_A_TIME).try_collect().await
}

/// Returns the collection of that name as it is now, if there is one.
pub(super) async fn present(database: &Database, name: &str) -> Result<Option<Collection>> {
    let Some(mut collection) = present_without_indexes(database, name).await? else { return Ok(None) };
    if collection.kind != Kind::View {
        collection.indexes = indexes(database, name).await?;
    }
    Ok(Some(collection))
}

/// Returns the collection of that name as it is now, if there is one, but none of its indexes.
pub(super) async fn present_without_indexes(database: &Database, name: &str) -> Result<Option<Collection>> {
    let names = vec![name.to_owned(), format!("{BUCKETS}{name}")];
    Ok(list(database, doc! { "name": { "$in": names } }).await?.into_iter().next())
}

/// Whether a collection is not one of the user's: the server's own, a temporary one that `$out` or `mapReduce` fills before it
/// replaces its target, or one that a restore is loading.
pub(super) fn is_not_the_users(name: &str, options: &Document) -> bool {
    name.starts_with("system.") && name != FUNCTIONS
        || options.get_bool("temp").unwrap_or(false)
        || temporary::is_temporary(name)
}

/// Lists collections by name, except those that are not the user's. Their indexes are not read.
pub(super) async fn list(database: &Database, filter: Document) -> Result<Vec<Collection>> {
    let mut collections = list_all(database, filter).await?;
    collections.retain(|collection| !is_not_the_users(&collection.name, &collection.options));
    Ok(collections)
}

/// Lists the collections and views that restores have under temporary names.
pub(super) async fn list_temporary(database: &Database) -> Result<Vec<Collection>> {
    let mut collections = list_all(database, doc! {}).await?;
    collections.retain(|collection| temporary::is_temporary(&collection.name));
    Ok(collections)
}

async fn list_all(database: &Database, filter: Document) -> Result<Vec<Collection>> {
    let list = database.run_cursor_command(doc! { "listCollections": 1, "filter": filter }).await?;
    let infos: Vec<Document> = list.try_collect().await?;
    let uuid = |info: &Document| hex_uuid(info.get_document("info").ok()?.get("uuid"));
    let name = |info: &Document| info.get_str("name").unwrap_or_default().to_owned();
    let uuids: HashMap<String, String> = infos.iter().filter_map(|info| Some((name(info), uuid(info)?))).collect();
    let read = |info: &Document| {
        let (name, kind) = (name(info), Kind::read(info.get_str("type").unwrap_or_default()));
        let options = info.get_document("options").cloned().unwrap_or_default();
        let uuid = kind.data(&name).and_then(|data| uuids.get(&data).cloned());
        Collection { name, kind, options, uuid, indexes: Vec::new() }
    };
    let mut collections: Vec<Collection> = infos.iter().map(read).collect();
    collections.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(collections)
}

/// Returns a UUID as the server stores it in hexadecimal digits.
pub(super) fn hex_uuid(uuid: Option<&Bson>) -> Option<String> {
    match uuid {
        Some(Bson::Binary(uuid)) => Some(super::write::hex(&uuid.bytes)),
        _ => None,
    }
}

/// Lists the indexes of a collection, or none if it was dropped meanwhile.
pub(super) async fn indexes(database: &Database, collection: &str) -> Result<Vec<Document>> {
    match database.run_cursor_command(doc! { "listIndexes": collection }).await {
        Ok(cursor) => cursor.try_collect().await,
        Err(error) if code_of(&error) == Some(codes::NAMESPACE_NOT_FOUND) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
