//! Recording what the commands of a client do, while a migration runs.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mongodb::bson::{Bson, Document};
use mongodb::event::command::CommandEvent;

use crate::model::{Counts, Effects};

/// Commands of the driver and of sessions. They do nothing to documents.
const SILENT: [&str; 8] =
    ["endSessions", "killCursors", "commitTransaction", "abortTransaction", "hello", "ping", "saslStart", "saslContinue"];

/// The most notable of the server's own databases: `renameCollection` and `bulkWrite` are sent there, about others.
const ADMIN: &str = "admin";

/// Records the commands of one client, for each database that has a migration under way. Nothing is recorded between migrations.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Recordings>);

#[derive(Default)]
struct Recordings {
    /// What was done so far, by the database of the run.
    open: HashMap<String, Recording>,
    /// The commands that are under way, by the driver's number for them.
    sent: HashMap<i32, Sent>,
}

/// What one migration has done so far.
#[derive(Default)]
struct Recording {
    effects: Effects,
    /// Whether all commands of the client are the migration's, whatever their database.
    has_client: bool,
}

/// A command that has no answer yet.
struct Sent {
    /// The database of the run that it belongs to.
    run_on: String,
    command: String,
    collection: String,
    filter: BTreeSet<String>,
}

impl Recorder {
    /// Begins to record for the run on that database, from nothing. `has_client` says that no other run uses the client: then
    /// commands on other databases are recorded too.
    pub(crate) fn start(&self, database: &str, has_client: bool) {
        let recording = Recording { has_client, ..Recording::default() };
        self.recordings().open.insert(database.to_owned(), recording);
    }

    /// Ends what [`start`](Self::start) began. Returns what was done since.
    pub(crate) fn end(&self, database: &str) -> Effects {
        self.recordings().open.remove(database).unwrap_or_default().effects
    }

    /// Notes what the migration on that database says, if one is under way.
    pub(crate) fn note(&self, database: &str, text: &str) {
        if let Some(recording) = self.recordings().open.get_mut(database) {
            recording.effects.note(text);
        }
    }

    /// Records a command (its name and collection) of another client, with its answer, for the migration on that database, if one is
    /// under way.
    pub(crate) fn add(
        &self,
        database: &str,
        (name, collection): (&str, &str),
        filter: &[&str],
        answer: &Document,
        took: Duration,
    ) {
        if let Some(recording) = self.recordings().open.get_mut(database) {
            let filter = filter.iter().map(|&key| key.to_owned()).collect();
            recording.effects.add(name, collection, filter, counts(name, answer, took));
        }
    }

    /// Takes an event of the driver.
    pub(super) fn observe(&self, event: &CommandEvent) {
        match event {
            CommandEvent::Started(event) => self.sent(event.request_id, &event.db, &event.command_name, &event.command),
            CommandEvent::Succeeded(event) => self.answered(event.request_id, event.duration, &event.reply),
            CommandEvent::Failed(event) => self.answered(event.request_id, event.duration, &Document::new()),
            _ => {}
        }
    }

    fn sent(&self, request: i32, database: &str, name: &str, command: &Document) {
        let mut recordings = self.recordings();
        if recordings.open.is_empty() || SILENT.contains(&name) {
            return;
        }
        let (database, collection) = target(database, name, command);
        let of_client = || recordings.open.iter().find(|(_, recording)| recording.has_client).map(|(run_on, _)| run_on);
        let Some(run_on) = recordings.open.get_key_value(&database).map(|(run_on, _)| run_on).or_else(of_client).cloned()
        else {
            return;
        };
        let collection = if database == run_on { collection } else { format!("{database}.{collection}") };
        let sent = Sent { run_on, command: name.to_owned(), collection, filter: filter_keys(command) };
        recordings.sent.insert(request, sent);
    }

    fn answered(&self, request: i32, took: Duration, reply: &Document) {
        let mut recordings = self.recordings();
        let Some(sent) = recordings.sent.remove(&request) else { return };
        let Some(recording) = recordings.open.get_mut(&sent.run_on) else { return };
        recording.effects.add(&sent.command, &sent.collection, sent.filter, counts(&sent.command, reply, took));
    }

