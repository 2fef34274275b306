//! What the log says of a restore that has begun to replace collections: until its end, the database may hold only a part of the
//! dump.

use mongodb::bson::{Bson, Document, doc};

use super::origin;

/// The field of an event that says so.
const FIELD: &str = "partial";

/// A restore that may not have reached its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Partial {
    pub(crate) dump: String,
    /// The restore as on the command line: `restore:2026-02-03_04_05_06_789,only=users+posts`.
    pub(crate) task: String,
    /// The collections that it was to restore. `None` for all.
    pub(crate) only: Option<Vec<String>>,
    pub(crate) who: String,
    pub(crate) place: String,
}

impl Partial {
    /// A restore by this process.
    pub(crate) fn new(dump: &str, task: String, only: Option<&[String]>) -> Self {
        let (who, place) = origin::who_and_where();
        Self { dump: dump.to_owned(), task, only: only.map(<[_]>::to_vec), who: who.to_owned(), place: place.to_owned() }
    }

    /// Reads the last event of the restores. `None` if it does not say that the database may hold a part of a dump.
    pub(super) fn read(event: &Document) -> Option<Self> {
        let partial = event.get_document(FIELD).ok()?;
        let text = |key| partial.get_str(key).unwrap_or("unknown").to_owned();
        let names = |names: &Vec<Bson>| names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        Some(Self {
            dump: text("dump"),
            task: text("task"),
            only: partial.get_array("only").ok().map(names),
            who: text("who"),
            place: text("where"),
        })
    }

    /// Adds it to an event.
    pub(super) fn add_to(&self, event: &mut Document) {
        let mut partial = doc! { "dump": &self.dump, "task": &self.task, "who": &self.who, "where": &self.place };
        if let Some(only) = &self.only {
            partial.insert("only", only);
        }
        event.insert(FIELD, partial);
    }

    /// Whether a restore of these collections (`None` for all) replaces everything that this one was to restore.
    pub(crate) fn is_repaired_by(&self, only: Option<&[String]>) -> bool {
        match (&self.only, only) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(names), Some(only)) => names.iter().all(|name| only.contains(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restore_is_repaired_by_one_of_the_same_collections_or_of_all() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let new = |only| Partial::new("x", "restore:x".to_owned(), only);
        let (all, some) = (new(None), new(Some(&names(&["a", "b"])[..])));
        assert!(all.is_repaired_by(None) && some.is_repaired_by(None));
        assert!(!all.is_repaired_by(Some(&names(&["a", "b"]))));
        assert!(some.is_repaired_by(Some(&names(&["a", "b", "c"]))) && !some.is_repaired_by(Some(&names(&["a"]))));
        for partial in [all, some] {
            let mut event = doc! { "event": "restore_replaces" };
            partial.add_to(&mut event);
            assert_eq!(Partial::read(&event), Some(partial));
        }
        assert_eq!(Partial::read(&doc! { "event": "run_started", "subtask": "restore" }), None);
    }
}
