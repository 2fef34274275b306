//! Looks at everything again at the end: nothing may be left to write.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::time::Duration;

use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc};

use super::effect::{self, After};
use super::guard::{id_of, key};
use super::ranges;
use super::read::{Reader, Span};
use super::shared::Shared;
use super::work::{Work, with_writes};
use crate::durable;
use crate::error::Result;
use crate::model::shell;

/// How often a document that changes is looked at.
const TRIES: u32 = 3;

/// The pause before it is looked at again.
const PAUSE: Duration = Duration::from_millis(100);

/// How many `_id`s are named.
const NAMED: usize = 5;

/// A document with something left to write, and why the write cannot be done, if it cannot.
struct Left {
    document: RawDocumentBuf,
    why: Option<String>,
}

/// Something is left to write.
#[derive(Debug)]
pub(super) struct Unfinished(String);

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfinished {}

/// An error if something is left to write, and that was asked for.
pub(super) async fn run(shared: &Shared<'_>, work: &Work<'_>) -> Result<()> {
    if !shared.settings.is_verified {
        return Ok(());
    }
    let name = &shared.settings.collection;
    let verification =
        Verification { shared, work, reader: shared.complete_reader(), count: Cell::new(0), named: RefCell::default() };
    let progress = shared.db.progress(shared.estimate()).with_message(format!("verifying `{name}`"));
    let spans = RefCell::new(VecDeque::from(ranges::spans(shared.cut().await?)));
    let workers = (0..shared.workers()).map(|_| async {
        loop {
            let next = spans.borrow_mut().pop_front();
            let Some(mut span) = next else { return Result::<()>::Ok(()) };
            while let Some(count) = verification.batch(&mut span).await? {
                progress.inc(count);
            }
        }
    });
    futures_util::future::try_join_all(workers).await?;
    verification.result()
}

struct Verification<'v, 'b, 'w> {
    shared: &'v Shared<'b>,
    work: &'v Work<'w>,
    /// Reads complete documents.
    reader: Reader,
    count: Cell<u64>,
    /// The first ones, with why they cannot be written.
    named: RefCell<Vec<String>>,
}

impl Verification<'_, '_, '_> {
    /// Looks at the next documents. Returns how many there were, `None` at the end.
    async fn batch(&self, span: &mut Span) -> Result<Option<u64>> {
        let Some(_slot) = self.shared.slot().await? else { return Err(self.shared.stopped()) };
        let documents = self.reader.batch(span, self.shared.batch_size()).await?;
        let Some(last) = documents.last().map(|document| id_of(document)) else { return Ok(None) };
        self.shared.rate(documents.len()).await;
        let count = documents.len() as u64;
        let mut left = self.left(documents).await?;
        // What the application has changed in the meantime is looked at again.
        for _ in 0..TRIES {
            if left.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            let ids: Vec<Bson> = left.iter().map(|left| id_of(&left.document)).collect();
            let again = self.reader.again(&ids).await?;
            let before: Vec<RawDocumentBuf> = left.into_iter().map(|left| left.document).collect();
            let now = self.left(again).await?;
            let (same, changed): (Vec<_>, _) = now.into_iter().partition(|left| before.contains(&left.document));
            same.iter().for_each(|left| self.note(left));
            left = changed;
        }
        left.iter().for_each(|left| self.note(left));
        span.from = Bound::Excluded(last);
        Ok(Some(count))
    }

    fn note(&self, left: &Left) {
        self.count.set(self.count.get() + 1);
        let mut named = self.named.borrow_mut();
        if named.len() < NAMED {
            let why = left.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            named.push(format!("{}{why}", shell(&id_of(&left.document))));
        }
    }

    /// Those with something left to write.
    async fn left(&self, documents: Vec<RawDocumentBuf>) -> Result<Vec<Left>> {
        if let Work::Pipeline(stages) = self.work {
            return self.left_by_server(stages, documents).await;
        }
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let tolerates = self.shared.settings.tolerated > 0;
        with_writes(self.shared, self.work, &self.shared.part, documents, move |documents, writes| {
            let mut all = Vec::new();
            for (document, write) in documents.iter().zip(writes) {
                let why = match write {
                    Ok(write) => {
                        effect::verifiable(&id_of(document), &write)?;
                        match effect::after(&Document::try_from(&**document)?, &write.own) {
                            Ok(After::Same) => continue,
                            Ok(After::Changed(_) | After::Deleted) => None,
                            Err(why) => Some(why),
                        }
                    }
                    // It failed before, and stayed as it was.
                    Err(_) if tolerates => continue,
                    Err(why) => Some(why),
                };
                all.push(Left { document: document.clone(), why });
            }
            Ok(all)
        })
        .await?
    }

    /// Those that the server's pipeline would change.
    async fn left_by_server(&self, stages: &RawArrayBuf, documents: Vec<RawDocumentBuf>) -> Result<Vec<Left>> {
        let settings = &self.shared.settings;
        let stages = mongodb::bson::rawdoc! { "stages": stages.clone() };
        let stages = Document::try_from(&*stages)?;
        let stages: Vec<Document> =
            stages.get_array("stages")?.iter().filter_map(|stage| stage.as_document().cloned()).collect();
        let collection = self.shared.db.collection::<Document>(&settings.collection);
        let (mut all, mut open) = (Vec::new(), vec![documents]);
        while let Some(mut documents) = open.pop() {
            if documents.is_empty() {
                continue;
            }
            let ids: Vec<Bson> = documents.iter().map(|document| id_of(document)).collect();
            let mut pipeline = vec![doc! { "$match": { "$and": [{ "_id": { "$in": ids } }, &settings.filter] } }];
            pipeline.extend(stages.iter().cloned());
            let computed = durable::patiently(async || {
                let mut cursor = collection.aggregate(pipeline.clone()).await?;
                let mut computed: HashMap<Vec<u8>, RawDocumentBuf> = HashMap::new();
                while cursor.advance().await? {
                    computed.insert(key(&id_of(cursor.current())), cursor.current().to_owned());
                }
                Ok(computed)
            })
            .await;
            match computed {
                // One that no longer matches is not there.
                Ok(computed) => all.extend(documents.into_iter().filter_map(|document| {
                    let after = computed.get(&key(&id_of(&document)))?;
                    (after.as_bytes() != document.as_bytes()).then_some(Left { document, why: None })
                })),
                Err(error) if documents.len() == 1 => {
                    let document = documents.remove(0);
                    let why = Some(crate::error::chain::error_text(&error));
                    all.extend((settings.tolerated == 0).then_some(Left { document, why }));
                }
                // One of them cannot be computed. The answer does not say which.
                Err(_) => {
                    let half = documents.split_off(documents.len() / 2);
                    open.extend([documents, half]);
                }
            }
        }
        Ok(all)
    }

    fn result(&self) -> Result<()> {
        let (count, named) = (self.count.get(), self.named.borrow());
        if count == 0 {
            return Ok(());
        }
        let name = &self.shared.settings.collection;
        let documents = if count == 1 { "document has" } else { "documents have" };
        let more = match count.saturating_sub(named.len() as u64) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let next = if self.shared.settings.exactly_once {
            "what was written stays as it is, since each document is written once"
        } else {
            "the next run begins this backfill again"
        };
        // The advice is part of the message: a migration's error is printed as a cause, which has no hint of its own.
        Err(Unfinished(format!(
            "the verification of `{name}` failed: {count} {documents} something left to write: `_id` {}{more} (either the closure \
             does something else each time, or other programs still write as before; {next})",
            named.join(", ")
        ))
        .into())
    }
}