    fn recordings(&self) -> MutexGuard<'_, Recordings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// The database and the collection that a command is about.
fn target(database: &str, name: &str, command: &Document) -> (String, String) {
    let first = || command.values().next().and_then(Bson::as_str);
    let value = match name {
        "getMore" => command.get_str("collection").ok(),
        // Its answer has totals only, so writes to several collections are a row of no collection.
        "bulkWrite" => match command.get_array("nsInfo").map(Vec::as_slice) {
            Ok([space]) => space.as_document().and_then(|space| space.get_str("ns").ok()),
            _ => None,
        },
        _ => first(),
    };
    match value {
        Some(space) if database == ADMIN => match space.split_once('.') {
            Some((database, collection)) => (database.to_owned(), collection.to_owned()),
            None => (database.to_owned(), space.to_owned()),
        },
        value => (database.to_owned(), value.unwrap_or_default().to_owned()),
    }
}

/// What a command did, as the server's answer says.
fn counts(name: &str, reply: &Document, took: Duration) -> Counts {
    let count = |document: &Document, key: &str| match document.get(key) {
        Some(Bson::Int32(count)) => u64::try_from(*count).unwrap_or(0),
        Some(Bson::Int64(count)) => u64::try_from(*count).unwrap_or(0),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "servers count in doubles at times")]
        Some(Bson::Double(count)) => *count as u64,
        _ => 0,
    };
    let mut counts = Counts { commands: 1, took, ..Counts::default() };
    match name {
        "insert" => counts.inserted = count(reply, "n"),
        "delete" => counts.deleted = count(reply, "n"),
        "update" => {
            counts.inserted = reply.get_array("upserted").map_or(0, Vec::len) as u64;
            counts.matched = count(reply, "n").saturating_sub(counts.inserted);
            counts.modified = count(reply, "nModified");
        }
        "findAndModify" | "findandmodify" => {
            if let Ok(last) = reply.get_document("lastErrorObject") {
                match (last.get_bool("updatedExisting"), last.contains_key("upserted")) {
                    (Ok(true), _) => (counts.matched, counts.modified) = (count(last, "n"), count(last, "n")),
                    (_, true) => counts.inserted = count(last, "n"),
                    (Ok(false), _) => {}
                    (Err(_), _) => counts.deleted = count(last, "n"),
                }
            }
        }
        "bulkWrite" => {
            counts.inserted = count(reply, "nInserted") + count(reply, "nUpserted");
            counts.matched = count(reply, "nMatched");
            counts.modified = count(reply, "nModified");
            counts.deleted = count(reply, "nDeleted");
        }
        _ => {}
    }
    counts
}

/// The fields that a command's filters ask for.
fn filter_keys(command: &Document) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for key in ["filter", "query"] {
        if let Ok(filter) = command.get_document(key) {
            add_keys(filter, &mut keys);
        }
    }
    // A batch of a thousand updates has the same fields in each, as a rule.
    for statements in ["updates", "deletes"].iter().filter_map(|key| command.get_array(key).ok()) {
        for statement in statements.iter().take(10).filter_map(Bson::as_document) {
            if let Ok(filter) = statement.get_document("q") {
                add_keys(filter, &mut keys);
            }
        }
    }
    let stages = command.get_array("pipeline").map(Vec::as_slice).unwrap_or_default();
    for stage in stages.iter().filter_map(Bson::as_document) {
        if let Ok(filter) = stage.get_document("$match") {
            add_keys(filter, &mut keys);
        }
    }
    keys
}

