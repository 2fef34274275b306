//! Restores a dump into a database, in place of the present collections.
//!
//! Collections are loaded under temporary names, with their indexes, and then renamed ([`Restore::prepare`], [`Restore::replace`]).
//! Until the first of them is renamed the database is as it was. What a server does not rename is created last.

mod choice;
mod definition;
mod existing;
mod fill;
mod functions;
mod insert;
mod plan;
mod raw;
mod rights;
mod server;
mod trial;
mod views;

use mongodb::Database;
use mongodb::bson::doc;

use super::catalog::{self, Collection, Kind};
use super::temporary;
use super::verify::{Part, Verified};
use crate::crash;
use crate::error::codes::{self, code_of};
use crate::error::{Error, Result, hint_of};
use crate::process::stop::Stop;
use crate::report::{Progress, Reporter};
use crate::store::LOG;
pub(crate) use choice::Choice;
pub(super) use definition::{indexes, options};
use fill::Job;
use insert::Inserts;
use plan::Plan;
pub(crate) use plan::{Keep, Mode, Wanted};

/// How many collections are renamed or dropped at a time.
const REPLACED_AT_A_TIME: usize = 4;

/// How often a collection is created that another process creates again and again.
const TRIES: u32 = 20;

/// What to do if the restore fails while nothing has been changed.
const UNCHANGED: &str = "the database was not changed: run the restore again once the cause is fixed";

/// What to do if it fails later.
const AGAIN: &str = "run the restore again";

/// The error of a restore. A cause with a hint of its own, such as a damaged file, says better what to do.
fn failed(message: &str, hint: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error: Box<dyn std::error::Error + Send + Sync> = error.into();
    let is_advised = hint_of(&*error).is_some();
    let failed = Error::failed(message).caused_by(error);
    if is_advised { failed } else { failed.with_hint(hint) }
}

/// A collection of the database that a restore replaces or drops.
#[derive(Clone, Debug)]
pub(crate) struct Replaced {
    pub(crate) name: String,
    /// Approximately. `None` if the user may not count them.
    pub(crate) documents: Option<u64>,
    /// Whether the dump has a collection of the name.
    pub(crate) is_in_dump: bool,
}

/// A restore of a dump into a database.
#[derive(Debug)]
pub(crate) struct Restore<'d> {
    database: Database,
    plan: Plan<'d>,
    existing: Vec<Collection>,
    /// Makes its temporary names different from those of other restores: the number of the run's fence.
    number: i64,
}

impl<'d> Restore<'d> {
    /// Reads what the database holds, and plans. An error says why the dump cannot be restored, as far as that can be known without
    /// a try: nothing was changed.
    pub(crate) async fn new(database: &Database, dump: &'d Verified, wanted: &Wanted, number: i64) -> Result<Self> {
        let unreadable = |error| Error::failed("the database could not be read").caused_by(error);
        let existing = catalog::list(database, doc! {}).await.map_err(unreadable)?;
        let plan = Plan::new(dump, &existing, wanted, database.name())?;
        rights::check(database, &plan.needs(database.name())).await?;
        Ok(Self { database: database.clone(), plan, existing, number })
    }

    /// Returns the collections that it replaces or drops.
    pub(crate) async fn replaced(&self) -> Vec<Replaced> {
        let is_in_dump = |name: &str| self.plan.parts.iter().any(|part| part.collection.name == name);
        let is_dropped = |existing: &&Collection| self.plan.dropped.contains(existing);
        let all: Vec<&Collection> =
            self.existing.iter().filter(|existing| is_in_dump(&existing.name) || is_dropped(existing)).collect();
        let counts = existing::count(&self.database, &all).await;
        let replaced = |(existing, documents): (&Collection, Option<u64>)| Replaced {
            name: existing.name.clone(),
            documents,
            is_in_dump: is_in_dump(&existing.name),
        };
        all.into_iter().zip(counts).map(replaced).collect()
    }

    /// The collections that it replaces: those that were asked for, or those that the dump has if it is a part of a database.
    pub(crate) fn choice(&self) -> &Choice {
        &self.plan.choice
    }

    /// The number of documents that it restores, and their size in bytes.
    pub(crate) fn size(&self) -> (u64, u64) {
        (self.plan.documents(), self.plan.bytes())
    }

    /// Does all that can be done without changing what the database holds: tries out the definitions of all collections, and loads
    /// those that are renamed later.
    pub(crate) async fn prepare(&self, progress: &Progress, cancel: &Stop) -> Result<()> {
        let leftovers = existing::drop_temporary(&self.database, None).await;
        leftovers.map_err(|error| failed("what an earlier restore has left could not be dropped", UNCHANGED, error))?;
        trial::create_all(&self.database, &self.plan, self.number, cancel).await?;
        let jobs = self.plan.renamed.iter().map(|part| Job { part, name: self.temporary_name(part), has_indexes: true });
        let inserts = Inserts::new(&self.database, progress, cancel);
        fill::fill(&inserts, jobs.collect(), UNCHANGED).await?;
        crash::point("collections loaded");
        Ok(())
    }

    /// Drops what it has loaded and not renamed. What cannot be dropped now is dropped by the next restore.
    pub(crate) async fn discard(&self) {
        let _ = existing::drop_temporary(&self.database, Some(self.number)).await;
    }

