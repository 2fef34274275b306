//! Sends writes to the server, many with one command.

use std::time::Instant;

use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, rawdoc};

use super::guard::Guard;
use super::write::{Change, Other, Own, Write};
use crate::db::Db;
use crate::durable;
use crate::error::{Result, codes};

/// How many bytes of statements a command has at most: far below the largest message of the server.
const LARGEST: usize = 4 << 20;

/// Statements of a command, each with the place of its document in the batch.
pub(super) type Statements = Vec<(usize, RawDocumentBuf)>;

/// What a command is made of, in the order in which it is sent.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// By collection, before those of the backfill's own.
    others: Vec<(String, Kind, Statements)>,
    updates: Statements,
    deletes: Statements,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Update,
    Delete,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// What became of the statements.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    /// How many documents were found as they were read.
    pub(super) matched: u64,
    pub(super) modified: u64,
    pub(super) deleted: u64,
    /// How many documents were not found as they were read.
    pub(super) missed: u64,
    /// What the server refused: the place of the document in the batch, the code and why.
    pub(super) refused: Vec<(usize, i32, String)>,
}

impl Batch {
    /// Adds the write for the document `read`, which is the one at `place`.
    pub(super) fn add(&mut self, place: usize, read: &RawDocument, write: Write, guard: &Guard) -> Result<()> {
        for Other { collection, change } in write.others {
            let (kind, statement) = other(change)?;
            match self.others.iter_mut().find(|(name, of, _)| *name == collection && *of == kind) {
                Some((_, _, statements)) => statements.push((place, statement)),
                None => self.others.push((collection, kind, vec![(place, statement)])),
            }
        }
        let update = match write.own {
            Own::Nothing => return Ok(()),
            Own::Delete => {
                self.deletes.push((place, rawdoc! { "q": guard.filter(read)?, "limit": 1 }));
                return Ok(());
            }
            Own::Update(update) | Own::Replace(update) => RawBson::Document(RawDocumentBuf::try_from(&update)?),
            Own::Pipeline(stages) => RawBson::Array(raw_array(&stages)?),
        };
        self.updates.push((place, rawdoc! { "q": guard.filter(read)?, "u": update, "multi": false }));
        Ok(())
    }

    /// How many documents of the collection itself are written.
    pub(super) fn own(&self) -> u64 {
        (self.updates.len() + self.deletes.len()) as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.own() == 0 && self.others.is_empty()
    }

    /// Sends everything. It may be sent again if the answer is lost.
    pub(super) async fn send(self, to: &mut To<'_>, collection: &str) -> mongodb::error::Result<Outcome> {
        let mut refused: Vec<(usize, i32, String)> = Vec::new();
        for (other, kind, statements) in self.others {
            let outcome = send(to, &other, kind, statements).await?;
            let about = |(place, code, why)| (place, code, format!("in `{other}`: {why}"));
            refused.extend(outcome.refused.into_iter().map(about));
            if to.is_transaction() && !refused.is_empty() {
                // The server has aborted it.
                return Ok(Outcome { refused, ..Outcome::default() });
            }
        }
        // A document of which a part was refused has failed, and stays as it is.
        refused.sort_by_key(|(place, ..)| *place);
        refused.dedup_by_key(|(place, ..)| *place);
        let is_open = |(place, _): &(usize, _)| refused.binary_search_by_key(place, |(place, ..)| *place).is_err();
        let updates: Vec<_> = self.updates.into_iter().filter(is_open).collect();
        let deletes: Vec<_> = self.deletes.into_iter().filter(is_open).collect();
        let sent = (updates.len() + deletes.len()) as u64;
        let updated = send(to, collection, Kind::Update, updates).await?;
        if to.is_transaction() && !updated.refused.is_empty() {
            return Ok(updated);
        }
        let deleted = send(to, collection, Kind::Delete, deletes).await?;
        let answered = updated.matched + deleted.matched + (updated.refused.len() + deleted.refused.len()) as u64;
        Ok(Outcome {
            missed: sent.saturating_sub(answered),
            matched: updated.matched + deleted.matched,
            modified: updated.modified,
            deleted: deleted.matched,
            refused: refused.into_iter().chain(updated.refused).chain(deleted.refused).collect(),
        })
    }
}

