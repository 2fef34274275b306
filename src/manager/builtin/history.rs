//! `history`: the log.

use crate::context::Context;
use crate::error::{Result, describe};
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, any_values};
use crate::manager::texts::NOTHING;
use crate::migration::names;
use crate::model::file_name::stem;
use crate::model::right;
use crate::report::History;
use crate::run;
use crate::store::Entry;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "history",
    group: Group::Look,
    summary: "Show the log: what was run, by whom, and how it ended",
    about: "Without a value it shows every run, the newest last. The file of a migration may be
gone.",
    first: First::MigrationWithoutFile,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    goal: None,
    asks: |_| Asks::Never,
    needs_files: false,
    flags: &[],
    common_flags: &["--format"],
    writes: NOTHING,
    rights: right::LOOKS,
    exits: &[
        (0, "done"),
        (1, "the server failed"),
        (2, "the command line or the configuration is wrong, or nothing is known about the migration"),
    ],
    examples: &["history", "history:0002_x"],
};

/// Shows the log, newest last: every migration that was begun, by whom, and how it ended. One migration, or all.
///
/// # Errors
/// The server failed, or nothing is known about a migration of that name.
pub async fn history<M: MigrationsManager>(_: &M, cx: &Context, migration: Option<&str>) -> Result<()> {
    let store = cx.store().await?;
    // The file may be gone by now. Then the log may still know the migration by its stem.
    let found = migration.map(|word| (word, cx.migration(word)));
    let wanted = match &found {
        None => None,
        Some((_, Ok(migration))) => Some(migration.stem()),
        Some((word, Err(_))) => Some(stem(word)),
    };
    let events = store.history(wanted).await;
    let events = events.map_err(|error| describe::unreadable("the log `migrations_log`", error))?;
    if let (true, Some((word, Err(error)))) = (events.is_empty(), found) {
        // What migopy registered is in no log.
        let is_it = |entry: &Entry| names::is_named(&entry.name, entry.number(), word);
        if !run::read(&store).await?.entries.iter().any(is_it) {
            return Err(error.into());
        }
    }
    let lease = store.read_lease().await.ok().flatten();
    let at_work = lease.as_ref().and_then(|lease| lease.live()).map(|holder| holder.owner.as_str());
    cx.reporter().report(&History { database: store.database().name(), migration: wanted, events: &events, at_work });
    Ok(())
}
