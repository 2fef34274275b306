use crate::error::Result;
use crate::manager::{Context, MigrationsManager};
use crate::names;
use crate::plan;
use crate::report::{Event, Verb};
use crate::run::{self, Plan};

/// Runs one migration, or every unregistered one in order, and registers each. Dumps the database first, where the
/// configuration says so and there is something to run.
///
/// # Errors
/// A migration, the dump or the server failed, or the migration is registered already.
pub async fn execute<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let registry = cx.registry().await?;
    let entries = super::read(cx, &registry).await?;
    let migrations = match migration {
        Some(word) => vec![plan::one_unregistered(names::find(cx.migrations(), word)?, &entries)?],
        None => plan::unregistered(cx.migrations(), &entries),
    };
    if migrations.is_empty() {
        cx.reporter().event(&Event::NothingToDo { verb: Verb::Execute, database: cx.database().await?.name() });
        return Ok(());
    }
    if cx.config().do_mongo_dump {
        manager.dbdump(cx, None).await?;
    }
    run::carry_out(cx, &registry, Plan { verb: Verb::Execute, migrations, entries }).await
}
