//! Whether a collection can be backfilled.

use mongodb::bson::doc;
use mongodb::results::CollectionType;

use super::settings::Settings;
use crate::db::Db;
use crate::error::{Error, Result};

/// An error if the settings cannot be had here.
pub(super) fn settings(db: &Db, settings: &Settings) -> Result<()> {
    if !settings.exactly_once {
        return Ok(());
    }
    let (why, hint) = if !db.has_transactions() {
        (
            "transactions, and the server is standalone",
            "make it a replica set of one member (`mongod --replSet …`, then `rs.initiate()`)",
        )
    } else if db.migrating().is_none() {
        ("marks that are stored while a migration is under way, and a subtask has none", "write a migration")
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("`exactly_once` needs {why} ({hint})")).into())
}

/// An error if the collection is of a kind that the server does not update document by document. One that is not there is empty.
pub(super) async fn collection(db: &Db, settings: &Settings) -> Result<()> {
    let name = &settings.collection;
    let mut found = db.list_collections().filter(doc! { "name": name }).await?;
    if !found.advance().await? {
        return Ok(());
    }
    let specification = found.deserialize_current()?;
    let (what, hint) = match specification.collection_type {
        CollectionType::View => ("a view", "backfill the collection that it is a view of"),
        CollectionType::Timeseries => {
            ("a time-series collection", "write what is changed into another collection, and rename that")
        }
        _ if specification.options.capped == Some(true) => {
            ("a capped collection, whose documents keep their size", "convert it first (`convertToCapped` makes a new one)")
        }
        _ => return Ok(()),
    };
    Err(Error::usage(format!("`{name}` cannot be backfilled: it is {what}")).with_hint(hint).into())
}
