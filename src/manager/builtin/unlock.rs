use crate::context::Context;
use crate::error::{Error, Result};
use crate::manager::MigrationsManager;
use crate::run::lock;

/// Shows who has the lock, asks, and frees it: that run can then register nothing more.
///
/// A run that died needs no unlocking: its lock runs out by itself.
///
/// # Errors
/// The server failed, or whoever was asked said no.
pub async fn unlock<M: MigrationsManager>(_: &M, cx: &Context, _: Option<&str>) -> Result<()> {
    let store = cx.store().await?;
    let failed = |error: mongodb::error::Error| Error::failed("the lock could not be read or freed").caused_by(error);
    let database = store.database().name();
    let Some(holder) = store.read_lease().await.map_err(failed)?.and_then(|lease| lease.holder) else {
        cx.reporter().status("Unlocked", format!("nobody holds the lock on {database}"));
        return Ok(());
    };
    let held = lock::describe(&store, &holder).await;
    let (word, hint) = if holder.is_live {
        (
            "Locked",
            "if that run is alive, it stops before its next write to the registry, and what it is at is then interrupted",
        )
    } else {
        ("Run out", "the next run takes it over by itself")
    };
    cx.reporter().status(word, format!("the lock on {database} is {held}"));
    cx.reporter().note(hint);
    cx.confirm_once(&format!("Free the lock on {database}?")).await?;
    if store.break_lease(&holder.owner).await.map_err(failed)? {
        cx.reporter().status("Unlocked", database);
    } else {
        cx.reporter().status("Unlocked", format!("{database}: that run has given the lock back by itself"));
    }
    Ok(())
}
