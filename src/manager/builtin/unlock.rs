//! `unlock`: frees the lock of another run.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Answer, Asks, Declaration, First, Reach, any_values};
use crate::run::{lock, majority};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "unlock",
    help: "Show who has the lock, and free it",
    first: First::Nothing,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    asks: |_| Asks::Always(Answer::Yes),
    needs_files: false,
    flags: &[],
};

/// Shows who has the lock, asks, and frees it. That run can then register nothing more. A lock whose documents were edited, so
/// that no run can take it, is repaired.
///
/// The lock of a process that died needs no unlocking: it expires by itself.
///
/// # Errors
/// The server failed, or the person who was asked said no.
pub async fn unlock<M: MigrationsManager>(_: &M, cx: &Context, _: Option<&str>) -> Result<()> {
    let store = cx.store().await?;
    let _watch = majority::Watch::start(&store, cx.reporter());
    let failed = |error: mongodb::error::Error| Error::failed("the lock could not be read or freed").caused_by(error);
    let database = store.database().name();
    let damage = store.lock_damage().await.map_err(failed)?;
    if !damage.is_empty() {
        for what in damage {
            cx.reporter().status("Damaged", what);
        }
        cx.reporter().note("a run that is alive can register nothing more once the lock is repaired");
        cx.confirm_once(&format!("Repair the lock on {database}?")).await?;
        store.repair_lock().await.map_err(failed)?;
        cx.reporter().status("Repaired", format!("the lock on {database}, which is free now"));
        return Ok(());
    }
    let Some(holder) = store.read_lease().await.map_err(failed)?.and_then(|lease| lease.holder) else {
        cx.reporter().status("Unlocked", format!("the lock on {database} is free"));
        return Ok(());
    };
    let held = lock::describe(&store, &holder).await;
    let (word, note) = if holder.is_live {
        (
            "Locked",
            "if that run is alive, it stops before its next write to the registry, and its current migration is then interrupted",
        )
    } else {
        ("Expired", "the next run takes the lock over by itself")
    };
    cx.reporter().status(word, format!("the lock on {database} is {held}"));
    cx.reporter().note(note);
    cx.confirm_once(&format!("Free the lock on {database}?")).await?;
    if store.break_lease(&holder.owner).await.map_err(failed)? {
        cx.reporter().status("Unlocked", database);
    } else {
        cx.reporter().status("Unlocked", format!("{database}: that run has given the lock back in the meantime"));
    }
    Ok(())
}
