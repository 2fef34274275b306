//! Cuts a collection into ranges of `_id`, by a sample. Nothing is counted, and all types are in the server's own order.

use std::ops::Bound;

use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};

use super::read::Span;
use crate::durable;

/// How many documents a range should have.
#[cfg(not(feature = "_crash-points"))]
fn range_documents() -> u64 {
    20_000
}

#[cfg(feature = "_crash-points")]
use crate::crash::range_documents;

/// The most ranges of a collection.
const MOST: u64 = 1_000;

/// How many documents are sampled for each range, so that they become about equal.
const SAMPLED: u64 = 20;

/// Returns the `_id`s at which ranges end and the next ones begin, in order: none if one range is enough.
pub(super) async fn cut(collection: &Collection<Document>, estimate: u64) -> mongodb::error::Result<Vec<Bson>> {
    let count = (estimate / range_documents()).clamp(1, MOST);
    if count == 1 {
        return Ok(Vec::new());
    }
    // Less than a twentieth of the documents, so the server picks them without reading all.
    let size = i64::try_from((count * SAMPLED).min(estimate / 25)).unwrap_or(i64::MAX);
    let pipeline = [doc! { "$sample": { "size": size } }, doc! { "$project": { "_id": 1 } }, doc! { "$sort": { "_id": 1 } }];
    let sample = durable::patiently(async || {
        let mut cursor = collection.aggregate(pipeline.clone()).await?;
        let mut ids = Vec::new();
        while cursor.advance().await? {
            ids.extend(cursor.current().get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok()));
        }
        Ok(ids)
    })
    .await?;
    Ok(ends(sample, usize::try_from(count).unwrap_or(usize::MAX)))
}

/// The ranges between these ends, and those before and after.
pub(super) fn spans(ends: Vec<Bson>) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut from = Bound::Unbounded;
    for end in ends {
        spans.push(Span { from, to: Some(end.clone()) });
        from = Bound::Included(end);
    }
    spans.push(Span { from, to: None });
    spans
}

/// Picks `count - 1` of the sampled `_id`s, evenly. A random sample may have one twice.
fn ends(mut sample: Vec<Bson>, count: usize) -> Vec<Bson> {
    sample.dedup();
    // Nothing lies between it and the end.
    sample.retain(|id| *id != Bson::MaxKey);
    let length = sample.len();
    let mut places: Vec<usize> = (1..count).map(|number| number * length / count).filter(|place| *place < length).collect();
    places.dedup();
    places.into_iter().map(|place| sample[place].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_even_and_different() {
        let sample: Vec<Bson> = (0..100).map(Bson::Int32).collect();
        assert_eq!(ends(sample, 4), [25, 50, 75].map(Bson::Int32));
        assert_eq!(ends(vec![Bson::Int32(7); 9], 3), [Bson::Int32(7)]);
        assert_eq!(ends(Vec::new(), 3), []);
    }
}
