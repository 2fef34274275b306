//! Fills collections with their documents and builds their indexes, several collections at a time.

use futures_util::{StreamExt as _, stream};

use super::definition;
use super::insert::{BATCH_BYTES, BATCH_DOCUMENTS, Inserts, Target};
use super::server;
use crate::crash;
use crate::dump::verify::Part;
use crate::error::{Error, ErrorKind, Result};
use crate::process::stop::Stop;

/// How many collections that are empty or small are worked on at a time.
pub(super) const SMALL_AT_A_TIME: usize = 8;

/// How many large collections are filled, and their indexes built, at a time.
const LARGE_AT_A_TIME: usize = 3;

/// A collection that exists, and is to be filled.
pub(super) struct Job<'d> {
    pub(super) part: &'d Part,
    /// Its name, which may be temporary.
    pub(super) name: String,
    /// Whether its indexes exist.
    pub(super) has_indexes: bool,
}

impl Job<'_> {
    /// Whether its documents fit into one insert command. Indexes are created before such an insert: on an empty collection that
    /// takes no time, while on others the server coordinates it with all members of the replica set.
    fn is_small(&self) -> bool {
        let limit = u64::try_from(BATCH_BYTES).unwrap_or(u64::MAX);
        self.part.bytes <= limit && usize::try_from(self.part.documents).is_ok_and(|count| count <= BATCH_DOCUMENTS)
    }
}

/// Does something with each item, several at a time. After the first error nothing more is begun, and what is under way ends.
pub(super) async fn each<T>(
    items: impl IntoIterator<Item = T>,
    at_a_time: usize,
    cancel: &Stop,
    work: impl AsyncFn(T) -> Result<()>,
) -> Result<()> {
    let unless_cancelled = async |item| if cancel.is_asked() { Ok(()) } else { work(item).await };
    let mut ending = stream::iter(items.into_iter().map(unless_cancelled)).buffer_unordered(at_a_time);
    let mut outcome = Ok(());
    while let Some(ended) = ending.next().await {
        if ended.is_err() && outcome.is_ok() {
            cancel.ask();
            outcome = ended;
        }
    }
    outcome.and_then(|()| refuse_cancelled(cancel).map_err(Into::into))
}

fn refuse_cancelled(cancel: &Stop) -> Result<(), Error> {
    if cancel.is_asked() { Err(Error::new(ErrorKind::Interrupted, "the restore was stopped")) } else { Ok(()) }
}

/// Fills collections. `hint` is what to do if one of them fails.
pub(super) async fn fill(inserts: &Inserts<'_>, jobs: Vec<Job<'_>>, hint: &str) -> Result<()> {
    let (small, mut large): (Vec<_>, Vec<_>) = jobs.into_iter().partition(Job::is_small);
    // The one that takes longest is begun first.
    large.sort_by_key(|job| std::cmp::Reverse(job.part.bytes));
    let fill = async |job: Job<'_>| fill_one(inserts, &job, hint).await;
    let (large, small) = futures_util::future::join(
        each(large, LARGE_AT_A_TIME, inserts.cancel, &fill),
        each(small, SMALL_AT_A_TIME, inserts.cancel, &fill),
    )
    .await;
    // If one of the two only stopped because of the other, the other says why.
    let is_cause = |error: &(dyn std::error::Error + Send + Sync + 'static)| {
        error.downcast_ref::<Error>().is_none_or(|error| error.kind() != ErrorKind::Interrupted)
    };
    match (large, small) {
        (Err(error), Err(other)) => Err(if is_cause(&*error) { error } else { other }),
        (large, small) => large.and(small),
    }
}

async fn fill_one(inserts: &Inserts<'_>, job: &Job<'_>, hint: &str) -> Result<()> {
    let (part, of) = (job.part, &job.part.collection.name);
    inserts.progress.set_message(format!("{of}, {} documents", part.documents));
    let indexes = definition::indexes(&part.collection);
    let create_indexes = async || -> Result<()> {
        if indexes.is_empty() {
            return Ok(());
        }
        let message = format!("the indexes of {of} could not be restored");
        tokio::select! {
            created = server::create_indexes(inserts.database, &job.name, &indexes) => {
                created.map_err(|error| super::failed(&message, hint, error))?;
            }
            // Dropping the collection ends what the server still does.
            () = inserts.cancel.asked() => refuse_cancelled(inserts.cancel)?,
        }
        Ok(())
    };
    let is_small = job.is_small();
    if is_small && !job.has_indexes {
        create_indexes().await?;
    }
    if !is_small && job.has_indexes && !indexes.is_empty() {
        let message = format!("the indexes of {of} could not be restored");
        let dropped = server::drop_indexes(inserts.database, &job.name).await;
        dropped.map_err(|error| super::failed(&message, hint, error))?;
    }
    if let (Some(path), Some(data)) = (&part.data, part.collection.kind.data(&job.name)) {
        let target = Target {
            collection: &data,
            in_order: part.collection.is_capped(),
            has_validator: definition::has_validator(&part.collection),
        };
        let inserted = inserts.insert(path.clone(), &target).await;
        inserted.map_err(|error| super::failed(&format!("the documents of {of} could not be restored"), hint, error))?;
    }
    refuse_cancelled(inserts.cancel)?;
    if !is_small {
        create_indexes().await?;
    }
    crash::point("collection filled");
    Ok(())
}
