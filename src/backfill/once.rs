//! Each batch, and the mark that says how far it has come, in one transaction.

use std::cell::Cell;
use std::ops::Bound;
use std::time::{Duration, Instant};

use mongodb::bson::Bson;

use super::ends::{Refused, Taken};
use super::guard::id_of;
use super::read::{LONGEST, Span};
use super::shared::Shared;
use super::source::{Range, Source};
use super::totals::{Failure, Totals};
use super::work::{self, Work};
use crate::crash;
use crate::db::Transaction;
use crate::durable::attempt;
use crate::error::Result;

/// How many documents the first transaction has, and one that meets others' writes again and again.
const FIRST: u32 = 100;
const SHORTEST: u32 = 5;

/// A transaction should take less than this, and grows if it takes less than a third.
const LONG: Duration = Duration::from_millis(900);

/// What a transaction has done.
struct Batch {
    totals: Totals,
    last: Bson,
    failures: Vec<Failure>,
}

/// Works on a range. Returns what was done in it by this process.
pub(super) async fn on_range(shared: &Shared<'_>, work: &Work<'_>, source: &Source, range: Range) -> Result<Totals> {
    let Range { number, span: mut rest } = range;
    let mut done = Totals::default();
    let size = Cell::new(FIRST);
    loop {
        let Some(_slot) = shared.slot().await? else { return Err(shared.stopped()) };
        let mut transaction = shared.db.begin().await?;
        let since = Instant::now();
        let ran = one(shared, work, source, (number, &rest), &size, &mut transaction).await?;
        let batch = match ran {
            Ran::Batch(batch) => batch,
            Ran::Taken => return Ok(done),
            Ran::End => break,
        };
        let took = since.elapsed();
        shared.confirmed(batch.totals.read, took);
        grow(&size, took);
        shared.rate(usize::try_from(batch.totals.read).unwrap_or(usize::MAX)).await;
        shared.read(batch.totals.read);
        source.add_read(batch.totals.read);
        done = done.with(batch.totals);
        for failure in batch.failures {
            shared.fail(number, failure)?;
        }
        rest = Span { from: Bound::Excluded(batch.last), ..rest };
    }
    source.done(number, None, &[]).await?;
    crash::point("range marked");
    Ok(done)
}

/// What came of a transaction.
enum Ran {
    Batch(Batch),
    /// Another process has taken the range over.
    Taken,
    /// The range has no more documents.
    End,
}

async fn one(
    shared: &Shared<'_>,
    work: &Work<'_>,
    source: &Source,
    (number, rest): (i32, &Span),
    size: &Cell<u32>,
    transaction: &mut Transaction,
) -> Result<Ran> {
    // Documents whose write the server has refused: that ends the transaction, so the next attempt leaves them out.
    let mut refused: Vec<Failure> = Vec::new();
    let mut attempts = 0;
    loop {
        let before = refused.len();
        let ran = attempt::run(transaction, std::future::pending, async |transaction| {
            attempts += 1;
            if attempts > 1 + before {
                // Another process has written to one of these documents.
                size.set((size.get() / 2).max(SHORTEST));
            }
            let session = transaction.session();
            let count = size.get().min(shared.batch_size());
            let documents = shared.reader.batch_in(session, rest, count).await?;
            let Some(last) = documents.last().map(|document| id_of(document)) else { return Ok(Ran::End) };
            let (mut totals, failures) = work::on_in(shared, work, documents, &refused, session).await?;
            totals.failed += refused.len() as u64;
            let failures: Vec<Failure> = failures.into_iter().chain(refused.iter().cloned()).collect();
            // Before they are marked as done: a run that follows has to meet them again.
            shared.failures.with(shared.settings, &failures)?;
            if !source.batch_done(session, (number, &last), totals, &failures).await? {
                return Err(Taken.into());
            }
            crash::point("batch in transaction");
            Ok(Ran::Batch(Batch { totals, last, failures }))
        });
        match ran.await {
            Ok(ran) => return Ok(ran),
            Err(error) if error.is::<Taken>() => return Ok(Ran::Taken),
            Err(error) => refused.push(error.downcast::<Refused>()?.0),
        }
    }
}

/// The next transaction has more documents if this one was short, and fewer if it was long.
fn grow(size: &Cell<u32>, took: Duration) {
    let now = size.get();
    size.set(if took < LONG / 3 {
        (now + now / 2).min(LONGEST)
    } else if took > LONG {
        (now / 2).max(SHORTEST)
    } else {
        now
    });
}
