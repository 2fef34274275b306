//! The log: start and end of every run and of every migration in it. Documents are only ever added.
//!
//! Events are ordered by the number of the run (its fence) and their place in it, not by time: a run that was frozen may write
//! late, and its events still belong to the time before.

use std::time::Duration;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::partial::Partial;
use super::{Fence, Store, effects};
use crate::model::{Direction, Effects, State, Subject, file_name};
use crate::terminal;

/// How much of an error's text is kept, in bytes.
const ERROR_LIMIT: usize = 4096;

/// One run, as all its events and its lease name it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    /// The subtask that it carries out: `execute`.
    pub(crate) subtask: &'static str,
    /// The task as on the command line: `execute:0002_x`.
    pub(crate) command: String,
}

impl Run {
    pub(crate) fn new(subtask: &'static str, command: String) -> Self {
        Self { id: ObjectId::new().to_hex(), subtask, command }
    }
}

/// How a migration's `up` or `down`, or a complete run, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Done,
    Failed,
    /// Stopped on request. A run stops after a migration; a transactional migration has had no effect.
    Aborted,
    /// Its result no longer counts: the database was restored to an earlier state.
    Restored,
    /// A restore was cut off, and a person has decided that the database is right as it is.
    Accepted,
}

impl Ended {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Restored => "restored",
            Self::Accepted => "accepted",
        }
    }

    fn read(text: &str) -> Option<Self> {
        let all = [Self::Done, Self::Failed, Self::Aborted, Self::Restored, Self::Accepted];
        all.into_iter().find(|ended| ended.as_str() == text)
    }
}

/// The last that the log knows of a migration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attempt {
    pub(crate) name: String,
    pub(crate) run: String,
    pub(crate) fence: i64,
    pub(crate) direction: Direction,
    pub(crate) is_transactional: bool,
    /// Whether it was registered when this began, and what its state was.
    pub(crate) was_registered: bool,
    pub(crate) before: State,
    /// Whether it was an `up` that was interrupted before, and nothing that may have had an effect ran since.
    pub(crate) was_in_up: bool,
    /// `None` if it began and its end is not known.
    pub(crate) ended: Option<Ended>,
    pub(crate) at: Option<DateTime>,
    pub(crate) who: String,
    pub(crate) place: String,
    pub(crate) error: Option<String>,
}

impl Attempt {
    /// Reads an event. A document that is not an event of a migration gives `None`, not an error.
    pub(super) fn read(event: &Document) -> Option<Self> {
        let text = |key| event.get_str(key).ok();
        Some(Self {
            name: text("name")?.to_owned(),
            run: text("run")?.to_owned(),
            fence: event.get_i64("fence").ok()?,
            direction: Direction::read(text("direction")?)?,
            is_transactional: event.get_bool("transactional").unwrap_or(false),
            was_registered: event.get_bool("was_registered").unwrap_or(false),
            before: text("before").and_then(State::read).unwrap_or(State::Unregistered),
            was_in_up: text("interrupted").and_then(Direction::read) == Some(Direction::Up),
            ended: text("outcome").and_then(Ended::read),
            at: event.get_datetime("at").ok().copied(),
            who: text("who").unwrap_or("unknown").to_owned(),
            place: text("where").unwrap_or("unknown").to_owned(),
            error: text("error").map(str::to_owned),
        })
    }
}

/// Creates the events of one run, in order.
#[derive(Debug)]
pub(crate) struct Record {
    registry: String,
    run: Run,
    fence: i64,
    epoch: String,
    seq: i64,
}

impl Record {
    pub(crate) fn new(store: &Store, run: &Run, fence: &Fence) -> Self {
        Self {
            registry: store.registry_name().to_owned(),
            run: run.clone(),
            fence: fence.number(),
            epoch: fence.epoch().to_owned(),
            seq: 0,
        }
    }

    /// `dump` is the dump that was taken before the run.
    pub(crate) fn run_started(&mut self, migrations: usize, dump: Option<&str>, at: DateTime) -> Document {
        let mut event = self.event("run_started", at);
        event.extend(super::origin::sources());
        if let Some(dump) = dump {
            event.insert("dump", dump);
        }
        event.insert("migrations", i64::try_from(migrations).unwrap_or(i64::MAX));
        event
    }

