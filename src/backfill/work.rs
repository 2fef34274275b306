//! What is done with a batch of documents: the closure's writes are computed, sent, and what did not match is done again.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::LocalBoxFuture;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, rawdoc};

use super::apply::{self, Batch, Outcome, To};
use super::ends::Refused;
use super::guard::{Guard, id_of};
use super::shared::Shared;
use super::totals::{Failure, Totals};
use super::write::Write;
use crate::error::{Error, Result};

/// Computes the write for one document, on any thread.
pub(super) type Compute = dyn Fn(&RawDocument) -> Result<Write> + Send + Sync;

/// Computes the writes for several documents, with the database at hand.
pub(super) type ComputeBatch<'b> = dyn Fn(Vec<RawDocumentBuf>) -> LocalBoxFuture<'b, Result<Vec<Result<Write>>>> + 'b;

/// Where the writes come from.
pub(super) enum Work<'b> {
    Each(Arc<Compute>),
    Batch(Box<ComputeBatch<'b>>),
    /// The server computes them.
    Pipeline(RawArrayBuf),
}

impl Work<'_> {
    /// What it is called where it is stored.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Each(_) => "each",
            Self::Batch(_) => "batches",
            Self::Pipeline(_) => "pipeline",
        }
    }

    /// The stages of a pipeline.
    pub(super) fn pipeline(stages: &[Document]) -> Result<Self> {
        Ok(Self::Pipeline(apply::raw_array(stages)?))
    }
}

/// The writes of a batch, and the documents for which there is none because the closure failed.
struct Computed {
    batch: Batch,
    failures: Vec<(usize, String)>,
}

/// Carries out the work on documents that were read. Returns what was done.
pub(super) async fn on(shared: &Shared<'_>, work: &Work<'_>, read: Vec<RawDocumentBuf>) -> Result<Totals> {
    let mut totals = Totals { read: read.len() as u64, ..Totals::default() };
    let mut open = vec![read];
    while let Some(documents) = open.pop() {
        if documents.is_empty() {
            continue;
        }
        let ids: Vec<Bson> = documents.iter().map(|document| id_of(document)).collect();
        if let Work::Pipeline(stages) = work {
            let since = Instant::now();
            totals = totals.with((&by_server(shared, stages, &ids, &mut To::Database(shared.database)).await?).into());
            shared.confirmed(ids.len() as u64, since.elapsed());
            continue;
        }
        let Computed { batch, failures } = compute(shared, work, documents).await?;
        totals.failed += failures.len() as u64;
        for (place, why) in failures {
            shared.fail(Failure { id: ids[place].clone(), why })?;
        }
        if batch.is_empty() {
            continue;
        }
        let own = batch.own();
        let since = Instant::now();
        let outcome = batch.send(&mut To::Database(shared.database), &shared.settings.collection).await?;
        shared.confirmed(own, since.elapsed());
        totals = totals.with((&outcome).into());
        totals.failed += outcome.refused.len() as u64;
        for (place, code, why) in &outcome.refused {
            shared.fail(Failure {
                id: ids[*place].clone(),
                why: format!("the server refused the write: {why} (code {code})"),
            })?;
        }
        if outcome.matched + outcome.refused.len() as u64 >= own {
            continue;
        }
        // The application changed some of them in the meantime. The answer does not say which, so all are read and computed again, in
        // halves: soon most of them are done, and what is changed all the time is alone.
        totals.repeated += own - outcome.matched - outcome.refused.len() as u64;
        let mut again = shared.reader.again(&ids).await?;
        let half = again.split_off(again.len() / 2);
        open.extend([again, half]);
    }
    Ok(totals)
}

