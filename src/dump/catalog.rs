//! A database's collections: options and indexes, exactly as the server tells them.

use futures_util::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{ErrorKind, Result};

/// What the name of a time-series collection's own data begins with.
pub(super) const BUCKETS: &str = "system.buckets.";

/// A collection of any kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Collection {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) options: Document,
    /// In hexadecimal digits, as mongodump writes it.
    pub(super) uuid: Option<String>,
    /// None of a view.
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

    /// The collection that holds the data, if any does.
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

    /// The server cannot read a capped collection as of a time.
    pub(super) fn is_capped(&self) -> bool {
        self.options.get_bool("capped").unwrap_or(false)
    }

    /// The metadata file's content, as mongodump has it.
    pub(super) fn metadata(&self) -> Document {
        let mut metadata = doc! { "options": self.options.clone(), "indexes": self.indexes.clone() };
        if let Some(uuid) = &self.uuid {
            metadata.insert("uuid", uuid);
        }
        metadata.insert("collectionName", &self.name);
        metadata.insert("type", self.kind.as_str());
        metadata
    }

    /// What a metadata file says. An error names what is missing.
    pub(super) fn from_metadata(metadata: &Document, file_name: &str) -> std::result::Result<Self, &'static str> {
        let documents = |key: &str| -> Vec<Document> {
            metadata.get_array(key).into_iter().flatten().filter_map(Bson::as_document).cloned().collect()
        };
        let options = metadata.get_document("options").cloned().unwrap_or_default();
        let kind = match metadata.get_str("type") {
            Ok(kind) => Kind::read(kind),
            // Older ones have none.
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

/// All collections, by name, but for the server's own.
pub(super) async fn read(database: &Database) -> Result<Vec<Collection>> {
    let list = database.run_cursor_command(doc! { "listCollections": 1 }).await?;
    let infos: Vec<Document> = list.try_collect().await?;
    let mut collections = Vec::new();
    for info in infos {
        let name = info.get_str("name").unwrap_or_default();
        if name.starts_with("system.") && name != "system.js" {
            continue;
        }
        let kind = Kind::read(info.get_str("type").unwrap_or_default());
        let uuid = match info.get_document("info").ok().and_then(|info| info.get("uuid")) {
            Some(Bson::Binary(uuid)) => Some(super::write::hex(&uuid.bytes)),
            _ => None,
        };
        collections.push(Collection {
            name: name.to_owned(),
            kind,
            options: info.get_document("options").cloned().unwrap_or_default(),
            uuid,
            indexes: if kind == Kind::View { Vec::new() } else { indexes(database, name).await? },
        });
    }
    collections.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(collections)
}

async fn indexes(database: &Database, collection: &str) -> Result<Vec<Document>> {
    match database.run_cursor_command(doc! { "listIndexes": collection }).await {
        Ok(cursor) => cursor.try_collect().await,
        // It was dropped since the list was read; the caller reads the list again.
        Err(error) if matches!(&*error.kind, ErrorKind::Command(command) if command.code == 26) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
