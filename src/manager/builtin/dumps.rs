use crate::context::Context;
use crate::error::Result;
use crate::manager::MigrationsManager;
use crate::report::Event;

/// Lists the dumps, oldest first: size, age, and how many migrations were registered then. `keep=N` removes all but the newest N
/// of this database's.
///
/// # Errors
/// The folder cannot be read, or a dump not removed.
pub async fn dumps<M: MigrationsManager>(_: &M, cx: &Context, _: Option<&str>) -> Result<()> {
    if let Some(keep) = super::dbdump::keep(cx.options())? {
        let store = cx.store().await?;
        super::dbdump::prune(cx, &store, keep)?;
    }
    let folder = cx.dumps();
    let dumps = folder.list()?;
    if dumps.is_empty() {
        cx.reporter().status("Dumps", format!("none in {}; `cargo migrations dbdump` takes one", folder.path().display()));
    }
    cx.reporter().event(&Event::Dumps(&dumps));
    Ok(())
}
