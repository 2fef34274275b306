//! The registry: the collection with one document for each registered migration, as migopy keeps it.

use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::{
    Acknowledgment, CollectionOptions, IndexOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Collection, Database, IndexModel};

use crate::file_name;
use crate::migration::Migration;

/// A registered migration, as far as its document tells; migopy's has only `name`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) ignored: bool,
    pub(crate) registered_at: Option<DateTime>,
    pub(crate) duration: Option<Duration>,
}

impl Entry {
    /// Never fails: a document of another tool may hold anything. Without a name it registers nothing.
    fn read(document: &Document) -> Option<Self> {
        let duration = match document.get("duration_ms") {
            Some(Bson::Int64(ms)) => u64::try_from(*ms).ok(),
            Some(Bson::Int32(ms)) => u64::try_from(*ms).ok(),
            _ => None,
        };
        Some(Self {
            name: document.get_str("name").ok()?.to_owned(),
            ignored: document.get_str("state").is_ok_and(|state| state == "ignored"),
            registered_at: document.get_datetime("registered_at").ok().copied(),
            duration: duration.map(Duration::from_millis),
        })
    }

    /// The digits that the name starts with.
    pub(crate) fn number(&self) -> &str {
        let end = self.name.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.name.len());
        let number = &self.name[..end];
        if file_name::is_number(number) { number } else { "0" }
    }
}

/// How a migration came to be registered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Registration {
    Executed(Duration),
    Ignored,
}

/// Why the names are not kept unique by the server.
#[derive(Debug)]
pub(crate) enum NoIndex {
    /// Names stand there twice or more.
    Duplicates,
    Other(mongodb::error::Error),
}

/// The registry of one database.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    collection: Collection<Document>,
}

impl Registry {
    /// Majority, journaled, from the primary: whatever the connection string says.
    pub(crate) fn new(database: &Database, collection: &str) -> Self {
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .write_concern(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build())
            .build();
        Self { collection: database.collection_with_options(collection, options) }
    }

    /// The collection's name.
    pub(crate) fn name(&self) -> &str {
        self.collection.name()
    }

    /// All of it, in one query.
    pub(crate) async fn read(&self) -> mongodb::error::Result<Vec<Entry>> {
        let projection = doc! { "_id": 0, "name": 1, "state": 1, "registered_at": 1, "duration_ms": 1 };
        let mut cursor = self.collection.find(doc! {}).projection(projection).await?;
        let mut entries = Vec::new();
        while cursor.advance().await? {
            entries.extend(Document::try_from(cursor.current()).ok().as_ref().and_then(Entry::read));
        }
        Ok(entries)
    }

    /// Lets the server keep the names unique. Works without: the caller says why.
    pub(crate) async fn keep_names_unique(&self) -> Result<(), NoIndex> {
        let options = IndexOptions::builder().unique(true).build();
        let index = IndexModel::builder().keys(doc! { "name": 1 }).options(options).build();
        match self.collection.create_index(index).await {
            Ok(_) => Ok(()),
            Err(error) => Err(match *error.kind {
                mongodb::error::ErrorKind::Command(ref command) if command.code == 11000 => NoIndex::Duplicates,
                _ => NoIndex::Other(error),
            }),
        }
    }

    /// Registers a migration. This write is what makes it done.
    pub(crate) async fn register(&self, migration: &Migration, how: Registration) -> mongodb::error::Result<()> {
        let (state, duration) = match how {
            Registration::Executed(duration) => ("registered", Some(duration)),
            Registration::Ignored => ("ignored", None),
        };
        let mut document = doc! {
            "name": migration.name(),
            "number": migration.number(),
            "state": state,
            "checksum": migration.checksum(),
            "registered_at": DateTime::now(),
        };
        if let Some(duration) = duration {
            document.insert("duration_ms", i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
        }
        document.extend(crate::origin::document());
        self.collection.insert_one(document).await?;
        Ok(())
    }

    /// Takes a migration out, under whatever names it is registered.
    pub(crate) async fn unregister(&self, names: &[&str]) -> mongodb::error::Result<()> {
        self.collection.delete_many(doc! { "name": { "$in": names } }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_migopys_is_an_entry() {
        let entry = Entry::read(&doc! { "name": "001_test.py" }).unwrap();
        assert_eq!((entry.name.as_str(), entry.number(), entry.ignored), ("001_test.py", "001", false));
        assert!(entry.registered_at.is_none() && entry.duration.is_none());
    }

    #[test]
    fn strange_documents_do_no_harm() {
        assert!(Entry::read(&doc! {}).is_none());
        assert!(Entry::read(&doc! { "name": 7 }).is_none());
        let entry = Entry::read(&doc! { "name": "x", "duration_ms": -1, "registered_at": "yesterday", "state": 1 }).unwrap();
        assert_eq!((entry.number(), entry.duration), ("0", None));
    }
}
