//! Proving a dump: restored into a throwaway server, it must be what it was.
//!
//! `dbHash` is the server's own checksum of a collection: MD5 over its documents' bytes in the order of `_id`. The same is
//! computed here over the documents in the dump; only their order is asked of the server, since collations decide it.

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

/// The database that the dump is restored into.
const DATABASE: &str = "proof";

/// Restores a dump into a server of its own, and compares.
pub(crate) async fn prove(dump: &Verified, reporter: &Reporter) -> Result<()> {
    // What has expired since the dump is to be compared as well.
    let server = Throwaway::replica_set_with(&["--setParameter", "ttlMonitorEnabled=false"]).await?;
    let client = Client::with_uri_str(server.uri()).await?;
    let database = client.database(DATABASE);
    load::load(&database, dump, load::Keep::Nothing, reporter).await?;

    let restored = catalog::read(&database).await?;
    let hashes = database.run_command(doc! { "dbHash": 1 }).await?;
    let hashes = hashes.get_document("collections").cloned().unwrap_or_default();
    for part in &dump.parts {
        let name = &part.collection.name;
        let there = restored.iter().find(|collection| collection.name == *name);
        same(&part.collection, there)?;
        let (Some(path), Some(data)) = (&part.data, part.collection.data()) else { continue };
        let ours = hash(&database, &data, path, part).await?;
        // Of a capped collection the order counts, which not every server's takes; some leave out buckets of time series.
        let theirs = match hashes.get_str(&data) {
            Ok(hash) if !part.collection.is_capped() => hash.to_owned(),
            _ => hash_of_server(&database, &data, part.collection.is_capped()).await?,
        };
        if ours != theirs {
            return Err(differs(name, "documents"));
        }
    }
    Ok(())
}

fn differs(collection: &str, what: &str) -> Box<dyn std::error::Error + Send + Sync> {
    Error::failed(format!("the dump does not restore to what it was: the {what} of {collection} differ; take another dump"))
        .into()
}

fn same(dumped: &Collection, restored: Option<&Collection>) -> Result<()> {
    let restored = restored.ok_or_else(|| differs(&dumped.name, "collection"))?;
    if restored.options != dumped.options || restored.kind != dumped.kind {
        return Err(differs(&dumped.name, "options"));
    }
    let by_name = |collection: &Collection| {
        let mut indexes = collection.indexes.clone();
        for index in &mut indexes {
            index.remove("ns");
        }
        indexes.sort_by(|a, b| a.get_str("name").unwrap_or_default().cmp(b.get_str("name").unwrap_or_default()));
        indexes
    };
    if by_name(restored) != by_name(dumped) {
        return Err(differs(&dumped.name, "indexes"));
    }
    Ok(())
}

/// A document's `_id`, whatever it is, in a few bytes.
fn key(document: &RawDocument) -> Option<[u8; 16]> {
    let id = Bson::try_from(document.get("_id").ok()??).ok()?;
    let mut bytes = Vec::new();
    doc! { "": id }.to_writer(&mut bytes).ok()?;
    Some(Md5::digest(&bytes).into())
}

/// The checksum of the documents in the dump, in the server's order.
async fn hash(database: &mongodb::Database, collection: &str, path: &Path, part: &Part) -> Result<String> {
    // A capped collection is hashed as it lies.
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
        // Where each document lies: the documents themselves may be more than fits into memory.
        let mut input = Documents::open(&path)?;
        let mut file = input.seekable(&path)?;
        let mut places = HashMap::new();
        let mut at = 0;
        while let Some(document) = input.next()? {
            let bytes = document.as_bytes();
            file.note(bytes)?;
            if let Some(key) = key(&document) {
                places.insert(key, (at, bytes.len()));
            }
            at += bytes.len() as u64;
        }
        for key in &in_order {
            if let Some((at, length)) = places.remove(key) {
                md5.update(file.read(at, length)?);
            }
        }
        Ok(if places.is_empty() { write::hex(&md5.finalize()) } else { "documents are missing".into() })
    });
    Ok(hashed.await??)
}

/// The keys of all documents of a collection, in the order of the index on `_id`.
async fn ids_in_order(database: &mongodb::Database, collection: &str) -> Result<Vec<[u8; 16]>> {
    let collection = database.collection::<RawDocumentBuf>(collection);
    let mut cursor = collection.find(doc! {}).projection(doc! { "_id": 1 }).sort(doc! { "_id": 1 }).await?;
    let mut keys = Vec::new();
    while cursor.advance().await? {
        keys.extend(key(cursor.current()));
    }
    Ok(keys)
}

async fn hash_of_server(database: &mongodb::Database, collection: &str, as_it_lies: bool) -> Result<String> {
    let mut md5 = Md5::new();
    let order = if as_it_lies {
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
