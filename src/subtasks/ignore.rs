use crate::error::Result;
use crate::manager::{Context, MigrationsManager};
use crate::names;
use crate::plan;
use crate::report::{Event, Verb};
use crate::run::{self, Plan};

/// Registers one migration, or every unregistered one, without running it.
///
/// # Errors
/// The server failed, or the migration is registered already.
pub async fn ignore<M: MigrationsManager>(_: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let registry = cx.registry().await?;
    let entries = super::read(cx, &registry).await?;
    let migrations = match migration {
        Some(word) => vec![plan::one_unregistered(names::find(cx.migrations(), word)?, &entries)?],
        None => plan::unregistered(cx.migrations(), &entries),
    };
    if migrations.is_empty() {
        cx.reporter().event(&Event::NothingToDo { verb: Verb::Ignore, database: cx.database().await?.name() });
        return Ok(());
    }
    run::carry_out(cx, &registry, Plan { verb: Verb::Ignore, migrations, entries }).await
}