    /// Puts everything into its place. `check` is called before each change, and ends it with an error.
    pub(crate) async fn replace(
        &self,
        progress: &Progress,
        cancel: &Stop,
        check: impl AsyncFn() -> Result<()>,
    ) -> Result<()> {
        let Self { database, plan, .. } = self;
        fill::each(&plan.dropped, REPLACED_AT_A_TIME, cancel, async |existing: &Collection| {
            check().await?;
            let dropped = server::drop(database, &existing.name).await;
            dropped.map_err(|error| failed(&format!("{} could not be dropped", existing.name), AGAIN, error))?;
            crash::point("collection dropped");
            Ok(())
        })
        .await?;
        fill::each(&plan.renamed, REPLACED_AT_A_TIME, cancel, async |part: &&Part| {
            check().await?;
            let name = &part.collection.name;
            let renamed = server::replace(database, &self.temporary_name(part), name).await;
            renamed.map_err(|error| failed(&format!("the collection {name} could not be put into place"), AGAIN, error))?;
            crash::point("collection renamed");
            Ok(())
        })
        .await?;
        check().await?;
        plan.functions.put(database).await.map_err(|error| failed("the functions could not be restored", AGAIN, error))?;
        check().await?;
        create_in_place(database, plan, progress, cancel).await?;
        check().await?;
        create_views(database, plan).await?;
        crash::point("collections replaced");
        Ok(())
    }

    fn temporary_name(&self, part: &Part) -> String {
        self.plan.temporary_name(self.database.name(), self.number, &part.collection.name)
    }
}

/// The collections that restores have left under temporary names, if no restore is under way.
pub(crate) async fn leftovers(database: &Database) -> mongodb::error::Result<Vec<String>> {
    Ok(catalog::list_temporary(database).await?.into_iter().map(|collection| collection.name).collect())
}

/// Drops what restores have left under temporary names, and returns how many collections that were. No restore may be under way.
pub(crate) async fn drop_leftovers(database: &Database) -> Result<usize> {
    let dropped = existing::drop_temporary(database, None).await;
    Ok(dropped.map_err(|error| Error::failed("what a restore has left could not be dropped").caused_by(error))?)
}

/// Creates and fills the collections that are not renamed. Those that had their names were dropped before.
async fn create_in_place(database: &Database, plan: &Plan<'_>, progress: &Progress, cancel: &Stop) -> Result<()> {
    fill::each(&plan.in_place, fill::SMALL_AT_A_TIME, cancel, async |part: &&Part| create(database, part).await).await?;
    let jobs = plan.in_place.iter().map(|part| Job { part, name: part.collection.name.clone(), has_indexes: false });
    fill::fill(&Inserts::new(database, progress, cancel), jobs.collect(), AGAIN).await
}

async fn create_views(database: &Database, plan: &Plan<'_>) -> Result<()> {
    for view in &plan.views {
        create(database, view).await?;
    }
    Ok(())
}

/// Creates a collection or view under its own name, without documents or indexes.
async fn create(database: &Database, part: &Part) -> Result<()> {
    let name = &part.collection.name;
    let failed = |error| failed(&format!("{name} could not be created"), AGAIN, error);
    let options = definition::options(&part.collection);
    for _ in 1..TRIES {
        match server::create(database, name, &options).await {
            // A write of an application has created a collection of the name.
            Err(error) if code_of(&error) == Some(codes::NAMESPACE_EXISTS) => {
                server::drop(database, name).await.map_err(failed)?;
            }
            created => return Ok(created.map_err(failed)?),
        }
    }
    Ok(server::create(database, name, &options).await.map_err(failed)?)
}

/// Restores all collections of a dump into an empty database of a throwaway server.
pub(super) async fn load(database: &Database, dump: &Verified, reporter: &Reporter) -> Result<()> {
    let wanted = Wanted { choice: Choice::default(), mode: Mode::InPlace, keep: Keep::Nothing };
    let restore = Restore::new(database, dump, &wanted, 0).await?;
    let progress = reporter.transfer(restore.size().1);
    restore.replace(&progress, &Stop::default(), async || Ok(())).await
}

/// Restores the dump's log if the database has none, so that earlier runs are known.
pub(crate) async fn load_log(database: &Database, dump: &Verified, reporter: &Reporter) -> Result<()> {
    let Some(part) = dump.parts.iter().find(|part| part.collection.name == LOG) else { return Ok(()) };
    let has_log = database.list_collection_names().await?.iter().any(|name| name == LOG);
    if has_log || part.collection.kind != Kind::Collection {
        return Ok(());
    }
    // It gets its name when it is complete: a part of a log would be taken for all of it.
    let name = temporary::name(database.name(), 0, std::process::id() as usize, LOG);
    let (progress, cancel) = (reporter.transfer(part.bytes), Stop::default());
    let loaded = async {
        let options = definition::options(&part.collection);
        server::create(database, &name, &options).await?;
        let job = Job { part, name: name.clone(), has_indexes: false };
        fill::fill(&Inserts::new(database, &progress, &cancel), vec![job], UNCHANGED).await?;
        match server::rename(database, &name, LOG).await {
            // A run of another process has begun one in the meantime.
            Err(error) if code_of(&error) == Some(codes::NAMESPACE_EXISTS) => server::drop(database, &name).await?,
            renamed => renamed?,
        }
        Result::<()>::Ok(())
    };
    let loaded = loaded.await;
    if loaded.is_err() {
        let _ = server::drop(database, &name).await;
    }
    loaded
}
