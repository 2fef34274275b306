//! How a collection of a dump is created: its options and indexes as today's servers accept them.

use mongodb::bson::{Bson, Document, doc};

use crate::dump::catalog::{Collection, Kind};

/// Returns the options to create the collection with.
pub(in crate::dump) fn options(collection: &Collection) -> Document {
    // Some servers list these options, and others refuse them.
    let refused = ["autoIndexId", "create", "recordIdsReplicated"];
    collection
        .options
        .iter()
        .filter(|(key, _)| !refused.contains(&key.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// Returns the indexes to create, without the one on `_id`, which every collection has.
pub(in crate::dump) fn indexes(collection: &Collection) -> Vec<Document> {
    let collation = collection.options.get_document("collation").and_then(|collation| collation.get_str("locale"));
    let is_collated = collation.is_ok_and(|locale| locale != "simple");
    let own = collection.indexes.iter().filter(|index| !is_on_id(index) && !index.get_bool("clustered").unwrap_or(false));
    own.map(|index| {
        let mut index = index.clone();
        // Old servers list the collection here too.
        index.remove("ns");
        // The oldest format of an index, in which a server creates none any more.
        if index.get("v").and_then(number) == Some(0.0) {
            index.remove("v");
        }
        if let Ok(key) = index.get_document_mut("key") {
            key.iter_mut().for_each(|(_, direction)| modernize(direction));
        }
        // An index without a collation is listed without one, but would be created with the collection's collation.
        if is_collated && !index.contains_key("collation") {
            index.insert("collation", doc! { "locale": "simple" });
        }
        index
    })
    .collect()
}

/// Servers before 3.4 accepted any value as the direction of an index, and took what is not a negative number as ascending.
fn modernize(direction: &mut Bson) {
    let is_valid = match &*direction {
        Bson::String(kind) => !kind.is_empty(),
        other => number(other).is_some_and(|number| number != 0.0 && !number.is_nan()),
    };
    if !is_valid {
        *direction = Bson::Int32(1);
    }
}

/// Whether it is an index on `_id` alone, whatever its name.
fn is_on_id(index: &Document) -> bool {
    let key: Vec<_> = index.get_document("key").into_iter().flatten().collect();
    matches!(key[..], [(name, direction)] if name == "_id" && number(direction) == Some(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "only small numbers are meant")]
fn number(value: &Bson) -> Option<f64> {
    match *value {
        Bson::Double(number) => Some(number),
        Bson::Int32(number) => Some(number.into()),
        Bson::Int64(number) => Some(number as f64),
        _ => None,
    }
}

/// Whether documents may be in the collection that its validator refuses: it may be younger than they are.
pub(super) fn has_validator(collection: &Collection) -> bool {
    collection.options.get_document("validator").is_ok_and(|validator| !validator.is_empty())
}

/// Whether a server renames it: it does not rename time-series collections and what belongs to queryable encryption.
pub(super) fn can_be_renamed(collection: &Collection) -> bool {
    collection.kind == Kind::Collection
        && !collection.options.contains_key("encryptedFields")
        && !collection.name.starts_with("enxcol_.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collection(options: Document, indexes: &[Document]) -> Collection {
        let kind = Kind::Collection;
        Collection { name: "notes".into(), kind, options, uuid: None, indexes: indexes.to_vec() }
    }

    #[test]
    fn what_old_servers_accepted_is_made_valid() {
        let old = [
            doc! { "v": 0, "key": { "a": 1 }, "name": "a_1", "ns": "blog.notes" },
            doc! { "v": 1, "key": { "b": true, "c": 0, "d": "", "e": -1.0, "f": "text", "g": f64::NAN }, "name": "b" },
        ];
        let expected = [
            doc! { "key": { "a": 1 }, "name": "a_1" },
            doc! { "v": 1, "key": { "b": 1, "c": 1, "d": 1, "e": -1.0, "f": "text", "g": 1 }, "name": "b" },
        ];
        assert_eq!(indexes(&collection(doc! {}, &old)), expected);
    }

    #[test]
    fn the_index_on_id_is_not_created_whatever_its_name() {
        let all = [
            doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
            doc! { "v": 1, "key": { "_id": 1.0 }, "name": "_id_1", "unique": true },
            doc! { "v": 2, "key": { "_id": 1 }, "name": "by_id", "clustered": true, "unique": true },
            doc! { "v": 2, "key": { "_id": "hashed" }, "name": "_id_hashed" },
            doc! { "v": 2, "key": { "_id": 1, "a": 1 }, "name": "_id_1_a_1" },
        ];
        let created = indexes(&collection(doc! {}, &all));
        assert_eq!(created, all[3..]);
    }

    #[test]
    fn an_index_keeps_the_simple_collation_in_a_collection_with_another() {
        let plain = [
            doc! { "key": { "a": 1 }, "name": "a" },
            doc! { "key": { "b": 1 }, "name": "b", "collation": { "locale": "fr" } },
        ];
        let created = indexes(&collection(doc! { "collation": { "locale": "de" } }, &plain));
        assert_eq!(created[0].get_document("collation").unwrap(), &doc! { "locale": "simple" });
        assert_eq!(created[1], plain[1]);
        assert_eq!(indexes(&collection(doc! { "collation": { "locale": "simple" } }, &plain)), plain);
    }
}
