//! The registry: the collection with one document for each registered migration, as migopy keeps it.

use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, RawDocument, doc};

use crate::migration::Migration;
use crate::model::file_name;

/// A registered migration, as far as its document tells; migopy's has only `name`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// The document's own `_id`.
    pub(crate) id: Option<Bson>,
    pub(crate) name: String,
    pub(crate) ignored: bool,
    pub(crate) checksum: Option<String>,
    pub(crate) registered_at: Option<DateTime>,
    pub(crate) duration: Option<Duration>,
    /// The run that registered it.
    pub(crate) run: Option<String>,
}

impl Entry {
    /// Never fails: a document of another tool may hold anything. Without a name it registers nothing.
    pub(super) fn read(document: &RawDocument) -> Option<Self> {
        let mut entry = Self::default();
        let mut name = None;
        // Once through its fields: there are many documents.
        for (key, value) in document.iter().map_while(Result::ok) {
            let text = || value.as_str().map(str::to_owned);
            match AsRef::<str>::as_ref(key) {
                "_id" => entry.id = Bson::try_from(value).ok(),
                "name" => name = text(),
                "state" => entry.ignored = value.as_str() == Some("ignored"),
                "checksum" => entry.checksum = text(),
                "registered_at" => entry.registered_at = value.as_datetime(),
                "duration_ms" => {
                    let ms = value.as_i64().or_else(|| value.as_i32().map(i64::from));
                    entry.duration = ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
                }
                "run" => entry.run = text(),
                _ => {}
            }
        }
        entry.name = name?;
        Some(entry)
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

/// The document that registers a migration. Its `_id` is given, so that writing it again changes nothing.
pub(crate) fn document(id: Bson, migration: &Migration, how: Registration, run: &str, at: DateTime) -> Document {
    let (state, duration) = match how {
        Registration::Executed(duration) => ("registered", Some(duration)),
        Registration::Ignored => ("ignored", None),
    };
    let mut document = doc! {
        "_id": id,
        "name": migration.name(),
        "number": migration.number(),
        "state": state,
        "checksum": migration.checksum(),
        "registered_at": at,
    };
    if let Some(duration) = duration {
        document.insert("duration_ms", i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
    }
    document.insert("run", run);
    document.extend(crate::store::origin::document());
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::rawdoc;

    #[test]
    fn a_document_of_migopys_is_an_entry() {
        let entry = Entry::read(&rawdoc! { "name": "001_test.py" }).unwrap();
        assert_eq!((entry.name.as_str(), entry.number(), entry.ignored), ("001_test.py", "001", false));
        assert!(entry.registered_at.is_none() && entry.duration.is_none() && entry.run.is_none());
    }

    #[test]
    fn strange_documents_do_no_harm() {
        assert!(Entry::read(&rawdoc! {}).is_none());
        assert!(Entry::read(&rawdoc! { "name": 7 }).is_none());
        let entry =
            Entry::read(&rawdoc! { "name": "x", "duration_ms": -1, "registered_at": "yesterday", "state": 1 }).unwrap();
        assert_eq!((entry.number(), entry.duration), ("0", None));
    }
}
