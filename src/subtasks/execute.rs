use crate::error::Result;
use crate::manager::{Context, MigrationsManager};
use crate::report::Verb;
use crate::run;

/// Runs one migration, or every unregistered one in order, and registers each. Dumps the database first, where the
/// configuration says so and there is something to run.
///
/// # Errors
/// A migration, the dump or the server failed, or the migration is registered already.
pub async fn execute<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let Some((registry, plan)) = super::plan_unregistered(cx, Verb::Execute, migration).await? else { return Ok(()) };
    if cx.config().do_mongo_dump {
        manager.dbdump(cx, None).await?;
    }
    run::carry_out(cx, &registry, plan).await
}
