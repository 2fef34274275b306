//! The filter of a write: it matches the document only as it was read.

use mongodb::bson::{Bson, Document, RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};

use crate::error::Result;

/// What a write depends on.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// The backfill's filter: what no longer matches it is done, or is no longer to be changed.
    filter: Option<RawDocumentBuf>,
    /// The fields that were read. `None` for the complete document.
    fields: Option<Vec<String>>,
    is_of_transaction: bool,
}

impl Guard {
    pub(super) fn new(filter: &Document, fields: Option<&[String]>) -> Result<Self> {
        let filter = if filter.is_empty() { None } else { Some(RawDocumentBuf::try_from(filter)?) };
        Ok(Self { filter, fields: fields.map(<[String]>::to_vec), is_of_transaction: false })
    }

    /// Of writes in the transaction that has read the document: the server itself refuses them if it was changed.
    pub(super) fn of_transaction() -> Self {
        Self { filter: None, fields: Some(Vec::new()), is_of_transaction: true }
    }

    /// The guard that depends on these top-level fields too.
    pub(super) fn with(&self, further: &[String]) -> Self {
        let mut guard = self.clone();
        if let Some(fields) = guard.fields.as_mut().filter(|_| !self.is_of_transaction) {
            fields.extend(further.iter().cloned());
            fields.sort();
            fields.dedup();
        }
        guard
    }

    /// The guard that depends on the complete document.
    pub(super) fn complete(&self) -> Self {
        if self.is_of_transaction { self.clone() } else { Self { fields: None, ..self.clone() } }
    }

    /// The filter for a document that was read.
    pub(super) fn filter(&self, read: &RawDocument) -> Result<RawDocumentBuf> {
        let id = read.get("_id")?.unwrap_or(RawBsonRef::Null);
        if self.is_of_transaction && !is_like_operators(id) {
            // The server has a short way for this form of a query, and for no other.
            return Ok(rawdoc! { "_id": owned(id) });
        }
        // The `_id` stands by itself, and so the server finds the document with the index of `_id`.
        let mut conditions = Conditions::default();
        conditions.value("_id", id);
        let mut all = Vec::new();
        match &self.fields {
            // With the order of its fields, and with none that was added.
            None => all.push(rawdoc! { "$expr": { "$eq": ["$$ROOT", { "$literal": read.to_owned() }] } }),
            Some(fields) => {
                for field in fields {
                    match read.get(field)? {
                        Some(value) => all.extend(conditions.value(field, value)),
                        None => conditions.document(field, &rawdoc! { "$exists": false }),
                    }
                }
            }
        }
        all.extend(self.filter.clone());
        if !all.is_empty() {
            conditions.array("$and", &array(all));
        }
        conditions.finish()
    }
}

fn array(documents: Vec<RawDocumentBuf>) -> RawArrayBuf {
    documents.into_iter().collect()
}

/// Whether the value by itself would be taken for query operators.
fn is_like_operators(value: RawBsonRef<'_>) -> bool {
    let RawBsonRef::Document(document) = value else { return matches!(value, RawBsonRef::RegularExpression(_)) };
    let first = document.iter().next().and_then(Result::ok);
    first.is_some_and(|(name, _)| AsRef::<str>::as_ref(name).starts_with('$'))
}

/// The value by itself. bson 2 and bson 3 have different functions for it, and this way works with both.
fn owned(value: RawBsonRef<'_>) -> RawBson {
    match value {
        RawBsonRef::String(text) => RawBson::String(text.to_owned()),
        value => Bson::try_from(value).ok().and_then(|value| RawBson::try_from(value).ok()).unwrap_or(RawBson::Null),
    }
}

/// A filter that is put together from bytes: the names of its fields are known only now, and the functions for that differ between
/// bson 2 and bson 3.
#[derive(Default)]
struct Conditions(Vec<u8>);

/// The types of BSON elements.
const DOCUMENT: u8 = 3;
const ARRAY: u8 = 4;