    /// The end of a run after which no migration is open, in this run or any earlier one under this lock. `has_unique_names`: the
    /// server keeps the registry's names unique.
    pub(crate) fn run_settled(&mut self, done: usize, took: Duration, has_unique_names: bool, at: DateTime) -> Document {
        let mut event = self.run_ended(done, took, Ended::Done, at);
        event.insert("settled", &self.epoch);
        event.insert("unique_names", has_unique_names);
        event
    }

    pub(crate) fn run_ended(&mut self, done: usize, took: Duration, outcome: Ended, at: DateTime) -> Document {
        let mut event = self.event("run_ended", at);
        event.insert("migrations", i64::try_from(done).unwrap_or(i64::MAX));
        end(&mut event, took, outcome, None);
        event
    }

    pub(crate) fn migration_started(&mut self, about: &About<'_>, at: DateTime) -> Document {
        let mut event = self.event("migration_started", at);
        event.extend(super::origin::sources());
        event.extend(about.document());
        event
    }

    pub(crate) fn migration_ended(
        &mut self,
        about: &About<'_>,
        took: Duration,
        outcome: Ended,
        error: Option<&str>,
        effects: &Effects,
        at: DateTime,
    ) -> Document {
        let mut event = self.event("migration_ended", at);
        event.extend(about.document());
        end(&mut event, took, outcome, error);
        event.extend(effects::document(effects));
        event
    }

    /// The start of a restore of a dump. If an earlier one was cut off, this event says so too.
    pub(crate) fn restore_started(&mut self, dump: &str, cut_off: Option<&Partial>, at: DateTime) -> Document {
        let mut event = self.run_started(0, Some(dump), at);
        cut_off.iter().for_each(|partial| partial.add_to(&mut event));
        event
    }

    /// From here on until the end of the restore, the database may hold only a part of the dump.
    pub(crate) fn restore_replaces(&mut self, partial: &Partial, at: DateTime) -> Document {
        let mut event = self.event("restore_replaces", at);
        event.insert("dump", &partial.dump);
        partial.add_to(&mut event);
        event
    }

    /// The end of a restore that did not succeed, after which the database may hold only a part of a dump.
    pub(crate) fn restore_failed(
        &mut self,
        took: Duration,
        outcome: Ended,
        error: &str,
        partial: Option<&Partial>,
        at: DateTime,
    ) -> Document {
        let mut event = self.event("run_ended", at);
        event.insert("migrations", 0_i64);
        end(&mut event, took, outcome, Some(error));
        partial.iter().for_each(|partial| partial.add_to(&mut event));
        event
    }

    /// Records that the result of an attempt no longer counts.
    pub(crate) fn migration_restored(&mut self, attempt: &Attempt, at: DateTime) -> Document {
        let mut event = self.event("migration_ended", at);
        event.insert("name", &attempt.name);
        event.insert("direction", attempt.direction.as_str());
        event.insert("transactional", attempt.is_transactional);
        event.insert("was_registered", attempt.was_registered);
        event.insert("outcome", Ended::Restored.as_str());
        event
    }

    fn event(&mut self, event: &str, at: DateTime) -> Document {
        self.seq += 1;
        let mut document = doc! {
            "_id": ObjectId::new(),
            "registry": &self.registry,
            "event": event,
            "run": &self.run.id,
            "fence": self.fence,
            "seq": self.seq,
            "at": at,
            "subtask": self.run.subtask,
            "command": &self.run.command,
            "pid": i64::from(std::process::id()),
        };
        document.extend(super::origin::document());
        document
    }
}

/// The migration that an event is about, and where it stood when it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'m> {
    pub(crate) migration: Subject<'m>,
    pub(crate) direction: Direction,
    pub(crate) is_transactional: bool,
    pub(crate) was_registered: bool,
    pub(crate) before: State,
    /// Whether it was an `up` that was interrupted before, and nothing that may have had an effect ran since.
    pub(crate) was_in_up: bool,
    /// The name under which it is registered, if it gets a new one.
    pub(crate) registered_as: Option<&'m str>,
}

