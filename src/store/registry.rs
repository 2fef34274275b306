//! The registry: the collection with one document for each registered migration, as migopy keeps it.

use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, RawDocument, doc};

use super::foreign::{Foreign, MARKS};
use crate::model::{Subject, file_name};

/// A registered migration, as far as its document says; migopy's documents have only `name`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// The document's own `_id`.
    pub(crate) id: Option<Bson>,
    pub(crate) name: String,
    pub(crate) ignored: bool,
    pub(crate) checksum: Option<String>,
    pub(crate) registered_at: Option<DateTime>,
    pub(crate) duration: Option<Duration>,
    /// The run that registered it, or the one that accepted its new name or code.
    pub(crate) run: Option<String>,
    /// The package whose migration it is.
    pub(crate) package: Option<String>,
}

/// The fields that [`Entry::read`] reads.
const FIELDS: [&str; 9] =
    ["_id", "name", "state", "checksum", "registered_at", "duration_ms", "run", "package", "tool_version"];

/// The states that an entry may have. migopy writes none.
const STATES: [&str; 2] = ["registered", "ignored"];

/// What the query for all entries asks for, and no more: what an entry has, and what shows that a document is not ours.
pub(super) fn fields() -> impl Iterator<Item = &'static str> {
    FIELDS.into_iter().chain(MARKS)
}

impl Entry {
    /// Reads a document. It may be another tool's and hold anything, which registers nothing here.
    pub(super) fn read(document: &RawDocument) -> Result<Self, Foreign> {
        let mut entry = Self::default();
        let (mut name, mut has_our_state, mut is_marked, mut has_our_version) = (None, true, false, false);
        // One pass over its fields, since there may be many documents.
        for (key, value) in document.iter().map_while(Result::ok) {
            let text = || value.as_str().map(str::to_owned);
            match AsRef::<str>::as_ref(key) {
                "_id" => entry.id = Bson::try_from(value).ok(),
                "name" => name = text(),
                "state" => {
                    entry.ignored = value.as_str() == Some("ignored");
                    has_our_state = value.as_str().is_some_and(|state| STATES.contains(&state));
                }
                "checksum" => entry.checksum = text(),
                "registered_at" => entry.registered_at = value.as_datetime(),
                "duration_ms" => {
                    let ms = value.as_i64().or_else(|| value.as_i32().map(i64::from));
                    entry.duration = ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
                }
                "run" => entry.run = text(),
                "package" => entry.package = text(),
                "tool_version" => has_our_version = true,
                other => is_marked |= MARKS.contains(&other),
            }
        }
        match name {
            Some(name) if has_our_version || has_our_state && !is_marked => Ok(Self { name, ..entry }),
            _ => Err(Foreign::of(document)),
        }
    }

    /// The digits that the name starts with.
    pub(crate) fn number(&self) -> &str {
        file_name::leading_number(&self.name)
    }

    /// A filter that matches the document as long as no other run has written it.
    pub(crate) fn as_read(&self) -> Option<Document> {
        Some(doc! { "_id": self.id.clone()?, "run": self.run.clone() })
    }
}

/// How a migration came to be registered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Registration<'a> {
    Executed(Duration),
    Ignored,
    Adopted(&'a Adopted),
}

/// Where another tool's records say that a migration is done, and what they say of it.
#[derive(Clone, Debug)]
pub(crate) struct Adopted {
    pub(crate) tool: &'static str,
    pub(crate) collection: String,
    /// What the tool calls it.
    pub(crate) name: String,
    pub(crate) at: Option<DateTime>,
    pub(crate) who: Option<String>,
    pub(crate) place: Option<String>,
    pub(crate) took: Option<Duration>,
}

/// The document that registers a migration. The caller chooses its `_id`, so that writing it again changes nothing.
pub(crate) fn document(id: Bson, migration: Subject<'_>, how: Registration<'_>, run: &str, at: DateTime) -> Document {
    let (state, duration) = match how {
        Registration::Executed(duration) => ("registered", Some(duration)),
        Registration::Ignored => ("ignored", None),
        Registration::Adopted(adopted) => ("registered", adopted.took),
    };
    let mut document = facts(id, migration);
    document.insert("state", state);
    document.insert("registered_at", at);
    if let Some(duration) = duration {
        document.insert("duration_ms", i64::try_from(duration.as_millis()).unwrap_or(i64::MAX));
    }
    document.insert("run", run);
    document.extend(super::origin::document());
    if let Registration::Adopted(adopted) = how {
        adopt(&mut document, adopted, at);
    }
    document
}

