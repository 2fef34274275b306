//! Batches as transactions: each reads its documents, and writes what was computed from them.
//!
//! The server refuses to commit if one of the documents was written to since they were read. No filter that the server would have to
//! compare with each document is as cheap. With `exactly_once` the mark that says how far the range has come is part of the
//! transaction. Without it, a batch that is refused again and again is written with a guard for each document instead.

use std::cell::Cell;
use std::ops::Bound;
use std::time::{Duration, Instant};

use mongodb::bson::Bson;

use super::ends::{Guarded, Refused, Taken};
use super::guard::id_of;
use super::read::Span;
use super::shared::Shared;
use super::source::{Range, Source, Take};
use super::totals::{Failure, Totals};
use super::work::{self, Work};
use crate::crash;
use crate::db::Transaction;
use crate::durable::attempt;
use crate::error::Result;

/// After so many attempts in which another process wrote to a document, each document is guarded by itself.
const ATTEMPTS: u32 = 3;

/// What a transaction has done.
struct Batch {
    totals: Totals,
    last: Bson,
    failures: Vec<Failure>,
    /// How long it took to write it.
    took: Duration,
}

/// What came of a transaction.
enum Ran {
    Batch(Batch),
    /// Another process has taken the range over.
    Taken,
    /// The range has no more documents.
    End,
}

/// Whether batches of this work are transactions.
pub(super) fn are_used(shared: &Shared<'_>, work: &Work<'_>) -> bool {
    // A closure that looks something up may take longer than a transaction may last.
    shared.settings.exactly_once || shared.db.has_transactions() && !matches!(work, Work::Batch(_))
}

/// Works on a range. Returns what was done in it by this process.
pub(super) async fn on_range(shared: &Shared<'_>, work: &Work<'_>, source: &Source, range: Range) -> Result<Totals> {
    let Range { number, span: mut rest, take } = range;
    let once = shared.settings.exactly_once;
    let mut done = Totals::default();
    loop {
        let Some(_slot) = shared.slot().await? else { return Err(shared.stopped()) };
        let mut transaction = shared.transaction().await?;
        let ran = one(shared, work, source, (number, take.as_ref(), &rest), &mut transaction).await?;
        shared.idle.borrow_mut().push(transaction);
        let (totals, last) = match ran {
            Some(Ran::Batch(batch)) => {
                shared.confirmed(batch.totals.read, batch.took);
                for failure in batch.failures {
                    shared.fail(number, failure)?;
                }
                (batch.totals, batch.last)
            }
            Some(Ran::Taken) => return Ok(done),
            Some(Ran::End) => break,
            None => match guarded(shared, work, (number, &rest)).await? {
                Some(batch) => batch,
                None => break,
            },
        };
        crash::point("batch written");
        shared.rate(usize::try_from(totals.read).unwrap_or(usize::MAX)).await;
        shared.read(totals.read);
        source.add_read(totals.read);
        done = done.with(totals);
        rest = Span { from: Bound::Excluded(last), ..rest };
    }
    // With `exactly_once` each batch has noted its counts and failures.
    let failures = if once { Vec::new() } else { shared.failures.of(number) };
    let is_ours = source.done((number, take.as_ref()), (!once).then_some(done), &failures).await?;
    crash::point("range marked");
    Ok(if is_ours { done } else { Totals::default() })
}

/// Works on the next documents with a guard for each. `None` if there are none.
async fn guarded(shared: &Shared<'_>, work: &Work<'_>, (number, rest): (i32, &Span)) -> Result<Option<(Totals, Bson)>> {
    let documents = shared.reader.batch(rest, shared.transaction_size()).await?;
    let Some(last) = documents.last().map(|document| id_of(document)) else { return Ok(None) };
    Ok(Some((work::on(shared, work, number, documents).await?, last)))
}

/// Runs the transaction of the next documents. `None` if each of them is to be guarded by itself.
async fn one(
    shared: &Shared<'_>,
    work: &Work<'_>,
    source: &Source,
    (number, take, rest): (i32, Option<&Take>, &Span),
    transaction: &mut Transaction,
) -> Result<Option<Ran>> {
    let once = shared.settings.exactly_once;
    // Documents whose write the server has refused: that ends the transaction, so the next attempt leaves them out.
    let mut refused: Vec<Failure> = Vec::new();
    let (mut attempts, mut repeated) = (0, 0);
    let since = Cell::new(Instant::now());
    loop {
        let ran = attempt::run(transaction, std::future::pending, async |transaction| {
            attempts += 1;
            if attempts > 1 {
                // Another process has written to one of these documents.
                shared.shrink();
                if !once && attempts > ATTEMPTS {
                    return Err(Guarded.into());
                }
            }
            let session = transaction.session();
            let count = shared.transaction_size();
            let asked = Instant::now();
            let documents = shared.reader.batch_in(session, rest, count).await?;
            shared.queried(asked.elapsed());
            let Some(last) = documents.last().map(|document| id_of(document)) else { return Ok(Ran::End) };
            let read = documents.len() as u64;
            let (mut totals, failures) = work::on_in(shared, work, documents, &refused, session, &since).await?;
            totals.failed += refused.len() as u64;
            totals.repeated += repeated;
            repeated += read;
            let failures: Vec<Failure> = failures.into_iter().chain(refused.iter().cloned()).collect();
            // Before they are marked as done: a run that follows has to meet them again.
            shared.failures.with(shared.settings, &failures)?;
            if once && !source.batch_done(session, (number, take, &last), totals, &failures).await? {
                return Err(Taken.into());
            }
            crash::point("batch in transaction");
            Ok(Ran::Batch(Batch { totals, last, failures, took: Duration::ZERO }))
        });
        let error = match ran.await {
            Ok(Ran::Batch(batch)) => {
                let took = since.get().elapsed();
                shared.grow(took);
                return Ok(Some(Ran::Batch(Batch { took, ..batch })));
            }
            Ok(ran) => return Ok(Some(ran)),
            Err(error) => error,
        };
        if error.is::<Taken>() {
            return Ok(Some(Ran::Taken));
        }
        if error.is::<Guarded>() || !once && error.is::<Refused>() {
            return Ok(None);
        }
        refused.push(error.downcast::<Refused>()?.0);
        (attempts, repeated) = (0, 0);
    }
}
