//! Computes the writes for a sample before the first one is sent: how large the undo log will be, and whether everything can be
//! verified.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

use super::effect;
use super::guard::id_of;
use super::shared::Shared;
use super::work::{Work, with_writes};
use crate::durable;
use crate::error::Result;
use crate::report::human_bytes;

/// How many documents of the collection are looked at.
const SAMPLE: i64 = 100;

/// Looks at a sample, if there is something to find out.
pub(super) async fn look(shared: &Shared<'_>, work: &Work<'_>) -> Result<()> {
    if work.is_pipeline() || shared.undo_log.is_none() && !shared.settings.is_verified {
        return Ok(());
    }
    let (sampled, documents) = sample(shared).await?;
    let (undo_log, is_verified) = (shared.undo_log.clone(), shared.settings.is_verified);
    let bytes = with_writes(shared, work, &shared.part, documents, move |documents, writes| -> Result<usize> {
        let mut bytes = 0;
        // What fails, fails when its turn comes.
        for (document, write) in documents.iter().zip(writes).filter_map(|(document, write)| Some((document, write.ok()?))) {
            if is_verified {
                effect::verifiable(&id_of(document), &write)?;
            }
            if let Some(undo_log) = &undo_log
                && let Ok((write, _)) = undo_log.add_to(document, write)
            {
                bytes += undo_log.size_of(&write);
            }
        }
        Ok(bytes)
    })
    .await??;
    if shared.undo_log.is_some() && sampled > 0 {
        let bytes = u128::from(shared.estimate().max(sampled)) * bytes as u128 / u128::from(sampled);
        let size = human_bytes(u64::try_from(bytes).unwrap_or(u64::MAX));
        shared.db.note(format!("the undo log of `{}` will have about {size}", shared.settings.collection));
    }
    Ok(())
}

/// How many documents of the collection were picked, and those of them that match the filter.
async fn sample(shared: &Shared<'_>) -> mongodb::error::Result<(u64, Vec<RawDocumentBuf>)> {
    let collection = shared.db.collection::<Document>(&shared.settings.collection);
    let picked = durable::patiently(async || {
        let pick = [doc! { "$sample": { "size": SAMPLE } }, doc! { "$project": { "_id": 1 } }];
        let mut cursor = collection.aggregate(pick).await?;
        let mut ids: Vec<Bson> = Vec::new();
        while cursor.advance().await? {
            ids.push(id_of(cursor.current()));
        }
        Ok(ids)
    })
    .await?;
    Ok((picked.len() as u64, shared.complete_reader().again(&picked).await?))
}
