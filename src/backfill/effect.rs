//! What a write makes of a document, worked out here: what is left to write, and what would undo it.

use std::cmp::Ordering;

use mongodb::bson::{Bson, Document, RawDocumentBuf};

use super::write::{Own, Write};
use crate::error::Error;
use crate::model::shell;

/// What a document is after a write.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum After {
    Same,
    Changed(Document),
    Deleted,
}

/// What to write at a path: a value, or nothing in its place.
type Assignment<'w> = (Vec<&'w str>, Option<&'w Bson>);

/// Why it can only be known from the server what the write makes of a document. Part of a sentence.
pub(super) fn unforeseeable(own: &Own) -> Option<String> {
    match own {
        Own::Pipeline(_) => Some("it is a pipeline, which the server evaluates".into()),
        Own::Update(update) => assignments(update).err(),
        Own::Nothing | Own::Replace(_) | Own::Delete => None,
    }
}

/// An error if it cannot be known afterwards whether the write for a document was done.
pub(super) fn verifiable(id: &Bson, write: &Write) -> Result<(), Error> {
    let why = match write.others.first() {
        Some(other) => Some(format!("it writes to `{}` too", other.collection)),
        None => unforeseeable(&write.own),
    };
    // The advice is part of the message: a migration's error is printed as a cause, which has no hint of its own.
    why.map_or(Ok(()), |why| {
        Err(Error::usage(format!(
            "the write for the document with `_id` {} cannot be verified: {why} (leave out `.verify()`, or make the write of \
             `$set`, `$unset`, a replacement or a deletion)",
            shell(id)
        )))
    })
}

/// What the write makes of a document. An error is part of a sentence.
pub(super) fn after(read: &Document, own: &Own) -> Result<After, String> {
    let new = match own {
        Own::Nothing => return Ok(After::Same),
        Own::Delete => return Ok(After::Deleted),
        Own::Pipeline(_) => return Err(unforeseeable(own).unwrap_or_default()),
        Own::Update(update) => {
            let mut new = Bson::Document(read.clone());
            for (path, value) in assignments(update)? {
                assign(&mut new, &path, value)?;
            }
            match new {
                Bson::Document(new) => new,
                _ => read.clone(),
            }
        }
        Own::Replace(replacement) => {
            let id = read.get("_id").cloned().unwrap_or(Bson::Null);
            if replacement.get("_id").is_some_and(|other| !is_same(Some(other), Some(&id))) {
                return Err("an `_id` cannot be changed".into());
            }
            // The server puts it first.
            let mut new = Document::new();
            new.insert("_id", id);
            new.extend(replacement.iter().filter(|(key, _)| *key != "_id").map(|(key, value)| (key.clone(), value.clone())));
            new
        }
    };
    Ok(if is_same_document(&new, read) { After::Same } else { After::Changed(new) })
}

/// The paths that an update of a document changes, as far as they lead through documents that are there: `address.city`, or
/// `address` if there is no address yet, or if it is an array.
pub(super) fn touched(read: &Document, new: &Document, update: &Document) -> Vec<String> {
    let mut paths: Vec<String> = assignments(update).unwrap_or_default().iter().map(|(path, _)| reach(read, path)).collect();
    paths.sort();
    paths.dedup();
    paths.retain(|path| !is_same(at(read, path), at(new, path)));
    paths
}

/// The value at a path through documents.
pub(super) fn at<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((first, rest)) => at(document.get(first)?.as_document()?, rest),
    }
}

/// Whether both are the same for the server too: with the types of numbers, and the order of fields.
pub(super) fn is_same(one: Option<&Bson>, other: Option<&Bson>) -> bool {
    let document = |value: &Bson| mongodb::bson::doc! { "": value.clone() };
    match (one, other) {
        // By their bytes: a number that is not one does not equal itself.
        (Some(one), Some(other)) => is_same_document(&document(one), &document(other)),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// Whether the bytes of both are the same.
pub(super) fn is_same_document(one: &Document, other: &Document) -> bool {
    match (RawDocumentBuf::try_from(one), RawDocumentBuf::try_from(other)) {
        (Ok(one), Ok(other)) => one.as_bytes() == other.as_bytes(),
        _ => false,
    }
}

/// What the update assigns, in the server's order. An error says why that is not known.
fn assignments(update: &Document) -> Result<Vec<Assignment<'_>>, String> {
    let mut all = Vec::new();
    for (operator, fields) in update {
        let is_set = match operator.as_str() {
            "$set" => true,
            "$unset" => false,
            _ => return Err(format!("it has `{operator}`")),
        };
        for (path, value) in fields.as_document().into_iter().flatten() {
            let parts: Vec<&str> = path.split('.').collect();
            if parts.iter().any(|part| part.is_empty() || part.starts_with('$')) {
                return Err(format!("its path `{path}` has a part that the server resolves"));
            }
            all.push((parts, is_set.then_some(value)));
        }
    }
    all.sort_by(|(one, _), (other, _)| in_order(one, other));
    Ok(all)
}

/// Names in the order of their letters, numbers in that of their values.
fn in_order(one: &[&str], other: &[&str]) -> Ordering {
    let parts = one.iter().zip(other).map(|(one, other)| match (index(one), index(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.cmp(other),
    });
    parts.fold(Ordering::Equal, Ordering::then).then(one.len().cmp(&other.len()))
}

/// The place in an array.
fn index(part: &str) -> Option<usize> {
    let index: usize = part.parse().ok()?;
    (index.to_string() == part).then_some(index)
}

fn reach(read: &Document, path: &[&str]) -> String {
    let mut document = read;
    for (place, part) in path.iter().enumerate() {
        match document.get(*part) {
            Some(Bson::Document(inner)) => document = inner,
            _ => return path[..=place].join("."),
        }
    }
    path.join(".")
}

fn assign(into: &mut Bson, path: &[&str], value: Option<&Bson>) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        *into = value.cloned().unwrap_or(Bson::Null);
        return Ok(());
    };
    match (into, value) {
        (Bson::Document(fields), None) if rest.is_empty() => {
            fields.remove(*first);
            Ok(())
        }
        (Bson::Document(fields), _) => match (fields.get_mut(*first), value) {
            (Some(inner), _) => assign(inner, rest, value),
            (None, Some(value)) => {
                fields.insert(*first, nested(rest, value));
                Ok(())
            }
            (None, None) => Ok(()),
        },
        (Bson::Array(values), _) => match (index(first), value) {
            // Nothing in the place of an element is null.
            (Some(place), _) if place < values.len() => assign(&mut values[place], rest, value),
            (Some(place), Some(value)) => {
                values.resize(place, Bson::Null);
                values.push(nested(rest, value));
                Ok(())
            }
            (None, Some(_)) => Err(format!("it sets the field `{first}` of an array")),
            (_, None) => Ok(()),
        },
        (_, Some(_)) => Err(format!("it sets the field `{first}` of a value that is not a document")),
        (_, None) => Ok(()),
    }
}

