use crate::error::{Error, Result};
use crate::manager::{Context, MigrationsManager};
use crate::names;
use crate::plan;
use crate::report::Verb;
use crate::run::{self, Plan};

/// Runs a registered migration's `down`, and unregisters it. Dumps the database first, where the configuration says so.
///
/// # Errors
/// No migration is given, it is not registered, has no `down`, or failed; or the dump or the server did.
pub async fn rollback<M: MigrationsManager>(manager: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let word = migration.ok_or_else(|| Error::usage("rollback needs a migration: `cargo migrations rollback:0002_x`"))?;
    let migration = names::find(cx.migrations(), word)?;
    let registry = cx.registry().await?;
    let entries = super::read(cx, &registry).await?;
    plan::registered_names(migration, &entries)?;
    if !migration.has_down() {
        return Err(run::no_down(migration).into());
    }
    if cx.config().do_mongo_dump {
        manager.dbdump(cx, None).await?;
    }
    run::carry_out(cx, &registry, Plan { verb: Verb::Rollback, migrations: vec![migration], entries }).await
}
