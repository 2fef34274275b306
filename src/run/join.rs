//! Helps with a backfill of which another process runs the migration.

use std::sync::Arc;

use super::Scope;
use super::steps::guarded;
use crate::db::{Db, Joins, Migrating, Part};
use crate::error::{Error, Result};
use crate::line::program::program;
use crate::line::words::listed;
use crate::migration::{Kind, Migration, Rerun};
use crate::model::Joined;
use crate::store::{BackfillState, StoredBackfill};

/// The backfill that can be joined with the migrations of this program: it is under way, and its migration's file is the same.
pub(crate) fn joinable<'f, 'm>(
    found: &'f [StoredBackfill],
    migrations: &'m [Migration],
    database: &str,
) -> Result<(&'f StoredBackfill, &'m Migration), Error> {
    let is_under_way = |backfill: &&StoredBackfill| {
        // RERUN says nothing of a `down`.
        backfill.is_owned
            && backfill.direction == "up"
            && !matches!(backfill.state(), BackfillState::Done | BackfillState::Stopped)
    };
    let under_way: Vec<&StoredBackfill> = found.iter().filter(is_under_way).collect();
    if under_way.is_empty() {
        return Err(Error::usage(format!("no backfill on {database} is under way, so there is none to join"))
            .with_hint(format!("`{} backfill` shows those that are stored", program())));
    }
    let of_ours = under_way.iter().find_map(|backfill| {
        let is_it =
            |migration: &&Migration| migration.stem() == backfill.migration && migration.checksum() == backfill.checksum;
        Some((*backfill, migrations.iter().find(is_it)?))
    });
    let Some((backfill, migration)) = of_ours else {
        let names = listed(under_way.iter().map(|backfill| backfill.migration.as_str()));
        let text = format!(
            "the backfill that is under way on {database} belongs to {names}, and the file of that here is another one"
        );
        return Err(
            Error::usage(text).with_hint("join with the program that runs the migration, or with one of the same sources")
        );
    };
    if migration.rerun() != Rerun::Safe {
        let stem = migration.stem();
        let text =
            format!("the backfill of {stem} cannot be joined: what its `up` does before the backfill would be done again");
        let hint = "if that does no harm, say so in its file, before it runs: `pub const RERUN: Rerun = Rerun::Safe;`";
        return Err(Error::usage(text).with_hint(hint));
    }
    Ok((backfill, migration))
}

/// Works on a backfill until it is done, its run is gone, or this process is asked to stop.
pub(crate) async fn join(scope: &Scope<'_>, backfill: &StoredBackfill, migration: &Migration) -> Result<Joined> {
    let Scope { store, reporter, stop, .. } = scope;
    let Kind::Database(action) = migration.up().kind() else { return Ok(Joined::Differs) };
    let joins = Part::Joins(Joins::new(backfill.stored_id()));
    let migrating = Arc::new(Migrating::new(store, (migration.stem(), migration.checksum()), "up", joins));
    let db = Db::new(store.connection(), reporter.clone(), stop.clone()).for_migration(&migrating);
    let Part::Joins(joins) = &migrating.part else { return Ok(Joined::Differs) };
    tokio::select! {
        biased;
        joined = joins.ended() => Ok(joined),
        ended = guarded(action.run(&db)) => match ended {
            // It has come to its end without that backfill.
            Ok(()) => Ok(Joined::Differs),
            Err(error) => Err(Error::failed(format!("{} failed in this process", migration.stem()))
                .with_hint("the run that it helps goes on without this process")
                .caused_by(error)
                .into()),
        },
    }
}
