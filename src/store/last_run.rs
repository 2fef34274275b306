//! What the last run has registered, by the log.
//!
//! An entry's own `run` does not say it: a run that accepts a file's new code puts its own there. So the log's ends decide. On a
//! standalone server the log is written after the registry, and may lack an end: then the entry does.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::error::Result;

use super::Store;
use super::log::Ended;
use super::registry::Entry;
use crate::model::Direction;
use crate::model::file_name::stem;

impl Store {
    /// The stems of the migrations that were registered by the last run that registered any, as far as they still are.
    pub(crate) async fn last_run(&self, entries: &[Entry], session: &mut ClientSession) -> Result<Vec<String>> {
        let directions = [Direction::Up, Direction::Ignore, Direction::Accept].map(Direction::as_str);
        let filter = doc! { "registry": self.registry_name(), "direction": { "$in": &directions[..] } };
        let fields = doc! { "_id": 0, "event": 1, "run": 1, "name": 1, "direction": 1, "outcome": 1, "registered_as": 1 };
        let newest_first = doc! { "fence": -1, "seq": -1 };
        let mut cursor = self.log().find(filter).sort(newest_first).projection(fields).session(&mut *session).await?;
        let mut search = Search::new(entries);
        while cursor.advance(session).await? {
            if let Ok(event) = Document::try_from(cursor.current())
                && search.is_done_at(&event)
            {
                break;
            }
        }
        Ok(search.found.into_iter().collect())
    }
}

/// Looks through the log's events, the newest first.
struct Search<'e> {
    entries: &'e [Entry],
    /// The run whose events are being read.
    run: String,
    /// Whether it has registered anything.
    has_registered: bool,
    /// What it has registered, as far as that still is.
    found: BTreeSet<String>,
    /// Stems that were given up for another one since.
    renamed: BTreeMap<String, String>,
}

impl<'e> Search<'e> {
    fn new(entries: &'e [Entry]) -> Self {
        Self { entries, run: String::new(), has_registered: false, found: BTreeSet::new(), renamed: BTreeMap::new() }
    }

    /// Takes an event in. Returns whether the search is over: the event is of an earlier run than the one that was looked for.
    fn is_done_at(&mut self, event: &Document) -> bool {
        let text = |key| event.get_str(key).unwrap_or_default();
        if self.run != text("run") {
            if self.has_registered {
                return true;
            }
            text("run").clone_into(&mut self.run);
        }
        let name = self.present(stem(text("name")));
        let is_done = text("outcome") == Ended::Done.as_str();
        if text("direction") == Direction::Accept.as_str() {
            if let (true, Ok(before)) = (is_done, event.get_str("registered_as")) {
                self.renamed.insert(stem(before).to_owned(), name);
            }
            return false;
        }
        // Without its end, the entry says whether the run has registered it.
        let is_registered =
            |entry: &Entry| stem(&entry.name) == name && entry.run.as_ref().is_some_and(|run| is_done || *run == self.run);
        let may_have = is_done || text("event") == "migration_started";
        let is_found = may_have && self.entries.iter().any(is_registered);
        self.has_registered |= is_done || is_found;
        self.found.extend(is_found.then_some(name));
        false
    }

    /// The stem that a migration has now.
    fn present(&self, stem: &str) -> String {
        self.renamed.get(stem).map_or(stem, String::as_str).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(run: &str, event: &str, direction: &str, name: &str) -> Document {
        let mut document = doc! { "run": run, "event": event, "direction": direction, "name": name };
        if event == "migration_ended" {
            document.insert("outcome", "done");
        }
        document
    }

    fn entry(name: &str, run: &str) -> Entry {
        Entry { name: name.into(), run: Some(run.into()), ..Entry::default() }
    }

    /// The events are given in the order in which they were written.
    fn found(entries: &[Entry], events: &[Document]) -> Vec<String> {
        let mut search = Search::new(entries);
        let _ = events.iter().rev().any(|event| search.is_done_at(event));
        search.found.into_iter().collect()
    }

    const START: &str = "migration_started";
    const END: &str = "migration_ended";

    #[test]
    fn what_was_accepted_since_was_registered_by_the_run_before() {
        let entries =
            [entry("1_a.rs", "one"), entry("2_b.rs", "two"), entry("3_c.rs", "accepts"), entry("9_d.rs", "renames")];
        let renamed = |kind| {
            let mut document = event("renames", kind, "accept", "9_d.rs");
            document.insert("registered_as", "4_d.rs");
            document
        };
        let events = [
            event("one", END, "up", "1_a.rs"),
            event("two", END, "up", "2_b.rs"),
            event("two", END, "ignore", "3_c.rs"),
            event("two", END, "up", "4_d.rs"),
            event("accepts", START, "accept", "3_c.rs"),
            event("accepts", END, "accept", "3_c.rs"),
            renamed(START),
            renamed(END),
        ];
        assert_eq!(found(&entries, &events), ["2_b", "3_c", "9_d"]);
        // What was rolled back or forgotten is not registered any more.
        assert_eq!(found(&entries[..2], &events), ["2_b"]);
    }

    #[test]
    fn a_run_that_registered_nothing_does_not_count() {
        let entries = [entry("1_a.rs", "one")];
        let mut failed = event("three", END, "up", "3_c.rs");
        failed.insert("outcome", "failed");
        let events = [event("one", END, "up", "1_a.rs"), event("three", START, "up", "3_c.rs"), failed];
        assert_eq!(found(&entries, &events), ["1_a"]);
        // One whose migrations were rolled back does: said twice, the same line undoes no more.
        let events = [event("one", END, "up", "1_a.rs"), event("two", END, "up", "2_b.rs")];
        assert!(found(&entries, &events).is_empty());
    }

    #[test]
    fn an_end_that_is_missing_in_the_log_is_the_entrys() {
        let entries = [entry("1_a.rs", "one"), entry("2_b.rs", "two")];
        let events = [event("one", END, "up", "1_a.rs"), event("two", START, "up", "2_b.rs")];
        assert_eq!(found(&entries, &events), ["2_b"]);
        assert_eq!(found(&entries[..1], &events), ["1_a"], "it was killed");
        let by_hand = Entry { run: None, ..entry("1_a.rs", "") };
        assert!(found(&[by_hand], &events).is_empty(), "migopy registered it since");
    }
}
