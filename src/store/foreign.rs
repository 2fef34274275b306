//! Documents in the registry that another tool wrote, and whose they are.

use mongodb::bson::{RawBsonRef, RawDocument};

/// A tool whose records `adopt` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    MigrateMongo,
    MongoMigrateKit,
    PymongoMigrate,
    MongodbMigrations,
    Mongomig,
    Mongock,
    GolangMigrate,
}

impl Tool {
    pub(crate) const ALL: [Self; 7] = [
        Self::MigrateMongo,
        Self::MongoMigrateKit,
        Self::PymongoMigrate,
        Self::MongodbMigrations,
        Self::Mongomig,
        Self::Mongock,
        Self::GolangMigrate,
    ];

    /// The word on the line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::MigrateMongo => "migrate-mongo",
            Self::MongoMigrateKit => "mongo-migrate-kit",
            Self::PymongoMigrate => "pymongo-migrate",
            Self::MongodbMigrations => "mongodb-migrations",
            Self::Mongomig => "mongomig",
            Self::Mongock => "mongock",
            Self::GolangMigrate => "golang-migrate",
        }
    }
}

/// Who may have written a document that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    Tool(Tool),
    /// A tool whose records cannot be adopted.
    Other(&'static str),
    Unknown,
}

/// A document that another tool wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) author: Author,
    /// What shows that it is not ours: ``a field `fileName` ``.
    pub(crate) because: String,
}

/// The fields that others write, and we do not. They show whose a document is.
pub(super) const MARKS: [&str; 11] = [
    "fileName",
    "changeId",
    "migration_datetime",
    "mongomig_version",
    "migration",
    "batch",
    "status",
    "dirty",
    "version",
    "applied",
    "revision",
];

impl Foreign {
    /// Says whose a document is that is not ours: it has no name, one of the [`MARKS`], or a state that we do not write.
    pub(super) fn of(document: &RawDocument) -> Self {
        let has = |key: &str| matches!(document.get(key), Ok(Some(_)));
        let text = |key| match document.get(key) {
            Ok(Some(RawBsonRef::String(text))) => Some(text),
            _ => None,
        };
        let marks = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            format!("{} {}", if keys.len() == 1 { "a field" } else { "fields" }, keys.join(" and "))
        };
        let by = |author, keys: &[&str]| Self { author, because: marks(keys) };
        if text("_id") == Some("control") {
            let author = Author::Other("Meteor's package `migrations`");
            return Self { author, because: "an `_id` that is `control`".into() };
        }
        let tools: [(&[&str], Author); 8] = [
            (&["fileName"], Author::Tool(Tool::MigrateMongo)),
            (&["changeId"], Author::Tool(Tool::Mongock)),
            (&["migration_datetime"], Author::Tool(Tool::MongodbMigrations)),
            (&["mongomig_version"], Author::Tool(Tool::Mongomig)),
            (&["migration", "batch"], Author::Other("Laravel")),
            (&["batch", "status"], Author::Tool(Tool::MongoMigrateKit)),
            (&["version", "dirty"], Author::Tool(Tool::GolangMigrate)),
            (&["name", "applied"], Author::Tool(Tool::PymongoMigrate)),
        ];
        if let Some((keys, author)) = tools.into_iter().find(|(keys, _)| keys.iter().all(|key| has(key))) {
            return by(author, keys);
        }
        match text("state") {
            Some(state @ ("up" | "down")) => {
                let author = Author::Other("migrate-mongoose or ts-migrate-mongoose");
                return Self { author, because: format!("the `state` {state}") };
            }
            _ if has("state") => return Self { author: Author::Unknown, because: "an unknown `state`".into() },
            _ => {}
        }
        match MARKS.into_iter().find(|mark| has(mark)) {
            Some(mark) => by(Author::Unknown, &[mark]),
            None => Self { author: Author::Unknown, because: "no `name`".into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::rawdoc;

    #[test]
    fn the_fields_say_whose_a_document_is() {
        let cases = [
            (rawdoc! { "fileName": "1-a.js", "migrationBlock": 1 }, Author::Tool(Tool::MigrateMongo)),
            (rawdoc! { "name": "1-a.js", "batch": 1, "status": "applied" }, Author::Tool(Tool::MongoMigrateKit)),
            (rawdoc! { "name": "1_a", "applied": null }, Author::Tool(Tool::PymongoMigrate)),
            (rawdoc! { "migration_datetime": "20240101" }, Author::Tool(Tool::MongodbMigrations)),
            (rawdoc! { "_id": "a1", "mongomig_version": "0.4", "status": "applied" }, Author::Tool(Tool::Mongomig)),
            (rawdoc! { "changeId": "a", "state": "EXECUTED" }, Author::Tool(Tool::Mongock)),
            (rawdoc! { "version": 4, "dirty": false }, Author::Tool(Tool::GolangMigrate)),
            (rawdoc! { "_id": "control", "version": 4, "locked": false }, Author::Other("Meteor's package `migrations`")),
            (rawdoc! { "migration": "2024_a", "batch": 1 }, Author::Other("Laravel")),
            (rawdoc! { "name": "a", "state": "up" }, Author::Other("migrate-mongoose or ts-migrate-mongoose")),
            (rawdoc! { "name": "a", "state": 7 }, Author::Unknown),
            (rawdoc! { "name": "a", "version": 7 }, Author::Unknown),
            (rawdoc! { "x": 7 }, Author::Unknown),
        ];
        for (document, author) in cases {
            assert_eq!(Foreign::of(&document).author, author, "{document:?}");
        }
        let because = |document: &RawDocument| Foreign::of(document).because;
        assert_eq!(because(&rawdoc! { "version": 4, "dirty": false }), "fields `version` and `dirty`");
        assert_eq!(because(&rawdoc! { "name": "a", "state": "up" }), "the `state` up");
        assert_eq!(because(&rawdoc! { "name": 7 }), "no `name`");
    }
}
