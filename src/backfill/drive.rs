//! Drives a backfill: ranges are cut, worked on by several workers, and the filter is asked again at the end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Bound;

use mongodb::bson::{Bson, Document, RawDocumentBuf};

use super::check;
use super::guard::{Guard, id_of, top_level};
use super::marks::{Marks, Range};
use super::ranges;
use super::read::{LONGEST, Reader, Span};
use super::settings::Settings;
use super::shared::{Shared, Totals};
use super::work::{self, Work};
use crate::crash;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::store::Begin;

/// How often the filter is asked again at most.
const PASSES: u32 = 3;

/// Carries out the backfill.
pub(super) async fn run(db: &Db, settings: &Settings, work: &Work<'_>) -> Result<Totals> {
    check::collection(db, settings).await?;
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
    let read = if matches!(work, Work::Pipeline(_)) { Some(Vec::new()) } else { fields };
    let reader = Reader::new(collection.clone_with_type::<RawDocumentBuf>(), settings.filter.clone(), read.as_deref());
    let guard = Guard::new(&settings.filter, read.as_deref())?;
    let shared = Shared::new(db, settings, (reader, guard), db.progress(estimate));
    let marks = Marks::new(db.migrating(), settings, work.kind());
    let ranges = match marks.begin().await? {
        Begin::GoOn(left, all) => {
            let name = &settings.collection;
            db.note(format!("the backfill of `{name}` goes on: {} of {all} ranges are left", left.len()));
            left.into_iter().map(Range::of).collect()
        }
        begin => {
            if begin == Begin::Changed {
                let name = &settings.collection;
                db.note(format!("the backfill of `{name}` has changed since it was begun, so it begins again"));
            }
            let ranges = numbered(ranges::cut(&collection, estimate).await?);
            marks.note(&ranges, settings, estimate).await?;
            ranges
        }
    };
    pass(&shared, work, Some(&marks), ranges).await?;
    // What was written meanwhile, if the filter says what is to be done.
    let mut further = Totals::default();
    if !settings.filter.is_empty() {
        for _ in 0..PASSES {
            let done = pass(&shared, work, None, numbered(ranges::cut(&collection, estimate).await?)).await?;
            further = further.with(done);
            if done.matched == 0 {
                break;
            }
        }
    }
    marks.end(settings, further).await
}

/// Works on all ranges once. Those of the first pass are marked when they are done.
async fn pass(shared: &Shared<'_>, work: &Work<'_>, marks: Option<&Marks<'_>>, ranges: Vec<Range>) -> Result<Totals> {
    let (ranges, all) = (RefCell::new(VecDeque::from(ranges)), Cell::new(Totals::default()));
    let workers = (0..shared.workers()).map(|_| async {
        loop {
            let next = ranges.borrow_mut().pop_front();
            let Some(Range { number, span }) = next else { return Result::<()>::Ok(()) };
            let done = on_range(shared, work, span).await?;
            if let Some(marks) = marks {
                marks.done(number, done).await?;
                crash::point("range marked");
            }
            all.set(all.get().with(done));
        }
    });
    futures_util::future::try_join_all(workers).await?;
    Ok(all.get())
}

/// The ranges between these ends, and those before and after.
fn numbered(ends: Vec<Bson>) -> Vec<Range> {
    let mut spans = Vec::new();
    let mut from = Bound::Unbounded;
    for end in ends {
        spans.push(Span { from, to: Some(end.clone()) });
        from = Bound::Included(end);
    }
    spans.push(Span { from, to: None });
    (0..).zip(spans).map(|(number, span)| Range { number, span }).collect()
}

async fn on_range(shared: &Shared<'_>, work: &Work<'_>, mut range: Span) -> Result<Totals> {
    let mut done = Totals::default();
    loop {
        if shared.db.is_stopping() {
            let hint = "what is done stays done, and the next run goes on from there";
            return Err(
                Error::failed(format!("the backfill of `{}` stopped as asked: {hint}", shared.settings.collection)).into()
            );
        }
        let _slot = shared.slot().await;
        let batch = shared.reader.batch(&range, LONGEST).await?;
        let Some(last) = batch.last().map(|document| id_of(document)) else { return Ok(done) };
        shared.rate(batch.len()).await;
        let count = batch.len() as u64;
        done = done.with(work::on(shared, work, batch).await?);
        crash::point("batch written");
        shared.read(count);
        range.from = Bound::Excluded(last);
    }
}
