//! Reads the documents of a range, a batch at a time. Each batch is a query of its own, so no cursor can be lost.

use std::ops::Bound;

use mongodb::action::Find;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::Hint;
use mongodb::{ClientSession, Collection, Cursor};

use super::effect::is_same;
use super::guard::{id_of, top_level};
use crate::durable;

/// How many documents a batch has at most.
pub(super) const LONGEST: u32 = 1000;

/// How many bytes of documents a batch should have at most.
const LARGEST: usize = 2 << 20;

/// Documents that match the backfill's filter, in the order of `_id`.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    collection: Collection<RawDocumentBuf>,
    filter: Document,
    /// Which fields are read. `None` for all.
    projection: Option<Document>,
}

/// Where a batch begins, and before which `_id` it ends.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) from: Bound<Bson>,
    pub(super) to: Option<Bson>,
}

impl Reader {
    pub(super) fn new(collection: Collection<RawDocumentBuf>, filter: Document, fields: Option<&[String]>) -> Self {
        // Fields of the filter are not needed: the server decides what matches.
        let projection = fields.map(|fields| {
            let mut projection = doc! { "_id": 1 };
            projection.extend(fields.iter().map(|field| (top_level(field).to_owned(), Bson::Int32(1))));
            projection
        });
        Self { collection, filter, projection }
    }

    /// Reads the next documents of a span: `count` at most, fewer if they are large. None are left if there are none.
    pub(super) async fn batch(&self, span: &Span, count: u32) -> mongodb::error::Result<Vec<RawDocumentBuf>> {
        // Nothing comes after it, and the server does not take it as a beginning.
        if span.from == Bound::Excluded(Bson::MaxKey) {
            return Ok(Vec::new());
        }
        // The first one may be the last one of the batch before.
        let limit = i64::from(count) + i64::from(matches!(span.from, Bound::Excluded(_)));
        let mut documents = durable::patiently(async || self.query(span, limit).await).await?;
        if let Bound::Excluded(last) = &span.from
            && documents.first().is_some_and(|first| is_same(Some(&id_of(first)), Some(last)))
        {
            documents.remove(0);
        }
        if documents.is_empty() && ends_before_last_key(span) {
            return durable::patiently(async || collected(self.find_last_key().await?).await).await;
        }
        Ok(documents)
    }

    /// Reads the next documents of a span in a transaction, as [`batch`](Self::batch) does.
    pub(super) async fn batch_in(
        &self,
        session: &mut ClientSession,
        span: &Span,
        count: u32,
    ) -> mongodb::error::Result<Vec<RawDocumentBuf>> {
        if span.from == Bound::Excluded(Bson::MaxKey) {
            return Ok(Vec::new());
        }
        let limit = i64::from(count) + i64::from(matches!(span.from, Bound::Excluded(_)));
        let mut cursor = self.find(span, limit).session(&mut *session).await?;
        let (mut documents, mut bytes) = (Vec::new(), 0);
        while bytes <= LARGEST
            && let Some(document) = cursor.next(session).await.transpose()?
        {
            if matches!(&span.from, Bound::Excluded(last) if documents.is_empty() && is_same(Some(&id_of(&document)), Some(last)))
            {
                continue;
            }
            bytes += document.as_bytes().len();
            documents.push(document);
        }
        if documents.is_empty() && ends_before_last_key(span) {
            let mut cursor = self.find_last_key().session(&mut *session).await?;
            documents.extend(cursor.next(session).await.transpose()?);
        }
        Ok(documents)
    }

    async fn query(&self, span: &Span, limit: i64) -> mongodb::error::Result<Vec<RawDocumentBuf>> {
        collected(self.find(span, limit).await?).await
    }

    /// Finds the document whose `_id` is the last value of all.
    fn find_last_key(&self) -> Find<'_, RawDocumentBuf> {
        let mut filter = doc! { "_id": { "$eq": Bson::MaxKey } };
        if !self.filter.is_empty() {
            filter = doc! { "$and": [filter, &self.filter] };
        }
        let find = self.collection.find(filter).limit(-1);
        match &self.projection {
            Some(projection) => find.projection(projection.clone()),
            None => find,
        }
    }

    fn find(&self, span: &Span, limit: i64) -> Find<'_, RawDocumentBuf> {
        // A negative limit asks for one batch, and no cursor is left open. `min` and `max` go by the order of the index, over all
        // types; `$gte` would compare with values of the same type only.
        let find = self.collection.find(self.filter.clone()).hint(Hint::Keys(doc! { "_id": 1 })).sort(doc! { "_id": 1 });
        let mut find = find.limit(-limit).batch_size(u32::try_from(limit).unwrap_or(u32::MAX));
        if let Bound::Included(from) | Bound::Excluded(from) = &span.from {
            find = find.min(doc! { "_id": from });
        }
        if let Some(to) = &span.to {
            find = find.max(doc! { "_id": to });
        }
        if let Some(projection) = &self.projection {
            find = find.projection(projection.clone());
        }
        find
    }

    /// Reads documents again. Those that are gone, or no longer match the filter, are left out.
    pub(super) async fn again(&self, ids: &[Bson]) -> mongodb::error::Result<Vec<RawDocumentBuf>> {
        let mut filter = doc! { "_id": { "$in": ids } };
        if !self.filter.is_empty() {
            filter = doc! { "$and": [filter, &self.filter] };
        }
        durable::patiently(async || {
            let mut find = self.collection.find(filter.clone()).batch_size(LONGEST + 1);
            if let Some(projection) = &self.projection {
                find = find.projection(projection.clone());
            }
            let mut cursor = find.await?;
            let mut documents = Vec::new();
            while cursor.advance().await? {
                documents.push(cursor.current().to_owned());
            }
            Ok(documents)
        })
        .await
    }
}

/// Whether the documents of a span lack the one with the last `_id` of all: with `min` and without `max`, the server does not return it.
fn ends_before_last_key(span: &Span) -> bool {
    span.to.is_none() && span.from != Bound::Unbounded
}

/// The documents of a cursor, up to a certain size.
async fn collected(mut cursor: Cursor<RawDocumentBuf>) -> mongodb::error::Result<Vec<RawDocumentBuf>> {
    let (mut documents, mut bytes) = (Vec::new(), 0);
    while bytes <= LARGEST && cursor.advance().await? {
        bytes += cursor.current().as_bytes().len();
        documents.push(cursor.current().to_owned());
    }
    Ok(documents)
}
