//! Documents for which there is no write: they do not decode, the closure fails, or the server refuses what it returned.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::settings::Settings;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::model::shell;
use crate::report::failures_text;
use crate::store::{FAILURES_KEPT, StoredFailure};

/// The failures of one process in one backfill, in the present pass over the collection.
///
/// A pass that asks the filter again finds those of the pass before again, so it begins with none.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: Cell<u64>,
    /// By the number of the range. Not more than are kept.
    kept: RefCell<BTreeMap<i32, Vec<StoredFailure>>>,
}

impl Failures {
    /// Notes that a document of a range has no write. An error if that is more than are tolerated.
    pub(super) fn add(&self, settings: &Settings, number: i32, failure: StoredFailure) -> Result<()> {
        self.with(settings, std::slice::from_ref(&failure))?;
        self.count.set(self.count.get() + 1);
        let mut kept = self.kept.borrow_mut();
        if kept.values().map(Vec::len).sum::<usize>() < FAILURES_KEPT {
            kept.entry(number).or_default().push(failure);
        }
        Ok(())
    }

    /// An error if, with these too, more documents have failed than are tolerated.
    pub(super) fn with(&self, settings: &Settings, further: &[StoredFailure]) -> Result<()> {
        // The first of them that is one too many.
        let place = settings.tolerated.saturating_sub(self.count.get());
        let first = usize::try_from(place).ok().and_then(|place| further.get(place));
        within(settings, self.count.get() + further.len() as u64, first.or(further.last()))
    }

    /// An error if more documents have failed than are tolerated.
    pub(super) fn within(&self, settings: &Settings) -> Result<()> {
        within(settings, self.count.get(), self.all().last())
    }

    /// Those of one range, for its mark.
    pub(super) fn of(&self, number: i32) -> Vec<StoredFailure> {
        self.kept.borrow().get(&number).cloned().unwrap_or_default()
    }

    /// Takes what all processes have stored for the ranges that are done.
    pub(super) fn stored(&self, (count, failures): (u64, Vec<StoredFailure>)) {
        self.count.set(count);
        *self.kept.borrow_mut() = BTreeMap::from([(0, failures)]);
    }

    /// A pass begins that looks at all of them again.
    pub(super) fn begin_again(&self) {
        self.stored((0, Vec::new()));
    }

    pub(super) fn count(&self) -> u64 {
        self.count.get()
    }

    /// The first ones.
    pub(super) fn all(&self) -> Vec<StoredFailure> {
        self.kept.borrow().values().flatten().take(FAILURES_KEPT).cloned().collect()
    }

    /// Lists them at the end of the backfill.
    pub(super) fn list(&self, db: &Db, settings: &Settings) {
        if self.count() > 0 {
            db.warning(failures_text(&settings.collection, self.count(), &self.all()));
        }
    }
}

/// An error if that many failed documents are more than are tolerated.
fn within(settings: &Settings, count: u64, last: Option<&StoredFailure>) -> Result<()> {
    let (Settings { collection, tolerated, .. }, Some(StoredFailure { id, why })) = (settings, last) else { return Ok(()) };
    if count <= *tolerated {
        return Ok(());
    }
    let last = format!("the document with `_id` {} of `{collection}`: {why}", shell(id));
    let text = match tolerated {
        // The advice is part of the message: a migration's error is printed as a cause, which has no hint of its own.
        0 => format!("{last} (`.tolerate(n)` goes on until more than n documents have failed, and lists them at the end)"),
        _ => format!("{count} documents failed, more than the {tolerated} that are tolerated; the last one was {last}"),
    };
    Err(Error::failed(text).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::Bson;

    fn failure(id: Bson, why: &str) -> StoredFailure {
        StoredFailure { id, why: why.to_owned() }
    }

    fn settings(tolerated: u64) -> Settings {
        Settings { collection: "users".into(), tolerated, ..Settings::default() }
    }

    #[test]
    fn the_first_one_is_an_error_unless_it_is_tolerated() {
        let failures = Failures::default();
        let error = failures.add(&settings(0), 0, failure("ada".into(), "does not decode")).unwrap_err().to_string();
        assert!(error.starts_with("the document with `_id` \"ada\" of `users`: does not decode (`.tolerate(n)`"), "{error}");
        let failures = Failures::default();
        for number in 0..2 {
            failures.add(&settings(2), number, failure(number.into(), "no")).unwrap();
        }
        let error = failures.add(&settings(2), 2, failure(9.into(), "no")).unwrap_err().to_string();
        assert_eq!(
            error,
            "3 documents failed, more than the 2 that are tolerated; the last one was the document with `_id` 9 of `users`: no"
        );
    }

    #[test]
    fn not_all_of_them_are_kept() {
        let failures = Failures::default();
        for id in 0..150 {
            failures.add(&settings(u64::MAX), id / 60, failure(id.into(), "no")).unwrap();
        }
        assert_eq!(
            (failures.count(), failures.all().len(), failures.of(0).len(), failures.of(2)),
            (150, 100, 60, Vec::new())
        );
        failures.begin_again();
        assert_eq!((failures.count(), failures.all()), (0, Vec::new()));
    }
}
