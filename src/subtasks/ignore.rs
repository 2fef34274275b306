use crate::error::Result;
use crate::manager::{Context, MigrationsManager};
use crate::report::Verb;
use crate::run;

/// Registers one migration, or every unregistered one, without running it.
///
/// # Errors
/// The server failed, or the migration is registered already.
pub async fn ignore<M: MigrationsManager>(_: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    match super::plan_unregistered(cx, Verb::Ignore, migration).await? {
        Some((registry, plan)) => run::carry_out(cx, &registry, plan).await,
        None => Ok(()),
    }
}
