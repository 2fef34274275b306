//! The records that other tools keep of what they ran, as their sources write them. They are only ever read.

use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};

use super::fence::as_integer;
use super::{Store, Tool};

/// What another tool's record says of a migration.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Theirs {
    /// What the tool calls it.
    pub(crate) name: String,
    /// Other names that its file may have here.
    pub(crate) other_names: Vec<String>,
    pub(crate) outcome: Outcome,
    pub(crate) at: Option<DateTime>,
    pub(crate) who: Option<String>,
    pub(crate) place: Option<String>,
    pub(crate) took: Option<Duration>,
    /// Whether everything with a lower number is done as well.
    pub(crate) covers_lower: bool,
}

/// How it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Outcome {
    #[default]
    Done,
    /// It was rolled back.
    Undone,
    /// It failed, or was interrupted. The text is the tool's own word for that.
    Bad(String),
}

impl Tool {
    /// The collection that it writes to unless it is configured otherwise.
    pub(crate) fn collection(self) -> &'static str {
        match self {
            Self::MigrateMongo => "changelog",
            Self::MongoMigrateKit => "_mmk_migrations",
            Self::PymongoMigrate => "pymongo_migrate",
            Self::MongodbMigrations => "database_migrations",
            Self::Mongomig => "__mongomig_migrations",
            Self::Mongock => "mongockChangeLog",
            Self::GolangMigrate => "schema_migrations",
        }
    }

    /// Reads its records, in the order in which they were written. Fails with the `_id` of a document that is none of them.
    pub(crate) fn read(self, documents: &[Document]) -> Result<Vec<Theirs>, Bson> {
        let mut all: Vec<Theirs> = Vec::new();
        for document in documents {
            let Some(read) = self.read_one(document) else {
                return Err(document.get("_id").cloned().unwrap_or(Bson::Null));
            };
            let Some(theirs) = read else { continue };
            // Mongock adds a record each time. The last one counts.
            match all.iter_mut().find(|earlier| earlier.name == theirs.name) {
                Some(earlier) => *earlier = theirs,
                None => all.push(theirs),
            }
        }
        Ok(all)
    }

    /// `None` for a document that is not one of its records, and `Some(None)` for one that says nothing about a migration.
    fn read_one(self, document: &Document) -> Option<Option<Theirs>> {
        let text = |key| document.get_str(key).ok().map(str::to_owned);
        let time = |key| document.get_datetime(key).ok().copied();
        let took = |key| number(document, key).and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        let bad = |word: Option<&str>| Outcome::Bad(word.unwrap_or("unknown").to_owned());
        let theirs = match self {
            Self::MigrateMongo => Theirs { name: text("fileName")?, at: time("appliedAt"), ..Theirs::default() },
            Self::MongoMigrateKit => Theirs {
                name: text("name")?,
                outcome: match document.get_str("status").ok()? {
                    "applied" => Outcome::Done,
                    "reverted" => Outcome::Undone,
                    other => bad(Some(other)),
                },
                at: time("appliedAt"),
                who: text("executedBy"),
                took: took("duration"),
                ..Theirs::default()
            },
            Self::PymongoMigrate => Theirs {
                name: text("name")?,
                outcome: match document.get("applied")? {
                    Bson::Null => Outcome::Undone,
                    _ => Outcome::Done,
                },
                at: time("applied"),
                ..Theirs::default()
            },
            Self::MongodbMigrations => {
                Theirs { name: text("migration_datetime")?, at: time("created_at"), ..Theirs::default() }
            }
            Self::Mongomig => {
                let (name, meta) = (text("_id")?, document.get_document("meta").ok());
                let description = text("description").unwrap_or_default();
                let of_meta = |key| meta.and_then(|meta| meta.get_str(key).ok()).map(str::to_owned);
                Theirs {
                    other_names: vec![format!("{name}_{description}"), description],
                    name,
                    // It takes a record without a status for applied.
                    outcome: match document.get_str("status") {
                        Ok("applied") | Err(_) => Outcome::Done,
                        Ok(other) => bad(Some(other)),
                    },
                    at: time("applied_at"),
                    who: of_meta("user"),
                    place: of_meta("hostname"),
                    took: took("execution_time_ms"),
                    ..Theirs::default()
                }
            }
            Self::Mongock => {
                let name = text("changeId")?;
                let is_own = document.get_bool("systemChange").unwrap_or(false) || name.starts_with("system-change-");
                let is_before = document.get_str("type").is_ok_and(|kind| kind.starts_with("BEFORE"));
                let outcome = match document.get_str("state") {
                    // Old versions write no state.
                    Ok("EXECUTED") | Err(_) => Outcome::Done,
                    Ok("ROLLED_BACK") => Outcome::Undone,
                    // It was there already, and another record says how it ended.
                    Ok("IGNORED") => return Some(None),
                    Ok(other) => bad(Some(other)),
                };
                // The part before a change counts only if it failed: the change itself has a record of its own otherwise.
                if is_own || is_before && !matches!(outcome, Outcome::Bad(_)) {
                    return Some(None);
                }
                Theirs {
                    name,
                    outcome,
                    at: time("timestamp"),
                    who: text("author"),
                    place: text("executionHostname"),
                    took: took("executionMillis"),
                    ..Theirs::default()
                }
            }
            Self::GolangMigrate => {
                let version = number(document, "version")?;
                let outcome = if document.get_bool("dirty").ok()? { bad(Some("dirty")) } else { Outcome::Done };
                // -1 stands for no version.
                if version < 0 && outcome == Outcome::Done {
                    return Some(None);
                }
                Theirs { name: version.to_string(), outcome, covers_lower: true, ..Theirs::default() }
            }
        };
        Some(Some(theirs))
    }
}

