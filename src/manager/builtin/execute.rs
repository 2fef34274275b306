use crate::context::Context;
use crate::error::Result;
use crate::manager::MigrationsManager;
use crate::model::verb::Verb;
use crate::run;

/// Runs one migration, or every unregistered one in order, and registers each. Dumps the database first, where the
/// configuration says so and there is something to run.
///
/// # Errors
/// A migration, the dump or the server failed; the migration is registered already; another run has the lock; or a migration
/// was interrupted, and nobody has decided yet what is to become of it.
pub async fn execute<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let request = super::request(cx, Verb::Execute, migration).await?;
    run::run(cx, &request, async || super::dump_first(manager, cx).await).await
}