impl Conditions {
    /// Asks for exactly that value. Where that needs a condition in addition to the field's, it is returned.
    fn value(&mut self, field: &str, value: RawBsonRef<'_>) -> Option<RawDocumentBuf> {
        let owned = owned(value);
        match value {
            // An array that holds this array would match, too.
            RawBsonRef::Array(_) => {
                let path = format!("${field}");
                return Some(rawdoc! { "$expr": { "$eq": [path, { "$literal": owned }] } });
            }
            // `_id` is never an array, and the equality is what the index is used for.
            _ if field == "_id" => self.document(field, &rawdoc! { "$eq": owned }),
            // Missing fields equal null, and an array that holds a value equals it.
            RawBsonRef::Null => self.document(field, &rawdoc! { "$type": 10, "$not": { "$type": 4 } }),
            _ => self.document(field, &rawdoc! { "$eq": owned, "$not": { "$type": 4 } }),
        }
        None
    }

    fn document(&mut self, field: &str, value: &RawDocument) {
        self.element(DOCUMENT, field, value.as_bytes());
    }

    fn array(&mut self, field: &str, value: &RawArrayBuf) {
        self.element(ARRAY, field, value.as_bytes());
    }

    fn element(&mut self, kind: u8, field: &str, value: &[u8]) {
        self.0.push(kind);
        self.0.extend_from_slice(field.as_bytes());
        self.0.push(0);
        self.0.extend_from_slice(value);
    }

    fn finish(self) -> Result<RawDocumentBuf> {
        let length = i32::try_from(self.0.len() + 5).unwrap_or(i32::MAX);
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(self.0);
        bytes.push(0);
        Ok(RawDocumentBuf::from_bytes(bytes)?)
    }
}

/// The top-level field of a path: `address` of `address.city`. A path through an array is ambiguous, so the complete field is read and
/// compared.
pub(super) fn top_level(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The `_id` of a document.
pub(super) fn id_of(document: &RawDocument) -> Bson {
    document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok()).unwrap_or(Bson::Null)
}

/// The bytes of an `_id`, by which documents are found again here.
pub(super) fn key(id: &Bson) -> Vec<u8> {
    RawDocumentBuf::try_from(&mongodb::bson::doc! { "": id.clone() }).map(|raw| raw.as_bytes().to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    fn filter(read: &RawDocument, filter: Document, fields: Option<&[&str]>) -> Document {
        let fields = fields.map(|fields| fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>());
        let guard = Guard::new(&filter, fields.as_deref()).unwrap();
        Document::try_from(guard.filter(read).unwrap().as_ref() as &RawDocument).unwrap()
    }

    #[test]
    fn the_fields_that_were_read_are_as_they_were() {
        let read = rawdoc! { "_id": 7, "name": "Ada", "gone": null, "tags": [1, 2], "other": true };
        let found = filter(&read, doc! { "slug": null }, Some(&["name", "gone", "tags", "missing"]));
        let expected = doc! {
            "_id": { "$eq": 7 },
            "name": { "$eq": "Ada", "$not": { "$type": 4 } },
            "gone": { "$type": 10, "$not": { "$type": 4 } },
            "missing": { "$exists": false },
            "$and": [{ "$expr": { "$eq": ["$tags", { "$literal": [1, 2] }] } }, { "slug": null }],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn without_fields_it_is_the_complete_document() {
        let read = rawdoc! { "_id": 7, "name": "Ada" };
        let expected = doc! { "_id": { "$eq": 7 }, "$and": [
            { "$expr": { "$eq": ["$$ROOT", { "$literal": { "_id": 7, "name": "Ada" } }] } },
        ] };
        assert_eq!(filter(&read, doc! {}, None), expected);
        assert_eq!(filter(&read, doc! {}, Some(&[])), doc! { "_id": { "$eq": 7 } });
    }

    #[test]
    fn a_transaction_needs_the_id_alone() {
        let filter = |read: &RawDocument| Document::try_from(&*Guard::of_transaction().filter(read).unwrap()).unwrap();
        assert_eq!(filter(&rawdoc! { "_id": 7, "name": "Ada" }), doc! { "_id": 7 });
        assert_eq!(filter(&rawdoc! { "_id": { "a": 1 } }), doc! { "_id": { "a": 1 } });
        assert_eq!(filter(&rawdoc! { "_id": { "$gt": 1 } }), doc! { "_id": { "$eq": { "$gt": 1 } } });
    }

    #[test]
    fn a_path_is_guarded_by_its_first_field() {
        assert_eq!((top_level("address.city.zip"), top_level("name")), ("address", "name"));
    }
}