/// An integer of any BSON type: JavaScript writes doubles.
fn number(document: &Document, key: &str) -> Option<i64> {
    document.get(key).and_then(as_integer)
}

impl Store {
    /// Reads all documents of another tool's collection, in their order in time.
    pub(crate) async fn records(&self, collection: &str) -> mongodb::error::Result<Vec<Document>> {
        let mut cursor = self.collection(collection).find(doc! {}).sort(doc! { "timestamp": 1, "_id": 1 }).await?;
        let mut documents = Vec::new();
        while cursor.advance().await? {
            documents.push(Document::try_from(cursor.current())?);
        }
        Ok(documents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(tool: Tool, documents: &[Document]) -> Vec<(String, Outcome)> {
        tool.read(documents).unwrap().into_iter().map(|theirs| (theirs.name, theirs.outcome)).collect()
    }

    #[test]
    fn mongocks_last_record_of_a_change_counts() {
        let record = |id: &str, state: &str, kind: &str| doc! { "changeId": id, "state": state, "type": kind };
        let documents = [
            record("system-change-00001", "EXECUTED", "EXECUTION"),
            record("a", "FAILED", "EXECUTION"),
            record("a", "ROLLED_BACK", "EXECUTION"),
            record("a", "EXECUTED", "EXECUTION"),
            record("a", "IGNORED", "EXECUTION"),
            record("b_before", "EXECUTED", "BEFORE_EXECUTION"),
            record("b", "ROLLBACK_FAILED", "EXECUTION"),
            doc! { "changeId": "c", "author": "ann" },
        ];
        let bad = Outcome::Bad("ROLLBACK_FAILED".into());
        let expected = [("a".into(), Outcome::Done), ("b".into(), bad), ("c".into(), Outcome::Done)];
        assert_eq!(outcomes(Tool::Mongock, &documents), expected);
    }

    #[test]
    fn each_tools_marks_of_failure_are_known() {
        let bad = |word: &str| Outcome::Bad(word.to_owned());
        let one = |tool, document: Document| outcomes(tool, &[document]).pop().map(|(_, outcome)| outcome);
        assert_eq!(one(Tool::GolangMigrate, doc! { "version": 4, "dirty": true }), Some(bad("dirty")));
        assert_eq!(one(Tool::GolangMigrate, doc! { "version": 4_i64, "dirty": false }), Some(Outcome::Done));
        assert_eq!(one(Tool::GolangMigrate, doc! { "version": -1, "dirty": false }), None);
        for status in ["failed", "running"] {
            assert_eq!(one(Tool::Mongomig, doc! { "_id": "a", "status": status }), Some(bad(status)));
        }
        assert_eq!(one(Tool::MongoMigrateKit, doc! { "name": "a", "status": "reverted" }), Some(Outcome::Undone));
        assert_eq!(one(Tool::PymongoMigrate, doc! { "name": "a", "applied": null }), Some(Outcome::Undone));
        assert_eq!(Tool::MigrateMongo.read(&[doc! { "_id": 7, "name": "a" }]), Err(Bson::Int32(7)));
    }
}
