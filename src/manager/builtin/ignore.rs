use crate::context::Context;
use crate::error::Result;
use crate::manager::MigrationsManager;
use crate::model::verb::Verb;
use crate::run;

/// Registers one migration, or every unregistered one, without running it.
///
/// # Errors
/// The server failed; the migration is registered already; another run has the lock; or a migration was interrupted, and
/// nobody has decided yet what is to become of it.
pub async fn ignore<M: MigrationsManager>(_: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let request = super::request(cx, Verb::Ignore, migration).await?;
    run::run(cx, &request, async || Ok(())).await
}
