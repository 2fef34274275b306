//! Drives a backfill: ranges are cut or taken up, several workers work on them, and the filter is asked again at the end.

use std::cell::Cell;
use std::ops::Bound;
use std::time::Instant;

use mongodb::bson::{Document, RawDocumentBuf};

use super::ends::Lost;
use super::guard::{Guard, id_of, top_level};
use super::ledger::Ledger;
use super::pulse::Pulse;
use super::read::{Reader, Span};
use super::settings::Settings;
use super::shared::Shared;
use super::source::{Range, Source};
use super::totals::Totals;
use super::undo_log::UndoLog;
use super::view::View;
use super::work::{self, Work};
use super::{ahead, check, transactions, verify};
use crate::crash;
use crate::db::Db;
use crate::error::Result;

/// How often the filter is asked again at most.
const PASSES: u32 = 3;

/// How many documents are counted at most to say what is left.
const COUNTED: u64 = 10_000;

/// Carries out the backfill.
pub(super) async fn run(db: &Db, settings: &Settings, work: &Work<'_>) -> Result<Totals> {
    check::settings(db, settings)?;
    check::collection(db, settings).await?;
    UndoLog::of(db, settings, work.is_pipeline())?;
    let Some(migrating) = db.migrating() else {
        let shared = shared(db, settings, work, Pulse::none()).await?;
        ahead::look(&shared, work).await?;
        let first = pass(&shared, work, &Source::local(shared.cut().await?)).await?;
        let all = first.with(again(&shared, work).await?);
        verify::run(&shared, work).await?;
        shared.failures.list(db, settings);
        return Ok(Totals { failed: shared.failures.count(), ..all });
    };
    let ledger = Ledger::new(migrating, settings, work.kind())?;
    let db = &db.quiet(ledger.connection());
    if let Some(joins) = ledger.joins() {
        return ledger
            .join(joins, async |source, pulse| pass(&shared(db, settings, work, pulse).await?, work, source).await)
            .await;
    }
    let (source, pulse) = ledger.begin(db, settings).await?;
    let shared = shared(db, settings, work, pulse).await?;
    shared.read_before(ledger.read_before());
    if let Some(undo_log) = &shared.undo_log {
        undo_log.begin(migrating).await?;
    }
    if ledger.read_before() == 0 {
        ahead::look(&shared, work).await?;
    }
    shared.failures.stored(ledger.failures(&source).await?);
    pass(&shared, work, &source).await?;
    if !source.is_through() {
        return Err(Lost.into());
    }
    shared.failures.stored(ledger.failures(&source).await?);
    shared.failures.within(settings)?;
    let further = if settings.exactly_once { Totals::default() } else { again(&shared, work).await? };
    if settings.exactly_once {
        say_what_is_left(&shared).await?;
    }
    if let Err(error) = verify::run(&shared, work).await {
        // With `exactly_once` nothing may be written twice, whatever is wrong.
        if error.is::<verify::Unfinished>() && !settings.exactly_once {
            ledger.forget(&source).await?;
        }
        return Err(error);
    }
    shared.failures.list(db, settings);
    ledger.end(&source, settings, further, &shared.failures).await
}

/// What the workers of this process share.
async fn shared<'b>(db: &'b Db, settings: &'b Settings, work: &Work<'_>, pulse: Pulse) -> Result<Shared<'b>> {
    let collection = db.collection::<Document>(&settings.collection);
    let estimate = collection.estimated_document_count().await?;
    let mut fields = settings.reads.clone();
    if let Some(fields) = &mut fields {
        fields.iter_mut().for_each(|field| *field = top_level(field).to_owned());
        fields.sort();
        fields.dedup();
        fields.retain(|field| field != "_id");
    }
    // Where the server computes, nothing but the `_id` is read.
    let read = if work.is_pipeline() { Some(Vec::new()) } else { fields };
    let undo_log = UndoLog::of(db, settings, work.is_pipeline())?;
    // An undo log needs the old values of what is written.
    let (projection, part) = (read.as_deref().filter(|_| undo_log.is_none()), View::of_fields(read.as_deref()));
    let view = if undo_log.is_some() { part.clone() } else { View::complete() };
    let reader = Reader::new(collection.clone_with_type::<RawDocumentBuf>(), settings.filter.clone(), projection);
    let guard = Guard::new(&settings.filter, read.as_deref())?;
    Ok(Shared::new((db, settings), (reader, guard), (view, part, undo_log), (db.progress(estimate), estimate), pulse))
}

/// Asks the filter again: what was written in the meantime, if the filter says what is to be done.
async fn again(shared: &Shared<'_>, work: &Work<'_>) -> Result<Totals> {
    let mut further = Totals::default();
    if shared.settings.filter.is_empty() {
        return Ok(further);
    }
    for _ in 0..PASSES {
        shared.failures.begin_again();
        let done = pass(shared, work, &Source::local(shared.cut().await?)).await?;
        further = further.with(done);
        if done.modified + done.deleted == 0 {
            return Ok(further);
        }
    }
    say_what_is_left(shared).await?;
    Ok(further)
}

/// Says how many documents match the filter still.
async fn say_what_is_left(shared: &Shared<'_>) -> Result<()> {
    let Settings { collection, filter, .. } = shared.settings;
    if filter.is_empty() {
        return Ok(());
    }
    let documents = shared.db.collection::<Document>(collection);
    let left = crate::durable::patiently(async || documents.count_documents(filter.clone()).limit(COUNTED).await).await?;
    if left > 0 {
        let more = if left == COUNTED { "at least " } else { "" };
        shared.db.note(format!("{more}{left} documents of `{collection}` match the filter of the backfill still"));
    }
    Ok(())
}

/// Works on all ranges once.
async fn pass(shared: &Shared<'_>, work: &Work<'_>, source: &Source) -> Result<Totals> {
    let all = Cell::new(Totals::default());
    let by_transactions = transactions::are_used(shared, work);
    if by_transactions {
        shared.prepare_transactions().await?;
    }
    let workers = (0..shared.workers()).map(|_| async {
        while let Some(range) = source.next(&shared.pulse, || shared.db.is_stopping()).await? {
            let done = if by_transactions {
                transactions::on_range(shared, work, source, range).await?
            } else {
                on_range(shared, work, source, range).await?
            };
            all.set(all.get().with(done));
        }
        Result::<()>::Ok(())
    });
    futures_util::future::try_join_all(workers).await?;
    if shared.db.is_stopping() {
        return Err(shared.stopped());
    }
    Ok(all.get())
}

async fn on_range(shared: &Shared<'_>, work: &Work<'_>, source: &Source, range: Range) -> Result<Totals> {
    let Range { number, span: mut rest, take } = range;
    let mut done = Totals::default();
    loop {
        let Some(_slot) = shared.slot().await? else { return Err(shared.stopped()) };
        let since = Instant::now();
        let batch = shared.reader.batch(&rest, shared.batch_size()).await?;
        shared.queried(since.elapsed());
        let Some(last) = batch.last().map(|document| id_of(document)) else { break };
        shared.rate(batch.len()).await;
        let count = batch.len() as u64;
        done = done.with(work::on(shared, work, number, batch).await?);
        crash::point("batch written");
        shared.read(count);
        source.add_read(count);
        rest = Span { from: Bound::Excluded(last), ..rest };
    }
    let is_ours = source.done((number, take.as_ref()), Some(done), &shared.failures.of(number)).await?;
    crash::point("range marked");
    Ok(if is_ours { done } else { Totals::default() })
}