fn other(change: Change) -> Result<(Kind, RawDocumentBuf)> {
    Ok(match change {
        // With an `_id` it is the same document each time. Without one it is new, which only a transaction allows.
        Change::Insert(mut document) => {
            let id = document.entry("_id".to_owned()).or_insert_with(|| mongodb::bson::oid::ObjectId::new().into()).clone();
            let filter = RawDocumentBuf::try_from(&mongodb::bson::doc! { "_id": { "$eq": id } })?;
            (Kind::Update, rawdoc! { "q": filter, "u": RawDocumentBuf::try_from(&document)?, "upsert": true })
        }
        Change::Update(filter, update) => {
            let (filter, update) = (RawDocumentBuf::try_from(&filter)?, RawDocumentBuf::try_from(&update)?);
            (Kind::Update, rawdoc! { "q": filter, "u": update, "multi": true })
        }
        Change::Delete(filter) => (Kind::Delete, rawdoc! { "q": RawDocumentBuf::try_from(&filter)?, "limit": 0 }),
    })
}

pub(super) fn raw_array(documents: &[Document]) -> Result<RawArrayBuf> {
    Ok(documents.iter().map(RawDocumentBuf::try_from).collect::<Result<_, _>>()?)
}

/// Where writes are sent.
pub(super) enum To<'t> {
    /// Each command by itself, confirmed by a majority.
    Database(&'t Db),
    /// In an open transaction.
    Transaction(&'t Db, &'t mut ClientSession),
}

impl To<'_> {
    fn db(&self) -> &Db {
        match self {
            Self::Database(db) | Self::Transaction(db, _) => db,
        }
    }

    fn is_transaction(&self) -> bool {
        matches!(self, Self::Transaction(..))
    }

    async fn run(&mut self, kind: Kind, collection: &str, statements: RawArrayBuf) -> mongodb::error::Result<Document> {
        match self {
            Self::Database(database) => {
                let concern = rawdoc! { "w": "majority", "j": true };
                let command = match kind {
                    Kind::Update => {
                        rawdoc! { "update": collection, "updates": statements, "ordered": false, "writeConcern": concern }
                    }
                    Kind::Delete => {
                        rawdoc! { "delete": collection, "deletes": statements, "ordered": false, "writeConcern": concern }
                    }
                };
                durable::patiently(async || confirmed(database.run_raw_command(command.clone()).await?)).await
            }
            Self::Transaction(database, session) => {
                let command = match kind {
                    Kind::Update => rawdoc! { "update": collection, "updates": statements, "ordered": false },
                    Kind::Delete => rawdoc! { "delete": collection, "deletes": statements, "ordered": false },
                };
                database.run_raw_command(command).session(&mut **session).await
            }
        }
    }
}

async fn send(to: &mut To<'_>, collection: &str, kind: Kind, statements: Statements) -> mongodb::error::Result<Outcome> {
    let mut all = Outcome::default();
    let mut rest = statements.into_iter().peekable();
    while rest.peek().is_some() {
        let (mut part, mut places, mut bytes) = (RawArrayBuf::new(), Vec::new(), 0);
        while let Some((place, statement)) = rest.next_if(|(_, next)| bytes == 0 || bytes + next.as_bytes().len() <= LARGEST)
        {
            bytes += statement.as_bytes().len();
            part.push(statement);
            places.push(place);
        }
        let since = Instant::now();
        let reply = to.run(kind, collection, part).await?;
        to.db().record((kind.name(), collection), &["_id"], &reply, since.elapsed());
        let matched = count(&reply, "n");
        all.matched += matched;
        all.modified += count(&reply, "nModified");
        for error in reply.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document) {
            let index = usize::try_from(count(error, "index")).unwrap_or(0);
            let why = error.get_str("errmsg").unwrap_or_default().to_owned();
            all.refused.push((places.get(index).copied().unwrap_or(0), error.get_i32("code").unwrap_or(0), why));
        }
    }
    Ok(all)
}

/// An answer whose writes a majority has. If it does not say so, the command is to be sent again.
fn confirmed(reply: Document) -> mongodb::error::Result<Document> {
    let temporary = |error: &Document| codes::TEMPORARY.contains(&error.get_i32("code").unwrap_or(0));
    if let Ok(concern) = reply.get_document("writeConcernError") {
        return Err(durable::unconfirmed(concern));
    }
    // Of an unordered command each statement has its own error when the primary steps down.
    let errors = reply.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document);
    match errors.into_iter().find(|error| temporary(error)) {
        Some(error) => Err(durable::unconfirmed(error)),
        None => Ok(reply),
    }
}

fn count(document: &Document, key: &str) -> u64 {
    match document.get(key) {
        Some(Bson::Int32(count)) => u64::try_from(*count).unwrap_or(0),
        Some(Bson::Int64(count)) => u64::try_from(*count).unwrap_or(0),
        _ => 0,
    }
}

/// Sends updates.
pub(super) async fn updates(to: &mut To<'_>, collection: &str, statements: Statements) -> mongodb::error::Result<Outcome> {
    send(to, collection, Kind::Update, statements).await
}
