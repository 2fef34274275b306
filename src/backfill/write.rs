//! What a backfill writes for one document.

use std::fmt;

use mongodb::bson::{Bson, Document, doc};
use serde::Serialize;

use crate::model::serde_bson;

/// What a backfill writes for a document: an update of it, its removal, nothing, and perhaps documents in other collections.
///
/// Several are combined with [`and`](Self::and), or collected from an iterator.
///
/// ```
/// use cargo_migrations::prelude::*;
///
/// let write = Write::set("slug", "first-note").and(Write::unset("title"));
/// let entry = Write::insert("slugs", &doc! { "_id": "first-note", "note": 1 });
/// let both: Write = [write, entry].into_iter().collect();
/// # let _ = both;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a backfill writes what its closure returns"]
pub struct Write {
    pub(super) own: Own,
    pub(super) others: Vec<Other>,
    /// What is wrong with it. Reported with the document's `_id`.
    pub(super) wrong: Option<String>,
}

/// What is written to the document itself.
#[derive(Clone, Debug, Default)]
pub(super) enum Own {
    #[default]
    Nothing,
    /// With update operators.
    Update(Document),
    Pipeline(Vec<Document>),
    Replace(Document),
    Delete,
}

/// What is written to another collection.
#[derive(Clone, Debug)]
pub(super) struct Other {
    pub(super) collection: String,
    pub(super) change: Change,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    /// If there is one with its `_id`, that is replaced: it is from an earlier attempt.
    Insert(Document),
    /// Of all documents that match the filter.
    Update(Document, Document),
    Delete(Document),
}

/// The update operators that do the same when they are applied twice.
const REPEATABLE: [&str; 10] =
    ["$set", "$unset", "$setOnInsert", "$min", "$max", "$addToSet", "$pull", "$pullAll", "$rename", "$currentDate"];

impl Write {
    /// Writes nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Sets a field. It may be one of a subdocument: `address.city`.
    pub fn set(field: impl Into<String>, value: impl Into<Bson>) -> Self {
        Self::operator("$set", field.into(), value.into())
    }

    /// Sets a field to a value of a type of your own.
    pub fn set_to<T: Serialize + ?Sized>(field: impl Into<String>, value: &T) -> Self {
        match serde_bson::encode(value) {
            Ok(value) => Self::operator("$set", field.into(), value),
            Err(error) => Self::of_wrong(format!("the value cannot be written as BSON: {error}")),
        }
    }

    /// Removes a field.
    pub fn unset(field: impl Into<String>) -> Self {
        Self::operator("$unset", field.into(), true.into())
    }

    /// Updates the document with update operators: `doc! { "$max": { "version": 2 } }`.
    ///
    /// `$inc`, `$mul`, `$push`, `$pop` and `$bit` do more each time that they are applied. They need
    /// [`exactly_once`](crate::Backfill::exactly_once).
    pub fn update(update: Document) -> Self {
        Self::of(Own::Update(update))
    }

    /// Updates the document with an aggregation pipeline, which the server evaluates.
    pub fn pipeline(stages: impl IntoIterator<Item = Document>) -> Self {
        Self::of(Own::Pipeline(stages.into_iter().collect()))
    }

    /// Replaces the document. Its `_id` stays, and may be missing in `value`.
    pub fn replace<T: Serialize + ?Sized>(value: &T) -> Self {
        match encoded(value) {
            Ok(document) => Self::of(Own::Replace(document)),
            Err(wrong) => Self::of_wrong(wrong),
        }
    }

    /// Deletes the document.
    pub fn delete() -> Self {
        Self::of(Own::Delete)
    }

    /// Inserts a document into another collection. With an `_id` it can be repeated: then it replaces the one of the earlier attempt.
    /// Without one it needs [`exactly_once`](crate::Backfill::exactly_once).
    ///
    /// What is written to other collections is written before the document itself.
    pub fn insert<T: Serialize + ?Sized>(collection: impl Into<String>, value: &T) -> Self {
        match encoded(value) {
            Ok(document) => Self::to(collection.into(), Change::Insert(document)),
            Err(wrong) => Self::of_wrong(wrong),
        }
    }

    /// Updates all documents of another collection that match a filter.
    pub fn update_in(collection: impl Into<String>, filter: Document, update: Document) -> Self {
        Self::to(collection.into(), Change::Update(filter, update))
    }

    /// Deletes all documents of another collection that match a filter.
    pub fn delete_in(collection: impl Into<String>, filter: Document) -> Self {
        Self::to(collection.into(), Change::Delete(filter))
    }

    /// Writes this and another. Two updates of the document itself become one; an update and a replacement cannot be combined.
    pub fn and(mut self, other: Self) -> Self {
        let own = std::mem::take(&mut self.own);
        let (own, wrong) = combined(own, other.own);
        self.own = own;
        self.others.extend(other.others);
        self.wrong = self.wrong.or(other.wrong).or(wrong.map(str::to_owned));
        self
    }

    /// Whether nothing is written.
    pub fn is_none(&self) -> bool {
        matches!(self.own, Own::Nothing) && self.others.is_empty() && self.wrong.is_none()
    }

    fn operator(operator: &str, field: String, value: Bson) -> Self {
        let mut fields = Document::new();
        fields.insert(field, value);
        Self::update(doc! { operator: fields })
    }

    fn of(own: Own) -> Self {
        Self { own, ..Self::default() }
    }

