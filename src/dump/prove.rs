//! Proves a dump: restores it into a throwaway server, and compares the result with the dump.
//!
//! The bytes of the documents are compared, through checksums: a document is not looked up by its `_id`, of which an index does not
//! keep all bytes, and nothing is kept for each document.

use std::path::Path;

use futures_util::StreamExt as _;
use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Database};

use super::catalog::{self, Collection};
use super::checksum::Checksum;
use super::read::Documents;
use super::verify::Verified;
use super::{load, write};
use crate::error::{Error, Result};
use crate::mongod::Throwaway;
use crate::report::Reporter;

/// What to do if a dump cannot be proved.
const TAKE_AGAIN: &str = "take the dump again";

/// The database that the dump is restored into.
const DATABASE: &str = "proof";

/// Restores a dump into a throwaway server, and compares options, indexes and documents.
pub(crate) async fn prove(dump: &Verified, reporter: &Reporter) -> Result<()> {
    // The server must not delete documents that have expired since the dump: they are compared too.
    let server = Throwaway::replica_set_with(&["--setParameter", "ttlMonitorEnabled=false"]).await?;
    let client = Client::with_uri_str(server.uri()).await?;
    let database = client.database(DATABASE);
    load::load(&database, dump, reporter).await.map_err(|error| {
        // The hints of a restore are about the database that it replaces.
        Error::failed("the dump could not be restored into a throwaway server").with_hint(TAKE_AGAIN).caused_by(error)
    })?;

    let restored = catalog::read(&database).await?;
    for part in &dump.parts {
        let name = &part.collection.name;
        let there = restored.iter().find(|collection| collection.name == *name);
        compare_definitions(&part.collection, there)?;
        let (Some(path), Some(data)) = (&part.data, part.collection.data()) else { continue };
        // The documents of a capped collection are returned in the order in which they were inserted.
        let in_order = part.collection.is_capped();
        if checksum_of_file(path, in_order).await? != checksum_of_collection(&database, &data, in_order).await? {
            return Err(differs(&format!("the documents of {name} differ")).into());
        }
    }
    Ok(())
}

fn differs(why: &str) -> Error {
    Error::failed(format!("the restored database differs from the dump: {why}")).with_hint(TAKE_AGAIN)
}

/// Compares the options and the indexes of a collection.
fn compare_definitions(dumped: &Collection, restored: Option<&Collection>) -> Result<(), Error> {
    let name = &dumped.name;
    let restored = restored.ok_or_else(|| differs(&format!("the collection {name} is missing")))?;
    if restored.kind != dumped.kind || bytes(&load::options(restored)) != bytes(&load::options(dumped)) {
        return Err(differs(&format!("the options of {name} differ")));
    }
    let by_name = |collection: &Collection| {
        // Of the dump's indexes, some are in a form that servers no longer accept.
        let mut indexes = load::indexes(collection);
        indexes.sort_by(|a, b| a.get_str("name").unwrap_or_default().cmp(b.get_str("name").unwrap_or_default()));
        indexes.iter().map(bytes).collect::<Vec<_>>()
    };
    if by_name(restored) != by_name(dumped) {
        return Err(differs(&format!("the indexes of {name} differ")));
    }
    Ok(())
}

/// The fields of a definition as bytes, in order of their names: a server lists them in an order of its own. As a parsed document,
/// one that contains NaN would not be equal to itself, and the order of an index's key would not count.
fn bytes(definition: &Document) -> Vec<Vec<u8>> {
    let bytes = |(name, value): (&String, &Bson)| {
        let mut bytes = Vec::new();
        doc! { name: value.clone() }.to_writer(&mut bytes).expect("a vector takes any document");
        bytes
    };
    let mut fields: Vec<_> = definition.iter().map(bytes).collect();
    fields.sort();
    fields
}

/// Returns the checksum of the documents in a file.
async fn checksum_of_file(path: &Path, in_order: bool) -> Result<String> {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || -> Result<String, Error> {
        let mut checksum = Checksum::new(in_order);
        let mut input = Documents::open(&path)?;
        while let Some(document) = input.next()? {
            checksum.add(document.as_bytes());
        }
        Ok(checksum.finish())
    });
    Ok(reading.await??)
}

/// Returns the checksum of the documents on the server.
async fn checksum_of_collection(database: &Database, collection: &str, in_order: bool) -> Result<String> {
    let mut checksum = Checksum::new(in_order);
    let mut batches = database.collection::<Document>(collection).find(doc! {}).batch().await?;
    while let Some(batch) = batches.next().await {
        for document in write::documents(&batch?) {
            checksum.add(document?.as_bytes());
        }
    }
    Ok(checksum.finish())
}
