use crate::error::{Error, ErrorKind, Result};
use crate::manager::{Context, MigrationsManager};
use crate::report::Event;
use crate::{plan, run};

/// Shows which migrations are registered and which are not. Writes nothing to the database.
///
/// # Errors
/// The server failed, or `--check` found something unregistered.
pub async fn show_status<M: MigrationsManager>(_: &M, cx: &Context, _: Option<&str>) -> Result<()> {
    let registry = cx.registry().await?;
    let entries = super::read(cx, &registry).await?;
    let duplicates = plan::duplicate_names(&entries);
    if !duplicates.is_empty() {
        cx.reporter().warning(run::duplicates_warning(&registry, &duplicates));
    }
    let rows = plan::status(cx.migrations(), &entries);
    cx.reporter().event(&Event::Status { database: cx.database().await?.name(), rows: &rows });
    let open = rows.iter().filter(|row| row.state.is_open()).count();
    if cx.args().check && open > 0 {
        let message =
            format!("{} not registered; `cargo migrations execute` runs what is left", crate::report::migrations(open));
        return Err(Error::new(ErrorKind::Unregistered, message).into());
    }
    Ok(())
}
