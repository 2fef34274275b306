//! What is done with a batch of documents: the closure's writes are computed, sent, and what did not match is done again.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::LocalBoxFuture;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::apply::{self, Batch, To};
use super::effect;
use super::ends::Refused;
use super::guard::{Guard, id_of};
use super::shared::Shared;
use super::totals::{Failure, Totals};
use super::undo_log::{Touched, UndoLog};
use super::view::View;
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

    /// Whether the server computes the writes.
    pub(super) fn is_pipeline(&self) -> bool {
        matches!(self, Self::Pipeline(_))
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

/// Carries out the work on documents that were read, in the range of that number. Returns what was done.
pub(super) async fn on(shared: &Shared<'_>, work: &Work<'_>, number: i32, read: Vec<RawDocumentBuf>) -> Result<Totals> {
    let mut totals = Totals { read: read.len() as u64, ..Totals::default() };
    let mut open = vec![read];
    while let Some(documents) = open.pop() {
        if documents.is_empty() {
            continue;
        }
        let mut ids: Vec<Bson> = documents.iter().map(|document| id_of(document)).collect();
        if let Work::Pipeline(stages) = work {
            let since = Instant::now();
            totals = totals.with(by_server(shared, stages, number, &ids).await?);
            shared.confirmed(ids.len() as u64, since.elapsed());
            continue;
        }
        let Computed { batch, failures } = compute(shared, work, documents, &shared.guard).await?;
        totals.failed += failures.len() as u64;
        let mut failed = Vec::new();
        for (place, why) in failures {
            shared.fail(number, Failure { id: ids[place].clone(), why })?;
            failed.push(place);
        }
        if batch.is_empty() {
            continue;
        }
        let own = batch.own();
        let since = Instant::now();
        let outcome = batch.send(&mut To::Database(shared.db), &shared.settings.collection).await?;
        shared.confirmed(own, since.elapsed());
        totals = totals.with((&outcome).into());
        totals.failed += outcome.refused.len() as u64;
        for (place, code, why) in &outcome.refused {
            let why = format!("the server refused the write: {why} (code {code})");
            shared.fail(number, Failure { id: ids[*place].clone(), why })?;
            failed.push(*place);
        }
        if outcome.missed == 0 {
            continue;
        }
        // The application changed some of them in the meantime. The answer does not say which, so all are read and computed again, in
        // halves: soon most of them are done, and what is changed all the time is alone.
        failed.sort_unstable();
        failed.into_iter().rev().for_each(|place| {
            ids.swap_remove(place);
        });
        let mut again = shared.reader.again(&ids).await?;
        let half = again.split_off(again.len() / 2);
        open.extend([again, half]);
    }
    Ok(totals)
}

/// Carries out the work on documents that were read in this transaction, except for those whose write the server has refused before.
/// Returns what was done, and the documents for which there is no write. `since` is set to when it began to write.
pub(super) async fn on_in(
    shared: &Shared<'_>,
    work: &Work<'_>,
    read: Vec<RawDocumentBuf>,
    refused: &[Failure],
    session: &mut ClientSession,
    since: &Cell<Instant>,
) -> Result<(Totals, Vec<Failure>)> {
    let totals = Totals { read: read.len() as u64, ..Totals::default() };
    let (ids, documents): (Vec<Bson>, Vec<RawDocumentBuf>) = read
        .into_iter()
        .map(|document| (id_of(&document), document))
        .filter(|(id, _)| refused.iter().all(|failure| failure.id != *id))
        .unzip();
    let mut to = To::Transaction(shared.db, session);
    since.set(Instant::now());
    if let Work::Pipeline(stages) = work {
        // Where some may fail, it has to be known which. Without `exactly_once`, that is found out without a transaction.
        let once = shared.settings.exactly_once;
        let is_each = once && shared.settings.tolerated > 0;
        let statements =
            if is_each { each_by_server(shared, stages, &ids)? } else { vec![(0, all_by_server(shared, stages, &ids)?)] };
        let outcome = apply::updates(&mut to, &shared.settings.collection, statements).await?;
        return match outcome.refused.first() {
            None => Ok((totals.with((&outcome).into()), Vec::new())),
            Some((place, code, why)) => {
                let why = format!("the server refused the pipeline: {why} (code {code})");
                Err(if is_each || !once {
                    Refused(Failure { id: ids[*place].clone(), why }).into()
                } else {
                    Error::failed(why).into()
                })
            }
        };
    }
    if documents.is_empty() {
        return Ok((totals, Vec::new()));
    }
    let Computed { batch, failures } = compute(shared, work, documents, &Guard::of_transaction()).await?;
    since.set(Instant::now());
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

async fn compute(shared: &Shared<'_>, work: &Work<'_>, documents: Vec<RawDocumentBuf>, guard: &Guard) -> Result<Computed> {
    let (guard, undo_log) = (guard.clone(), shared.undo_log.clone());
    let is_verified = shared.settings.is_verified;
    let prepare = move |documents: &[_], writes| prepared(documents, writes, &guard, undo_log.as_ref(), is_verified);
    with_writes(shared, work, &shared.view, documents, prepare).await?
}

/// Computes the writes for documents, each with what is wrong with it, and calls `then` with both.
pub(super) async fn with_writes<T: Send + 'static>(
    shared: &Shared<'_>,
    work: &Work<'_>,
    view: &View,
    documents: Vec<RawDocumentBuf>,
    then: impl FnOnce(&[RawDocumentBuf], Vec<Result<Write, String>>) -> T + Send + 'static,
) -> Result<T> {
    let is_repeated = shared.settings.is_repeated();
    let checked = move |write: Result<Write>| {
        let write = write.map_err(|error| crate::error::chain::error_text(&*error))?;
        write.problem(is_repeated).map_or(Ok(write), Err)
    };
    match work {
        Work::Pipeline(_) => Err(Error::failed("the server computes the writes of a pipeline").into()),
        Work::Each(compute) => {
            let (compute, view) = (Arc::clone(compute), view.clone());
            let _core = shared.cores.acquire().await?;
            let computed = tokio::task::spawn_blocking(move || {
                let write = |document: &RawDocumentBuf| checked(view.of(document).and_then(|part| compute(&part)));
                let writes = documents.iter().map(write).collect();
                then(&documents, writes)
            });
            computed.await.map_err(panicked)
        }
        Work::Batch(compute) => {
            let parts: Result<Vec<_>> = documents.iter().map(|document| Ok(view.of(document)?.into_owned())).collect();
            let writes = compute(parts?).await?;
            Ok(then(&documents, writes.into_iter().map(checked).collect()))
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

fn prepared(
    documents: &[RawDocumentBuf],
    writes: Vec<Result<Write, String>>,
    guard: &Guard,
    undo_log: Option<&UndoLog>,
    is_verified: bool,
) -> Result<Computed> {
    let mut computed = Computed { batch: Batch::default(), failures: Vec::new() };
    for (place, (document, write)) in documents.iter().zip(writes).enumerate() {
        if let (true, Ok(write)) = (is_verified, &write) {
            effect::verifiable(&id_of(document), write)?;
        }
        match (write, undo_log) {
            (Ok(write), None) => computed.batch.add(place, document, write, guard)?,
            (Ok(write), Some(undo_log)) => match undo_log.add_to(document, write) {
                Ok((write, Touched::Fields(fields))) => {
                    computed.batch.add(place, document, write, &guard.with(&fields))?;
                }
                Ok((write, Touched::Complete)) => computed.batch.add(place, document, write, &guard.complete())?,
                Err(why) => computed.failures.push((place, why)),
            },
            (Err(why), _) => computed.failures.push((place, why)),
        }
    }
    Ok(computed)
}

/// Lets the server compute the writes for these documents, as far as they still match the filter.
async fn by_server(shared: &Shared<'_>, stages: &RawArrayBuf, number: i32, ids: &[Bson]) -> Result<Totals> {
    let (mut to, collection) = (To::Database(shared.db), &shared.settings.collection);
    let all = vec![(0, all_by_server(shared, stages, ids)?)];
    let outcome = apply::updates(&mut to, collection, all).await?;
    if outcome.refused.is_empty() {
        return Ok((&outcome).into());
    }
    // The answer does not say for which document. What is done already is done again.
    let outcome = apply::updates(&mut to, collection, each_by_server(shared, stages, ids)?).await?;
    for (place, code, why) in &outcome.refused {
        let why = format!("the server refused the pipeline: {why} (code {code})");
        shared.fail(number, Failure { id: ids[*place].clone(), why })?;
    }
    Ok(Totals { failed: outcome.refused.len() as u64, ..(&outcome).into() })
}

fn all_by_server(shared: &Shared<'_>, stages: &RawArrayBuf, ids: &[Bson]) -> Result<RawDocumentBuf> {
    computed_by_server(shared, stages, doc! { "_id": { "$in": ids } }, true)
}

fn each_by_server(shared: &Shared<'_>, stages: &RawArrayBuf, ids: &[Bson]) -> Result<apply::Statements> {
    let statement = |id: &Bson| computed_by_server(shared, stages, doc! { "_id": { "$eq": id } }, false);
    ids.iter().enumerate().map(|(place, id)| Ok((place, statement(id)?))).collect()
}

/// The statement with which the server computes the writes for documents.
fn computed_by_server(shared: &Shared<'_>, stages: &RawArrayBuf, which: Document, multi: bool) -> Result<RawDocumentBuf> {
    let filter = &shared.settings.filter;
    let filter = if filter.is_empty() {
        which
    } else {
        doc! { "$and": [which, filter] }
    };
    Ok(rawdoc! { "q": RawDocumentBuf::try_from(&filter)?, "u": RawBson::Array(stages.clone()), "multi": multi })
}