/// Adds the names of fields. Those of `$and`, `$or` and `$nor` are in the filters that they combine.
fn add_keys(filter: &Document, keys: &mut BTreeSet<String>) {
    for (key, value) in filter {
        match value {
            Bson::Array(filters) if key.starts_with('$') => {
                filters.iter().filter_map(Bson::as_document).for_each(|filter| add_keys(filter, keys));
            }
            _ => {
                keys.insert(key.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    fn keys(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Sends a command and its answer.
    fn send(recorder: &Recorder, database: &str, command: &Document, reply: &Document) {
        let name = command.keys().next().unwrap();
        recorder.sent(1, database, name, command);
        recorder.answered(1, Duration::from_millis(2), reply);
    }

    fn recorded(command: &Document, reply: &Document) -> Vec<crate::model::Effect> {
        let recorder = Recorder::default();
        recorder.start("blog", true);
        send(&recorder, "blog", command, reply);
        recorder.end("blog").rows
    }

    #[test]
    fn each_kind_of_write_is_counted_as_the_server_counts_it() {
        let update = doc! { "update": "users", "updates": [
            { "q": { "$or": [{ "slug": null }, { "name.first": "x" }] }, "u": {} }, { "q": { "email": "secret" }, "u": {} },
        ] };
        let row = &recorded(&update, &doc! { "n": 5, "nModified": 3, "upserted": [{ "index": 0, "_id": 1 }] })[0];
        assert_eq!((row.command.as_str(), row.collection.as_str()), ("update", "users"));
        assert_eq!((row.counts.matched, row.counts.modified, row.counts.inserted), (4, 3, 1));
        assert_eq!(row.filter, keys(&["email", "name.first", "slug"]));

        assert_eq!(recorded(&doc! { "insert": "a" }, &doc! { "n": 7 })[0].counts.inserted, 7);
        let delete = doc! { "delete": "a", "deletes": [{ "q": { "user": 1 }, "limit": 0 }] };
        let row = &recorded(&delete, &doc! { "n": 2_i64 })[0];
        assert_eq!((row.counts.deleted, &row.filter), (2, &keys(&["user"])));

        let modify = |last: Document| recorded(&doc! { "findAndModify": "a" }, &doc! { "lastErrorObject": last })[0].counts;
        assert_eq!(modify(doc! { "n": 1, "updatedExisting": true }).modified, 1);
        let upserted = modify(doc! { "n": 1, "updatedExisting": false, "upserted": 4 });
        assert_eq!((upserted.inserted, upserted.modified), (1, 0));
        assert_eq!(modify(doc! { "n": 1 }).deleted, 1);
        assert_eq!(modify(doc! { "n": 0, "updatedExisting": false }).deleted, 0);
    }

    #[test]
    fn a_command_is_told_by_the_collection_that_it_is_about() {
        let collection = |command: Document| recorded(&command, &doc! {})[0].collection.clone();
        assert_eq!(collection(doc! { "getMore": 77_i64, "collection": "users" }), "users");
        assert_eq!(collection(doc! { "createIndexes": "users" }), "users");
        assert_eq!(collection(doc! { "aggregate": 1 }), "");
        let recorder = Recorder::default();
        recorder.start("blog", true);
        send(&recorder, "admin", &doc! { "renameCollection": "blog.a", "to": "blog.b" }, &doc! {});
        send(&recorder, "archive", &doc! { "insert": "a" }, &doc! { "n": 1 });
        let rows: Vec<_> = recorder.end("blog").rows.into_iter().map(|row| row.collection).collect();
        assert_eq!(rows, ["a", "archive.a"]);
    }

    #[test]
    fn runs_on_several_databases_are_kept_apart() {
        let recorder = Recorder::default();
        recorder.start("a", false);
        send(&recorder, "b", &doc! { "insert": "y" }, &doc! { "n": 1 });
        recorder.start("b", false);
        send(&recorder, "a", &doc! { "insert": "x" }, &doc! { "n": 1 });
        send(&recorder, "b", &doc! { "insert": "y" }, &doc! { "n": 1 });
        send(&recorder, "c", &doc! { "insert": "z" }, &doc! { "n": 1 });
        recorder.note("b", "said");
        let (a, b) = (recorder.end("a"), recorder.end("b"));
        assert_eq!((a.rows.len(), a.rows[0].collection.as_str(), a.notes.len()), (1, "x", 0));
        assert_eq!((b.rows.len(), b.rows[0].collection.as_str(), b.notes.len()), (1, "y", 1));
    }

    #[test]
    fn nothing_is_recorded_between_migrations() {
        let recorder = Recorder::default();
        send(&recorder, "blog", &doc! { "insert": "x" }, &doc! { "n": 1 });
        recorder.note("blog", "said");
        recorder.start("blog", true);
        send(&recorder, "blog", &doc! { "commitTransaction": 1 }, &doc! {});
        assert_eq!(recorder.end("blog"), Effects::default());
    }
}
