//! The closures of a migration, called with documents as they were read.

use futures_util::future::LocalBoxFuture;
use mongodb::bson::{RawDocument, RawDocumentBuf};
use serde::de::DeserializeOwned;

use super::write::Write;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::model::serde_bson::decode;

fn value<T: DeserializeOwned>(document: &RawDocument) -> Result<T> {
    Ok(decode(document).map_err(|error| format!("it does not decode: {error}"))?)
}

/// Computes the write for one document.
pub(super) fn each<T: DeserializeOwned>(
    compute: impl Fn(T) -> Result<Write> + Send + Sync + 'static,
) -> impl Fn(&RawDocument) -> Result<Write> + Send + Sync + 'static {
    move |document| compute(value(document)?)
}

/// Computes the writes for several documents. Those that do not decode have an error of their own, and the closure does not get
/// them.
pub(super) fn batch<'b, T: DeserializeOwned>(
    db: &'b Db,
    compute: &'b impl AsyncFn(&Db, Vec<T>) -> Result<Vec<Write>>,
) -> impl Fn(Vec<RawDocumentBuf>) -> LocalBoxFuture<'b, Result<Vec<Result<Write>>>> + 'b {
    move |documents| {
        Box::pin(async move {
            let mut values = Vec::with_capacity(documents.len());
            let mut errors = Vec::with_capacity(documents.len());
            for document in &documents {
                match value(document) {
                    Ok(value) => {
                        values.push(value);
                        errors.push(None);
                    }
                    Err(error) => errors.push(Some(error)),
                }
            }
            let wanted = values.len();
            let writes = if wanted == 0 { Vec::new() } else { compute(db, values).await? };
            if writes.len() != wanted {
                let got = writes.len();
                return Err(Error::failed(format!("the closure returned {got} writes for {wanted} documents"))
                    .with_hint("return one `Write` for each document, in the same order; `Write::none()` writes nothing")
                    .into());
            }
            let mut writes = writes.into_iter();
            let next = |error| match error {
                Some(error) => Some(Err(error)),
                None => writes.next().map(Ok),
            };
            Ok(errors.into_iter().filter_map(next).collect())
        })
    }
}
