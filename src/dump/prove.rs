//! Proves a dump: restores it into a throwaway server, and compares the result with the dump.
//!
//! The server's command `dbHash` returns a checksum of each collection: the MD5 over the bytes of its documents in the order of
//! `_id`. This module computes it for the documents in the dump, too. Only their order comes from the server, because it depends
//! on collations.

use std::collections::HashMap;
use std::path::Path;

use md5::{Digest as _, Md5};
use mongodb::Client;
use mongodb::bson::{Bson, RawDocument, RawDocumentBuf, doc};

use super::catalog::{self, Collection};
use super::read::Documents;
use super::verify::{Part, Verified};
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
    let hashes = database.run_command(doc! { "dbHash": 1 }).await?;
    let hashes = hashes.get_document("collections").cloned().unwrap_or_default();
    for part in &dump.parts {
        let name = &part.collection.name;
        let there = restored.iter().find(|collection| collection.name == *name);
        compare_definitions(&part.collection, there)?;
        let (Some(path), Some(data)) = (&part.data, part.collection.data()) else { continue };
        let dumped_hash = hash_of_dump(&database, &data, path, part).await?;
        // Some servers hash a capped collection by `_id` and not in its own order, and some leave out the buckets of time-series
        // collections.
        let restored_hash = match hashes.get_str(&data) {
            Ok(hash) if !part.collection.is_capped() => hash.to_owned(),
            _ => hash_of_server(&database, &data, part.collection.is_capped()).await?,
        };
        if dumped_hash != restored_hash {
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
    if restored.options != dumped.options || restored.kind != dumped.kind {
        return Err(differs(&format!("the options of {name} differ")));
    }
    let by_name = |collection: &Collection| {
        // Of the dump's indexes, some are in a form that servers no longer accept.
        let mut indexes = load::indexes(collection);
        indexes.sort_by(|a, b| a.get_str("name").unwrap_or_default().cmp(b.get_str("name").unwrap_or_default()));
        indexes
    };
    if by_name(restored) != by_name(dumped) {
        return Err(differs(&format!("the indexes of {name} differ")));
    }
    Ok(())
}

/// Returns a digest of a document's `_id`, so that an `_id` of any type and size takes 16 bytes.
fn id_digest(document: &RawDocument) -> Option<[u8; 16]> {
    let id = Bson::try_from(document.get("_id").ok()??).ok()?;
    let mut bytes = Vec::new();
    doc! { "": id }.to_writer(&mut bytes).ok()?;
    Some(Md5::digest(&bytes).into())
}

/// Returns the checksum of the documents in the dump, in the server's order.
async fn hash_of_dump(database: &mongodb::Database, collection: &str, path: &Path, part: &Part) -> Result<String> {
    // A capped collection is hashed in the order of the file.
    let in_order = match part.collection.is_capped() {
        true => None,
        false => Some(ids_in_order(database, collection).await?),
    };
    let path = path.to_owned();
    let hashed = tokio::task::spawn_blocking(move || -> Result<String, Error> {
        let mut md5 = Md5::new();
        let Some(in_order) = in_order else {
            let mut input = Documents::open(&path)?;
            while let Some(document) = input.next()? {
                md5.update(document.as_bytes());
            }
            return Ok(write::hex(&md5.finalize()));
        };
        // The offset of each document in the file: the documents themselves may not fit into memory.
        let mut input = Documents::open(&path)?;
        let mut file = input.seekable(&path)?;
        let mut offsets = HashMap::new();
        let mut offset = 0;
        while let Some(document) = input.next()? {
            let bytes = document.as_bytes();
            file.append(bytes)?;
            if let Some(id) = id_digest(&document) {
                offsets.insert(id, (offset, bytes.len()));
            }
            offset += bytes.len() as u64;
        }
        for id in &in_order {
            if let Some((offset, length)) = offsets.remove(id) {
                md5.update(file.read(offset, length)?);
            }
        }
        // A text that equals no checksum, so that the caller reports a difference.
        Ok(if offsets.is_empty() { write::hex(&md5.finalize()) } else { "documents are missing".into() })
    });
    Ok(hashed.await??)
}

/// Returns the digests of all `_id`s of a collection, in the order of the index on `_id`.
async fn ids_in_order(database: &mongodb::Database, collection: &str) -> Result<Vec<[u8; 16]>> {
    let collection = database.collection::<RawDocumentBuf>(collection);
    let mut cursor = collection.find(doc! {}).projection(doc! { "_id": 1 }).sort(doc! { "_id": 1 }).await?;
    let mut ids = Vec::new();
    while cursor.advance().await? {
        ids.extend(id_digest(cursor.current()));
    }
    Ok(ids)
}

/// Returns the checksum of the documents on the server, in their natural order or in that of `_id`.
async fn hash_of_server(database: &mongodb::Database, collection: &str, in_natural_order: bool) -> Result<String> {
    let mut md5 = Md5::new();
    let order = if in_natural_order {
        doc! { "$natural": 1 }
    } else {
        doc! { "_id": 1 }
    };
    let mut cursor = database.collection::<RawDocumentBuf>(collection).find(doc! {}).sort(order).await?;
    while cursor.advance().await? {
        md5.update(cursor.current().as_bytes());
    }
    Ok(write::hex(&md5.finalize()))
}
