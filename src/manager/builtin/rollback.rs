use crate::context::Context;
use crate::error::{Error, Result};
use crate::manager::MigrationsManager;
use crate::model::verb::Verb;
use crate::run;

/// Runs the `down` of a registered migration, or of one that failed or was interrupted, and unregisters it. Dumps the database
/// first, where the configuration says so.
///
/// # Errors
/// No migration is given, it is not registered, has no `down`, or failed; another run has the lock; or the dump or the server
/// failed.
pub async fn rollback<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let word = migration.ok_or_else(|| Error::usage("rollback needs a migration: `cargo migrations rollback:0002_x`"))?;
    let request = super::request(cx, Verb::Rollback, Some(word)).await?;
    run::run(cx, &request, async || super::dump_first(manager, cx).await).await
}