/// The value, in documents of these names.
fn nested(path: &[&str], value: &Bson) -> Bson {
    path.iter().rev().fold(value.clone(), |inner, part| {
        let mut document = Document::new();
        document.insert(*part, inner);
        document.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    fn updated(read: Document, update: Document) -> Result<After, String> {
        after(&read, &Own::Update(update))
    }

    #[test]
    fn an_update_is_worked_out_as_the_server_does_it() {
        let read = doc! { "_id": 1, "a": { "b": 1, "c": 2 }, "tags": ["x", { "y": 1 }], "n": 1 };
        let cases = [
            (
                doc! { "$set": { "a.b": 5, "z.y": 1, "z.x": 2 }, "$unset": { "n": true } },
                doc! { "_id": 1, "a": { "b": 5, "c": 2 }, "tags": ["x", { "y": 1 }], "z": { "x": 2, "y": 1 } },
            ),
            (
                doc! { "$set": { "tags.0": "q", "tags.3.k": 1 } },
                doc! { "_id": 1, "a": { "b": 1, "c": 2 }, "tags": ["q", { "y": 1 }, Bson::Null, { "k": 1 }], "n": 1 },
            ),
            (
                doc! { "$unset": { "tags.1.y": "", "tags.0": "", "a.q": "", "n.m": "", "tags.k": "", "tags.9": "" } },
                doc! { "_id": 1, "a": { "b": 1, "c": 2 }, "tags": [Bson::Null, {}], "n": 1 },
            ),
            (
                doc! { "$set": { "n": 1_i64 } },
                doc! { "_id": 1, "a": { "b": 1, "c": 2 }, "tags": ["x", { "y": 1 }], "n": 1_i64 },
            ),
        ];
        for (update, expected) in cases {
            assert_eq!(updated(read.clone(), update), Ok(After::Changed(expected)));
        }
        assert_eq!(updated(read.clone(), doc! { "$set": { "a.b": 1 }, "$unset": { "q": 1 } }), Ok(After::Same));
        assert_eq!(updated(doc! { "f": f64::NAN }, doc! { "$set": { "f": f64::NAN } }), Ok(After::Same));
        for (update, why) in [
            (doc! { "$max": { "n": 1 } }, "it has `$max`"),
            (doc! { "$set": { "tags.$[].x": 1 } }, "its path `tags.$[].x` has a part that the server resolves"),
            (doc! { "$set": { "n.x": 1 } }, "it sets the field `x` of a value that is not a document"),
            (doc! { "$set": { "tags.x": 1 } }, "it sets the field `x` of an array"),
        ] {
            assert_eq!(updated(read.clone(), update).unwrap_err(), why);
        }
    }

    #[test]
    fn a_replacement_keeps_the_id() {
        let read = doc! { "_id": 1, "a": 1 };
        let replaced = |with| after(&read, &Own::Replace(with));
        assert_eq!(replaced(doc! { "b": 2, "_id": 1 }), Ok(After::Changed(doc! { "_id": 1, "b": 2 })));
        assert_eq!(replaced(doc! { "a": 1 }), Ok(After::Same));
        assert_eq!(replaced(doc! { "_id": 2 }), Err("an `_id` cannot be changed".into()));
        assert_eq!(after(&read, &Own::Delete), Ok(After::Deleted));
    }

    #[test]
    fn what_is_touched_leads_through_documents_that_are_there() {
        let read = doc! { "a": { "b": { "c": 1 } }, "tags": [1], "same": 1 };
        let update =
            doc! { "$set": { "a.b.c": 2, "new.x": 1, "new.y": 1, "tags.0": 5, "same": 1 }, "$unset": { "gone": 1 } };
        let Ok(After::Changed(new)) = updated(read.clone(), update.clone()) else { panic!() };
        assert_eq!(touched(&read, &new, &update), ["a.b.c", "new", "tags"]);
        assert_eq!((at(&new, "a.b.c"), at(&read, "new"), at(&read, "tags.0")), (Some(&Bson::Int32(2)), None, None));
    }
}
