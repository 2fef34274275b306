//! `unlock`: frees the lock of another run.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Answer, Asks, Declaration, First, Group, Reach, any_values};
use crate::manager::texts::STOPPED;
use crate::model::right;
use crate::report::{Unlocked, Was};
use crate::run::restore::{self, Accepted};
use crate::run::{lock, majority};
use crate::store::Partial;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "unlock",
    group: Group::Registry,
    summary: "Show who has the lock, and free it",
    about: "It asks first. The run that had the lock can then register nothing more. The lock of a
process that died needs no unlocking: it expires by itself. A lock whose documents were
edited, so that no run can take it, is repaired.

`unlock:restore` lets runs go on after a restore that was cut off while it replaced
collections, without restoring again: the database is right as it is. It also drops what a
restore has loaded and not put into place.",
    first: First::OneOf(&["restore"]),
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    goal: None,
    asks: |options| Asks::Always(if options.first().is_some() { Answer::Name } else { Answer::Yes }),
    needs_files: false,
    flags: &[],
    common_flags: &["--yes"],
    writes: "the lock. `unlock:restore` also writes the log, and drops temporary collections",
    rights: right::UNLOCKS,
    exits: &[
        (0, "done, or the lock was free"),
        (1, "the server failed"),
        (2, "the command line or the configuration is wrong"),
        (3, "a person said no"),
        (130, STOPPED),
    ],
    examples: &["unlock", "unlock:restore"],
};

/// Shows who has the lock, asks, and frees it. That run can then register nothing more. A lock whose documents were edited, so
/// that no run can take it, is repaired.
///
/// The lock of a process that died needs no unlocking: it expires by itself.
///
/// With the option `restore` it does nothing with the lock. It records that the database is right as a restore has left it that was
/// cut off, so that migrations can run, and drops what a restore has loaded and not put into place.
///
/// # Errors
/// The server failed, or the person who was asked said no.
pub async fn unlock<M: MigrationsManager>(_: &M, cx: &Context, what: Option<&str>) -> Result<()> {
    if what.is_some() {
        return accept_restore(cx).await;
    }
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
        cx.reporter().report(&Unlocked { database, was: Was::Damaged });
        return Ok(());
    }
    let Some(holder) = store.read_lease().await.map_err(failed)?.and_then(|lease| lease.holder) else {
        cx.reporter().report(&Unlocked { database, was: Was::Free });
        return Ok(());
    };
    let held = lock::describe(&store, &holder).await;
    let (word, was, note) = if holder.is_live {
        (
            "Locked",
            Was::Locked,
            "if that run is alive, it stops before its next write to the registry, and its current migration is then interrupted",
        )
    } else {
        ("Expired", Was::Expired, "the next run takes the lock over by itself")
    };
    cx.reporter().status(word, format!("the lock on {database} is {held}"));
    cx.reporter().note(note);
    cx.confirm_once(&format!("Free the lock on {database}?")).await?;
    let is_freed = store.break_lease(&holder.owner).await.map_err(failed)?;
    cx.reporter().report(&Unlocked { database, was: if is_freed { was } else { Was::GivenBack } });
    Ok(())
}

/// Lets runs go on after a restore that was cut off.
async fn accept_restore(cx: &Context) -> Result<()> {
    let scope = cx.scope().await?;
    let database = scope.database();
    let confirm = async |restore: &Partial| {
        let Partial { dump, who, place, .. } = restore;
        cx.reporter().status("Cut off", format!("the restore of {dump} by {who}@{place}, while it replaced collections"));
        cx.reporter().note("what migrations expect may be missing: check the data before you go on");
        let question = format!("Let migrations run on {database}, which may hold only a part of {dump}?");
        Ok(cx.confirm_by_name(&question).await?)
    };
    match restore::accept(&scope, confirm).await? {
        Accepted::Nothing => cx.reporter().status("Unlocked", format!("no restore of {database} was cut off")),
        Accepted::Partial => cx.reporter().status("Unlocked", database),
        Accepted::Loaded(count) => {
            let what = format!("{count} collections of {database} that a restore had loaded and not put into place");
            cx.reporter().status("Dropped", what);
        }
    }
    Ok(())
}