impl About<'_> {
    fn document(&self) -> Document {
        let mut document = doc! {
            "name": self.migration.name,
            "number": self.migration.number,
            "checksum": self.migration.checksum,
            "direction": self.direction.as_str(),
            "transactional": self.is_transactional,
            "was_registered": self.was_registered,
            "before": self.before.as_str(),
        };
        if self.was_in_up {
            document.insert("interrupted", Direction::Up.as_str());
        }
        if let Some(name) = self.registered_as {
            document.insert("registered_as", name);
        }
        document
    }
}

fn end(event: &mut Document, took: Duration, outcome: Ended, error: Option<&str>) {
    event.insert("outcome", outcome.as_str());
    event.insert("duration_ms", i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
    if let Some(error) = error {
        let error = terminal::scrub(error);
        event.insert("error", &error[..error.floor_char_boundary(ERROR_LIMIT)]);
    }
}

impl Store {
    /// Reads the log's events in order: all, or those of the migration with that stem or number.
    pub(crate) async fn history(&self, stem: Option<&str>) -> mongodb::error::Result<Vec<Document>> {
        let mut filter = doc! { "registry": self.registry_name() };
        if let Some(stem) = stem {
            // A migration is known by its stem: the file's ending may change.
            let pattern = if file_name::is_number(stem) {
                format!("^0*{}(_|$)", stem.trim_start_matches('0'))
            } else {
                format!("^{}(\\.[^.]*)?$", regex::escape(stem))
            };
            filter.insert("name", doc! { "$regex": pattern });
        }
        let mut cursor =
            self.log().find(filter).sort(doc! { "fence": 1, "seq": 1 }).projection(doc! { "_id": 0, "registry": 0 }).await?;
        let mut events = Vec::new();
        while cursor.advance().await? {
            events.push(Document::try_from(cursor.current())?);
        }
        Ok(events)
    }

    /// The last run's first event.
    pub(crate) async fn last_start(&self) -> mongodb::error::Result<Option<Document>> {
        let starts = doc! { "registry": self.registry_name(), "event": "run_started" };
        self.log().find_one(starts).sort(doc! { "fence": -1, "seq": -1 }).await
    }

    /// The migration that a run is working on, and for how long by the server's clock.
    pub(crate) async fn running(&self, run: &str) -> mongodb::error::Result<Option<(String, Option<Duration>)>> {
        let pipeline = [
            doc! { "$match": { "run": run } },
            doc! { "$sort": { "seq": -1 } },
            doc! { "$limit": 1 },
            doc! { "$match": { "event": "migration_started" } },
            doc! { "$project": { "name": 1, "for": { "$subtract": ["$$NOW", "$at"] } } },
        ];
        let mut cursor = self.log().aggregate(pipeline).await?;
        if !cursor.advance().await? {
            return Ok(None);
        }
        let event = Document::try_from(cursor.current())?;
        let time = event.get_i64("for").ok().and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        Ok(event.get_str("name").ok().map(|name| (file_name::stem(name).to_owned(), time)))
    }
}

/// A new `_id` for an entry of the registry.
pub(crate) fn new_id() -> Bson {
    ObjectId::new().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_read_off_its_last_event() {
        let event = doc! {
            "event": "migration_started", "name": "1_a.rs", "run": "r", "fence": 3_i64, "direction": "down",
            "was_registered": true, "before": "registered",
        };
        let attempt = Attempt::read(&event).unwrap();
        assert_eq!((attempt.direction, attempt.ended, attempt.before), (Direction::Down, None, State::Registered));
        assert!(!attempt.was_in_up);
        let mut of_interrupted = event.clone();
        of_interrupted.extend(doc! { "before": "interrupted", "interrupted": "up" });
        assert!(Attempt::read(&of_interrupted).unwrap().was_in_up);
        assert!(Attempt::read(&doc! { "event": "run_started", "run": "r" }).is_none());
        assert!(Attempt::read(&doc! { "name": 7, "fence": "x" }).is_none());
    }

    #[test]
    fn errors_are_kept_without_passwords_and_not_for_ever() {
        let mut event = doc! {};
        let long = format!("mongodb://u:hush@h/{}", "é".repeat(ERROR_LIMIT));
        end(&mut event, Duration::from_secs(1), Ended::Failed, Some(&long));
        let kept = event.get_str("error").unwrap();
        assert!(kept.len() <= ERROR_LIMIT && kept.starts_with("mongodb://***@h/"), "{kept}");
    }
}