/// When, where and by whom it was run is what the other tool's record says. What that does not say is not known.
fn adopt(document: &mut Document, adopted: &Adopted, at: DateTime) {
    document.insert("registered_at", adopted.at.unwrap_or(at));
    for (key, value) in [("who", &adopted.who), ("where", &adopted.place)] {
        match value {
            Some(value) => drop(document.insert(key, value)),
            None => drop(document.remove(key)),
        }
    }
    let Adopted { tool, collection, name, .. } = adopted;
    document.insert("adopted_from", doc! { "tool": *tool, "collection": collection, "name": name });
    document.insert("adopted_at", at);
}

/// What changes in the document of a registered migration when a new name or new code of its file is accepted. The rest says how it
/// was run, and stays.
pub(crate) fn acceptance(id: Bson, migration: Subject<'_>, run: &str, at: DateTime) -> Document {
    let mut document = facts(id, migration);
    document.insert("accepted_at", at);
    document.insert("run", run);
    document
}

/// The part of a document that is about the file.
fn facts(id: Bson, migration: Subject<'_>) -> Document {
    let mut document = doc! {
        "_id": id,
        "name": migration.name,
        "number": migration.number,
        "checksum": migration.checksum,
    };
    if let Some(package) = migration.package {
        document.insert("package", package);
    }
    document.extend(super::origin::sources());
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{RawDocumentBuf, rawdoc};

    #[test]
    fn a_document_of_migopys_is_an_entry() {
        let entry = Entry::read(&rawdoc! { "name": "001_test.py" }).unwrap();
        assert_eq!((entry.name.as_str(), entry.number(), entry.ignored), ("001_test.py", "001", false));
        assert!(entry.registered_at.is_none() && entry.duration.is_none() && entry.run.is_none());
    }

    #[test]
    fn the_query_asks_for_every_field_that_is_read() {
        let migration = Subject { name: "0002_slugs.rs", number: "0002", checksum: "sha256:1", package: Some("xtask") };
        for how in [Registration::Executed(Duration::from_millis(5)), Registration::Ignored] {
            let written = document(Bson::Int32(7), migration, how, "run", DateTime::from_millis(1));
            let asked_for: Document = written
                .iter()
                .filter(|(key, _)| fields().any(|field| field == key.as_str()))
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            let read = |document: &Document| Entry::read(&RawDocumentBuf::try_from(document).unwrap());
            assert_eq!(read(&asked_for), read(&written));
            assert_eq!(read(&written).unwrap().package.as_deref(), Some("xtask"));
        }
    }

    #[test]
    fn strange_documents_do_no_harm() {
        assert!(Entry::read(&rawdoc! {}).is_err());
        assert!(Entry::read(&rawdoc! { "name": 7 }).is_err());
        let entry = Entry::read(&rawdoc! { "name": "x", "duration_ms": -1, "registered_at": "yesterday" }).unwrap();
        assert_eq!((entry.number(), entry.duration), ("0", None));
    }

    #[test]
    fn what_another_tool_wrote_is_not_an_entry() {
        for state in ["up", "applied", ""] {
            assert!(Entry::read(&rawdoc! { "name": "x", "state": state }).is_err());
        }
        assert!(Entry::read(&rawdoc! { "name": "x", "state": 1 }).is_err());
        for mark in MARKS {
            let raw = |document: Document| RawDocumentBuf::try_from(&document).unwrap();
            assert!(Entry::read(&raw(doc! { "name": "x", mark: 1 })).is_err(), "{mark}");
            // A later version may write it.
            assert!(Entry::read(&raw(doc! { "name": "x", mark: 1, "tool_version": "9.0.0" })).is_ok(), "{mark}");
        }
    }
}