/// Carries out the work on documents that were read in this transaction, except for those whose write the server has refused before.
/// Returns what was done, and the documents for which there is no write.
pub(super) async fn on_in(
    shared: &Shared<'_>,
    work: &Work<'_>,
    read: Vec<RawDocumentBuf>,
    refused: &[Failure],
    session: &mut ClientSession,
) -> Result<(Totals, Vec<Failure>)> {
    let totals = Totals { read: read.len() as u64, ..Totals::default() };
    let (ids, documents): (Vec<Bson>, Vec<RawDocumentBuf>) = read
        .into_iter()
        .map(|document| (id_of(&document), document))
        .filter(|(id, _)| refused.iter().all(|failure| failure.id != *id))
        .unzip();
    let mut to = To::Transaction(shared.database, session);
    if let Work::Pipeline(stages) = work {
        let outcome = by_server(shared, stages, &ids, &mut to).await?;
        return Ok((totals.with((&outcome).into()), Vec::new()));
    }
    if documents.is_empty() {
        return Ok((totals, Vec::new()));
    }
    let Computed { batch, failures } = compute(shared, work, documents).await?;
    let failures: Vec<_> = failures.into_iter().map(|(place, why)| Failure { id: ids[place].clone(), why }).collect();
    let outcome = batch.send(&mut to, &shared.settings.collection).await?;
    if let Some((place, code, why)) = outcome.refused.first() {
        let why = format!("the server refused the write: {why} (code {code})");
        return Err(Refused(Failure { id: ids[*place].clone(), why }).into());
    }
    let mut totals = totals.with((&outcome).into());
    totals.failed += failures.len() as u64;
    Ok((totals, failures))
}

async fn compute(shared: &Shared<'_>, work: &Work<'_>, documents: Vec<RawDocumentBuf>) -> Result<Computed> {
    match work {
        Work::Pipeline(_) => Err(Error::failed("the server computes the writes of a pipeline").into()),
        Work::Each(compute) => {
            let (compute, guard) = (Arc::clone(compute), shared.guard.clone());
            let is_repeated = shared.settings.is_repeated();
            let _core = shared.cores.acquire().await?;
            let computed = tokio::task::spawn_blocking(move || {
                let writes: Vec<_> = documents.iter().map(|document| compute(document)).collect();
                prepared(&documents, writes, &guard, is_repeated)
            });
            computed.await.map_err(panicked)?
        }
        Work::Batch(compute) => {
            let writes = compute(documents.clone()).await?;
            if writes.len() != documents.len() {
                let (got, wanted) = (writes.len(), documents.len());
                return Err(Error::failed(format!("the closure returned {got} writes for {wanted} documents"))
                    .with_hint("return one `Write` for each document, in the same order; `Write::none()` writes nothing")
                    .into());
            }
            prepared(&documents, writes, &shared.guard, shared.settings.is_repeated())
        }
    }
}

fn panicked(error: tokio::task::JoinError) -> Box<dyn std::error::Error + Send + Sync> {
    match error.try_into_panic() {
        // As if the closure had been called on the migration's own thread.
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => error.into(),
    }
}

fn prepared(documents: &[RawDocumentBuf], writes: Vec<Result<Write>>, guard: &Guard, is_repeated: bool) -> Result<Computed> {
    let mut computed = Computed { batch: Batch::default(), failures: Vec::new() };
    for (place, (document, write)) in documents.iter().zip(writes).enumerate() {
        let write = write.map_err(|error| crate::error::chain::error_text(&*error));
        match write.and_then(|write| write.problem(is_repeated).map_or(Ok(write), Err)) {
            Ok(write) => computed.batch.add(place, document, write, guard)?,
            Err(why) => computed.failures.push((place, why)),
        }
    }
    Ok(computed)
}

/// Lets the server compute the writes for these documents, as far as they still match the filter.
async fn by_server(shared: &Shared<'_>, stages: &RawArrayBuf, ids: &[Bson], to: &mut To<'_>) -> Result<Outcome> {
    let mut filter = mongodb::bson::doc! { "_id": { "$in": ids } };
    if !shared.settings.filter.is_empty() {
        filter = mongodb::bson::doc! { "$and": [filter, &shared.settings.filter] };
    }
    let statement = rawdoc! { "q": RawDocumentBuf::try_from(&filter)?, "u": RawBson::Array(stages.clone()), "multi": true };
    let outcome = apply::update(to, &shared.settings.collection, statement).await?;
    match outcome.refused.first() {
        None => Ok(outcome),
        Some((_, code, why)) => Err(Error::failed(format!("the server refused the pipeline: {why} (code {code})")).into()),
    }
}