    fn to(collection: String, change: Change) -> Self {
        Self { others: vec![Other { collection, change }], ..Self::default() }
    }

    fn of_wrong(wrong: String) -> Self {
        Self { wrong: Some(wrong), ..Self::default() }
    }

    /// What keeps it from being carried out, if anything does. `is_repeated` says that it may be carried out more than once.
    pub(super) fn problem(&self, is_repeated: bool) -> Option<String> {
        if let Some(wrong) = &self.wrong {
            return Some(wrong.clone());
        }
        let own = match &self.own {
            Own::Update(update) => update_problem(update, is_repeated),
            Own::Nothing | Own::Pipeline(_) | Own::Replace(_) | Own::Delete => None,
        };
        own.or_else(|| self.others.iter().find_map(|other| other.change.problem(is_repeated)))
    }
}

impl Change {
    fn problem(&self, is_repeated: bool) -> Option<String> {
        match self {
            Self::Insert(document) if is_repeated && !document.contains_key("_id") => {
                Some("an insert without an `_id` would be repeated after a failure".into())
            }
            Self::Update(_, update) => update_problem(update, is_repeated),
            Self::Insert(_) | Self::Delete(_) => None,
        }
    }
}

fn update_problem(update: &Document, is_repeated: bool) -> Option<String> {
    if update.is_empty() {
        return Some("an update without an operator".into());
    }
    for (operator, fields) in update {
        if !operator.starts_with('$') {
            return Some(format!("`{operator}` is no update operator (`Write::replace` replaces a document)"));
        }
        if is_repeated && !REPEATABLE.contains(&operator.as_str()) {
            return Some(format!("`{operator}` would be applied twice after a failure"));
        }
        let names = fields.as_document().into_iter().flatten();
        // A rename names its target as the value.
        let touches_id =
            |(name, value): (&String, &Bson)| is_id(name) || operator == "$rename" && value.as_str().is_some_and(is_id);
        if names.into_iter().any(touches_id) {
            return Some("an `_id` cannot be changed".into());
        }
    }
    None
}

fn is_id(field: &str) -> bool {
    field == "_id" || field.starts_with("_id.")
}

fn combined(one: Own, other: Own) -> (Own, Option<&'static str>) {
    match (one, other) {
        (Own::Nothing, own) | (own, Own::Nothing) => (own, None),
        (Own::Delete, Own::Delete) => (Own::Delete, None),
        (Own::Update(mut one), Own::Update(other)) => {
            for (operator, fields) in other {
                match (one.get_mut(&operator), fields) {
                    (Some(Bson::Document(present)), Bson::Document(further)) => present.extend(further),
                    (_, fields) => {
                        one.insert(operator, fields);
                    }
                }
            }
            (Own::Update(one), None)
        }
        (Own::Pipeline(mut one), Own::Pipeline(other)) => {
            one.extend(other);
            (Own::Pipeline(one), None)
        }
        (own, _) => (own, Some("an update, a pipeline, a replacement and a removal of one document cannot be combined")),
    }
}

fn encoded<T: Serialize + ?Sized>(value: &T) -> Result<Document, String> {
    match serde_bson::encode(value) {
        Ok(Bson::Document(document)) => Ok(document),
        Ok(_) => Err("the value is not a document".into()),
        Err(error) => Err(format!("the value cannot be written as BSON: {error}")),
    }
}

impl FromIterator<Self> for Write {
    fn from_iter<I: IntoIterator<Item = Self>>(writes: I) -> Self {
        writes.into_iter().fold(Self::none(), Self::and)
    }
}

impl fmt::Display for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Update(_) | Self::Pipeline(_) => "an update",
            Self::Replace(_) => "a replacement",
            Self::Delete => "a removal",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_of_one_document_become_one() {
        let write = Write::set("a", 1).and(Write::set("b", 2)).and(Write::unset("c")).and(Write::none());
        let Own::Update(update) = &write.own else { panic!("{write:?}") };
        assert_eq!(update, &doc! { "$set": { "a": 1, "b": 2 }, "$unset": { "c": true } });
        assert!(write.problem(true).is_none() && !write.is_none() && Write::none().is_none());
        let wrong = Write::set("a", 1).and(Write::delete()).problem(false).unwrap();
        assert!(wrong.contains("cannot be combined"), "{wrong}");
    }

    #[test]
    fn what_may_not_be_repeated_is_refused_unless_it_happens_once() {
        let pushes = Write::update(doc! { "$push": { "log": 1 } });
        assert_eq!(pushes.problem(true).unwrap(), "`$push` would be applied twice after a failure");
        assert!(pushes.problem(false).is_none());
        let inserts = Write::insert("audit", &doc! { "a": 1 });
        assert!(inserts.problem(true).unwrap().contains("without an `_id`"));
        assert!(inserts.problem(false).is_none() && Write::insert("audit", &doc! { "_id": 1 }).problem(true).is_none());
    }

    #[test]
    fn ids_stay() {
        for update in [doc! { "$set": { "_id": 1 } }, doc! { "$set": { "_id.a": 1 } }, doc! { "$rename": { "a": "_id" } }] {
            assert_eq!(Write::update(update).problem(false).unwrap(), "an `_id` cannot be changed");
        }
        assert!(Write::update(doc! { "name": 1 }).problem(false).unwrap().contains("no update operator"));
        assert!(Write::replace("text").problem(false).unwrap().contains("not a document"));
    }
}
