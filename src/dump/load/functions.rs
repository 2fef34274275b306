//! The functions of a database, which are documents in `system.js`. The server neither drops nor renames that collection, so its
//! documents are replaced.

use mongodb::Database;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::CollectionOptions;

use super::server;
use crate::dump::catalog::FUNCTIONS;
use crate::dump::read::Documents;
use crate::dump::verify::Part;
use crate::error::{Error, Result};

/// What happens to the functions of the database.
#[derive(Clone, Copy, Debug)]
pub(super) enum Functions<'d> {
    /// They stay.
    Kept,
    /// The dump has none.
    Removed,
    Replaced(&'d Part),
}

impl Functions<'_> {
    /// Replaces the documents: those of the dump are written first, and then the others are deleted.
    pub(super) async fn put(self, database: &Database) -> Result<()> {
        let path = match self {
            Self::Kept => return Ok(()),
            Self::Removed => None,
            Self::Replaced(part) => part.data.clone(),
        };
        let documents = tokio::task::spawn_blocking(move || -> Result<Vec<RawDocumentBuf>, Error> {
            let mut documents = Vec::new();
            if let Some(mut input) = path.as_deref().map(Documents::open).transpose()? {
                while let Some(document) = input.next()? {
                    documents.push(document);
                }
            }
            Ok(documents)
        })
        .await??;
        let options = CollectionOptions::builder().write_concern(server::write_concern()).build();
        let collection = database.collection_with_options::<RawDocumentBuf>(FUNCTIONS, options);
        let mut ids = Vec::new();
        for document in &documents {
            let id = document.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
            collection.replace_one(doc! { "_id": { "$eq": id.clone() } }, document).upsert(true).await?;
            ids.extend(id);
        }
        collection.delete_many(doc! { "_id": { "$nin": ids } } as Document).await?;
        Ok(())
    }
}
