//! Notes what a backfill replaces, so that the migration's `down` can put it back. It is written before the document itself.

use mongodb::bson::{Bson, DateTime, Document, RawDocument, doc};

use super::effect::{self, After};
use super::guard::top_level;
use super::settings::Settings;
use super::write::{Change, Other, Own, Write};
use crate::db::{Db, Migrating};
use crate::error::{Error, Result};
use crate::model::Direction;
use crate::store::undo_id;

/// How long it is kept, unless the backfill says so.
pub(super) const DAYS: u32 = 30;

/// How large the server lets a document be.
const LARGEST: usize = 16 << 20;

/// The part of a migration's undo log that is one backfill's.
#[derive(Clone, Debug)]
pub(super) struct UndoLog {
    /// Its collection.
    pub(super) name: String,
    collection: String,
    label: String,
    days: u32,
}

/// Which fields a write with an undo log depends on, in addition to those that the closure read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Touched {
    /// The top-level fields that it changes.
    Fields(Vec<String>),
    /// The complete document: all of it is kept.
    Complete,
}

impl UndoLog {
    /// The undo log, if the backfill is to have one. An error where it cannot.
    pub(super) fn of(db: &Db, settings: &Settings, is_pipeline: bool) -> Result<Option<Self>> {
        let Some(days) = settings.undo_days else { return Ok(None) };
        let collection = &settings.collection;
        let refused = |why: &str| Error::usage(format!("the backfill of `{collection}` cannot have an undo log: {why}"));
        if is_pipeline {
            let why = "the server computes the writes of a pipeline, so the old values are not known here (use `each`)";
            return Err(refused(why).into());
        }
        let Some(of) = db.migrating() else {
            return Err(refused("it belongs to a migration, and this is a subtask").into());
        };
        if of.direction != Direction::Up.as_str() {
            return Err(refused("it is for the `up` of a migration, and this is its `down`").into());
        }
        Ok(Some(Self {
            name: of.store.undo_log_name(&of.stem),
            collection: collection.clone(),
            label: settings.label_or_collection().to_owned(),
            days,
        }))
    }

    /// Makes its collection ready.
    pub(super) async fn begin(&self, of: &Migrating) -> Result<()> {
        Ok(of.store.begin_undo_log(&of.stem, &self.collection, &self.label, self.days).await?)
    }

    /// Adds the document of the log to the write for a document. What changes nothing is not written.
    pub(super) fn add_to(&self, read: &RawDocument, mut write: Write) -> Result<(Write, Touched), String> {
        let read = Document::try_from(read).map_err(|error| error.to_string())?;
        let after = effect::after(&read, &write.own).map_err(|why| {
            format!("its write cannot be undone: {why} (with an undo log, a write is made of `$set`, `$unset`, a replacement or a deletion)")
        })?;
        let (about, touched) = match (&write.own, after) {
            (_, After::Same) => {
                write.own = Own::Nothing;
                return Ok((write, Touched::Fields(Vec::new())));
            }
            (_, After::Deleted) => (doc! { "kind": "delete", "document": &read }, Touched::Complete),
            (Own::Update(update), After::Changed(new)) => {
                let paths = effect::touched(&read, &new, update);
                let values = |of: &Document| -> Document {
                    paths.iter().filter_map(|path| Some((path.clone(), effect::at(of, path)?.clone()))).collect()
                };
                let missing: Vec<&String> = paths.iter().filter(|path| effect::at(&read, path).is_none()).collect();
                let about = doc! { "kind": "update", "was": values(&read), "missing": missing, "now": values(&new) };
                let mut fields: Vec<String> = paths.iter().map(|path| top_level(path).to_owned()).collect();
                fields.dedup();
                (about, Touched::Fields(fields))
            }
            (_, After::Changed(new)) => (doc! { "kind": "replace", "document": &read, "now": new }, Touched::Complete),
        };
        let id = read.get("_id").cloned().unwrap_or(Bson::Null);
        let mut entry = doc! { "_id": undo_id(&self.collection, &self.label, id), "at": DateTime::now() };
        entry.extend(about);
        let size = mongodb::bson::RawDocumentBuf::try_from(&entry).map_err(|error| error.to_string())?.as_bytes().len();
        if size > LARGEST {
            return Err("its old and new values are too large for one document of the undo log".into());
        }
        write.others.push(Other { collection: self.name.clone(), change: Change::Insert(entry) });
        Ok((write, touched))
    }

    /// How many bytes of it a write has.
    pub(super) fn size_of(&self, write: &Write) -> usize {
        let own = write.others.iter().filter(|other| other.collection == self.name);
        let size = |other: &Other| match &other.change {
            Change::Insert(entry) => mongodb::bson::RawDocumentBuf::try_from(entry).map_or(0, |raw| raw.as_bytes().len()),
            Change::Update(..) | Change::Delete(_) => 0,
        };
        own.map(size).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{RawDocumentBuf, rawdoc};

    fn log() -> UndoLog {
        UndoLog { name: "undo".into(), collection: "users".into(), label: "users".into(), days: 30 }
    }

    fn entry(read: &RawDocumentBuf, write: Write) -> (Document, Touched) {
        let (write, touched) = log().add_to(read, write).unwrap();
        let Change::Insert(mut entry) = write.others[0].change.clone() else { panic!() };
        assert!(entry.remove("at").is_some() && log().size_of(&write) > 30);
        assert_eq!(entry.remove("_id").unwrap(), doc! { "collection": "users", "label": "users", "id": 1 }.into());
        (entry, touched)
    }

    #[test]
    fn it_has_the_old_values_of_what_changes() {
        let read = rawdoc! { "_id": 1, "name": "Ada", "address": { "city": "a", "zip": 1 }, "old": true };
        let write = Write::set("address.city", "b").and(Write::set("slug", "ada")).and(Write::set("name", "Ada"));
        let (update, touched) = entry(&read, write.and(Write::unset("old")));
        assert_eq!(
            update,
            doc! {
                "kind": "update",
                "was": { "address.city": "a", "old": true }, "missing": ["slug"], "now": { "address.city": "b", "slug": "ada" },
            }
        );
        assert_eq!(touched, Touched::Fields(vec!["address".into(), "old".into(), "slug".into()]));
        let old = Document::try_from(&*read).unwrap();
        assert_eq!(entry(&read, Write::delete()), (doc! { "kind": "delete", "document": &old }, Touched::Complete));
        let replaced = doc! { "kind": "replace", "document": old, "now": { "_id": 1, "a": 1 } };
        assert_eq!(entry(&read, Write::replace(&doc! { "a": 1 })), (replaced, Touched::Complete));
    }

    #[test]
    fn what_changes_nothing_is_not_written_and_what_cannot_be_undone_fails() {
        let read = rawdoc! { "_id": 1, "name": "Ada" };
        let (write, _) = log().add_to(&read, Write::set("name", "Ada")).unwrap();
        assert!(write.is_none());
        let why = log().add_to(&read, Write::update(doc! { "$max": { "n": 1 } })).unwrap_err();
        assert!(why.starts_with("its write cannot be undone: it has `$max` (with an undo log"), "{why}");
        assert!(log().add_to(&read, Write::pipeline([doc! {}])).unwrap_err().contains("it is a pipeline"));
    }
}
