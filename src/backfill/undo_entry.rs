//! What there is to do for one document of an undo log, by what its document is now.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};

use super::effect::{at, is_same, is_same_document};
use crate::error::Result;

/// What there is to do about one document.
pub(super) enum Decision {
    Restored,
    Gone,
    Conflict,
    Write(RawDocumentBuf),
}

/// What there is to do for an entry of the log.
pub(super) fn decide(entry: &Document, present: Option<&Document>) -> Result<Decision> {
    let id = id_of(entry);
    let own = doc! { "_id": { "$eq": &id } };
    let kind = entry.get_str("kind").unwrap_or_default();
    let Some(present) = present else {
        return Ok(match kind {
            "delete" => {
                // It matches nothing, so it inserts, unless there is a document of that `_id` by then.
                let filter = doc! { "_id": { "$eq": &id }, "$nor": [{}] };
                let (filter, document) = (raw(&filter)?, raw(entry.get_document("document")?)?);
                Decision::Write(rawdoc! { "q": filter, "u": document, "multi": false, "upsert": true })
            }
            _ => Decision::Gone,
        });
    };
    if kind != "update" {
        let before = entry.get_document("document")?;
        return Ok(match entry.get_document("now") {
            _ if is_same_document(present, before) => Decision::Restored,
            Ok(now) if is_same_document(present, now) => {
                let is_now = doc! { "$expr": { "$eq": ["$$ROOT", { "$literal": now }] } };
                let filter = doc! { "$and": [own, is_now] };
                Decision::Write(rawdoc! { "q": raw(&filter)?, "u": raw(before)?, "multi": false })
            }
            _ => Decision::Conflict,
        });
    }
    let (was, now) = (entry.get_document("was")?, entry.get_document("now")?);
    let missing: Vec<&str> = entry.get_array("missing")?.iter().filter_map(Bson::as_str).collect();
    let paths: Vec<&str> = was.keys().map(String::as_str).chain(missing.iter().copied()).collect();
    let is_as = |values: &Document| paths.iter().all(|path| is_same(at(present, path), values.get(path)));
    if is_as(was) {
        return Ok(Decision::Restored);
    }
    if !is_as(now) {
        return Ok(Decision::Conflict);
    }
    let mut conditions = vec![own];
    conditions.extend(paths.iter().map(|path| {
        let field = format!("${path}");
        doc! { "$expr": match now.get(path) {
            Some(value) => doc! { "$eq": [field, { "$literal": value }] },
            None => doc! { "$eq": [{ "$type": field }, "missing"] },
        } }
    }));
    let mut update = Document::new();
    if !was.is_empty() {
        update.insert("$set", was);
    }
    if !missing.is_empty() {
        update.insert("$unset", missing.iter().map(|path| ((*path).to_owned(), Bson::from(true))).collect::<Document>());
    }
    Ok(Decision::Write(rawdoc! { "q": raw(&doc! { "$and": conditions })?, "u": raw(&update)?, "multi": false }))
}

fn raw(document: &Document) -> Result<RawDocumentBuf> {
    Ok(RawDocumentBuf::try_from(document)?)
}

/// The `_id` of the document that an entry of the log is about.
pub(super) fn id_of(entry: &Document) -> Bson {
    entry.get_document("_id").ok().and_then(|id| id.get("id").cloned()).unwrap_or(Bson::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is decided, in a word.
    fn decided(entry: &Document, present: Option<Document>) -> &'static str {
        match decide(entry, present.as_ref()).unwrap() {
            Decision::Restored => "restored",
            Decision::Gone => "gone",
            Decision::Conflict => "conflict",
            Decision::Write(_) => "write",
        }
    }

    #[test]
    fn only_what_the_backfill_left_is_put_back() {
        let id = doc! { "collection": "users", "label": "users", "id": 1 };
        let update = doc! {
            "_id": &id, "kind": "update", "was": { "a.b": 1, "old": f64::NAN }, "missing": ["new"], "now": { "a.b": 2, "new": 1 },
        };
        assert_eq!(decided(&update, Some(doc! { "_id": 1, "a": { "b": 2, "c": 7 }, "new": 1, "other": 1 })), "write");
        assert_eq!(decided(&update, Some(doc! { "_id": 1, "a": { "b": 1 }, "old": f64::NAN })), "restored");
        // Another type of number, a field that was removed by now, and one that is there again.
        assert_eq!(decided(&update, Some(doc! { "_id": 1, "a": { "b": 2_i64 }, "new": 1 })), "conflict");
        assert_eq!(decided(&update, Some(doc! { "_id": 1, "a": { "b": 2 } })), "conflict");
        assert_eq!(decided(&update, Some(doc! { "_id": 1, "a": { "b": 2 }, "new": 1, "old": 1 })), "conflict");
        assert_eq!(decided(&update, None), "gone");
        let replace = doc! { "_id": &id, "kind": "replace", "document": { "_id": 1, "a": 1 }, "now": { "_id": 1, "b": 1 } };
        assert_eq!(decided(&replace, Some(doc! { "_id": 1, "b": 1 })), "write");
        assert_eq!(decided(&replace, Some(doc! { "_id": 1, "a": 1 })), "restored");
        assert_eq!(decided(&replace, Some(doc! { "_id": 1, "b": 1, "c": 1 })), "conflict");
        assert_eq!(decided(&replace, None), "gone");
        let delete = doc! { "_id": &id, "kind": "delete", "document": { "_id": 1, "a": 1 } };
        assert_eq!(decided(&delete, None), "write");
        assert_eq!(decided(&delete, Some(doc! { "_id": 1, "a": 1 })), "restored");
        assert_eq!(decided(&delete, Some(doc! { "_id": 1 })), "conflict");
    }
}
