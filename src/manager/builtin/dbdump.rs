//! `dbdump`: dumps the database, or checks a dump.

use std::time::Instant;

use crate::context::{Context, Options};
use crate::dump;
use crate::error::{Error, Result};
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Named, Reach, ValueKind};
use crate::manager::texts::{NOTHING, STOPPED};
use crate::model::right;
use crate::report::{DumpProved, DumpRemoved, DumpTaken, DumpVerified};
use crate::store::Store;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "dbdump",
    group: Group::Dumps,
    summary: "Dump the database",
    about: "A dump is in mongodump's folder format, below `mongo_dump_directory`. On a replica set
it is a consistent snapshot. NAME is a name that `dumps` lists, `latest`, or a folder. A dump with `only=` or `except=` is never `latest`.",
    first: First::Nothing,
    options: &[
        Named { name: "gzip", value: "yes", help: "compress the files", kind: ValueKind::Text },
        Named { name: "consistent", value: "no", help: "take no snapshot: writes during the dump may be in it only in part", kind: ValueKind::Text },
        Named { name: "only", value: "A+B", help: "dump only the collections A and B", kind: ValueKind::Text },
        Named { name: "except", value: "A+B", help: "dump all collections except A and B", kind: ValueKind::Text },
        Named { name: "keep", value: "N", help: "remove the dumps of this database, except the newest N and renamed or limited ones", kind: ValueKind::Text },
        Named { name: "verify", value: "NAME", help: "read that dump again instead, and compare it with its manifest", kind: ValueKind::Text },
        Named { name: "prove", value: "NAME", help: "restore that dump into a throwaway server instead, and compare", kind: ValueKind::Text },
    ],
    check,
    reach: |_| Reach::Database,
    goal: None,
    asks: |options| if options.get("keep").is_some() { Asks::IfEnvironmentDoes } else { Asks::Never },
    needs_files: false,
    flags: &[],
    common_flags: &["--yes"],
    writes: NOTHING,
    rights: right::DUMPS,
    exits: &[
        (0, "done"),
        (1, "the server or the disk failed, or the dump to check is damaged"),
        (2, "the command line or the configuration is wrong, or there is no such dump"),
        (3, "a person said no"),
        (130, STOPPED),
    ],
    examples: &["dbdump", "dbdump:gzip=yes,keep=7", "dbdump:prove=latest"],
};

/// Dumps the database: mongodump's folder format, under `mongo_dump_directory`, of one point in time where the server can.
///
/// Of the task's options, `gzip=yes` compresses, `consistent=no` takes no snapshot, `only=A+B` and `except=A+B` limit the dump to
/// some collections, and `keep=N` removes all complete dumps but the newest N and those that were renamed. `verify=NAME` reads a dump
/// again instead, and `prove=NAME` restores one into a throwaway server.
///
/// # Errors
/// The server or the disk failed, or the dump to check is damaged.
pub async fn dbdump<M: MigrationsManager>(_: &M, cx: &Context, _: Option<&str>) -> Result<()> {
    let options = cx.options();
    if let Some(name) = options.get("prove") {
        return prove(cx, name).await;
    }
    if let Some(name) = options.get("verify") {
        let (verified, name) = verify(cx, name).await?;
        cx.reporter().report(&result(&verified, &name));
        return Ok(());
    }
    check(options)?;
    let store = cx.store().await?;
    let taken = dump::Options {
        gzip: yes_or_no(options, "gzip")?.unwrap_or(false),
        is_consistent: yes_or_no(options, "consistent")?.unwrap_or(true),
        selection: selection(options)?,
    };
    let since = Instant::now();
    let dump = dump::take(&store, &cx.dumps(), taken, cx.reporter()).await?;
    if let Some(manifest) = &dump.manifest {
        cx.reporter().report(&DumpTaken {
            name: &dump.name,
            path: std::path::absolute(&dump.path).unwrap_or_else(|_| dump.path.clone()),
            database: &manifest.database,
            documents: manifest.documents(),
            bytes: manifest.bytes(),
            is_consistent: manifest.is_consistent,
            took: since.elapsed(),
        });
    }
    if let Some(keep) = keep(options)? {
        prune(cx, &store, keep)?;
    }
    cx.note_dump(dump.name);
    Ok(())
}

/// Checks the values of the options.
fn check(options: &Options) -> Result<(), Error> {
    yes_or_no(options, "gzip")?;
    yes_or_no(options, "consistent")?;
    let has_keep = keep(options)?.is_some();
    if selection(options)?.is_some() && has_keep {
        return Err(Error::usage("`keep=` cannot be combined with `only=` and `except=`")
            .with_hint("`keep=` counts and removes complete dumps only: use it in a task of its own"));
    }
    let modes = ["verify", "prove"].iter().filter(|mode| options.get(mode).is_some()).count();
    let others = ["gzip", "consistent", "only", "except", "keep"].iter().filter(|other| options.get(other).is_some()).count();
    if modes > 1 || modes == 1 && others > 0 {
        return Err(Error::usage("`verify=` and `prove=` cannot be combined with other options"));
    }
    Ok(())
}

fn selection(options: &Options) -> Result<Option<dump::Selection>, Error> {
    dump::Selection::read(options.get("only"), options.get("except"))
}

/// The value of an option that is `yes` or `no`.
pub(super) fn yes_or_no(options: &Options, name: &str) -> Result<Option<bool>, Error> {
    match options.get(name) {
        None => Ok(None),
        Some("yes" | "true" | "1") => Ok(Some(true)),
        Some("no" | "false" | "0") => Ok(Some(false)),
        Some(other) => Err(Error::usage(format!("`{other}` is not a valid value for `{name}=`"))
            .with_hint(format!("write `{name}=yes` or `{name}=no`"))),
    }
}

/// How many dumps are to be kept.
pub(super) fn keep(options: &Options) -> Result<Option<usize>, Error> {
    let Some(number) = options.get("keep") else { return Ok(None) };
    match number.parse() {
        Ok(keep @ 1..) => Ok(Some(keep)),
        _ => Err(Error::usage(format!("`{number}` is not a valid value for `keep=`"))
            .with_hint("write the number of dumps to keep, at least 1")),
    }
}

pub(super) fn prune(cx: &Context, store: &Store, keep: usize) -> Result<()> {
    for name in cx.dumps().prune(store.database().name(), keep)? {
        cx.reporter().report(&DumpRemoved { name: &name });
    }
    Ok(())
}

/// Reads a dump again. Its name is returned too, since the task may have said `latest`.
pub(super) async fn verify(cx: &Context, name: &str) -> Result<(dump::Verified, String)> {
    // A dump of mongodump's may hold several databases, and `latest` is the latest of this one.
    let database = cx.store().await?.database().name().to_owned();
    let found = cx.dumps().find(name, &database)?;
    let name = found.name.clone();
    let shown = match &found.manifest {
        Some(manifest) if manifest.database != database => format!("{} of the database {}", found.name, manifest.database),
        _ => found.name.clone(),
    };
    cx.reporter().status("Verifying", shown);
    let verified = tokio::task::spawn_blocking(move || dump::verify(&found, &database)).await?;
    Ok((verified?, name))
}

async fn prove(cx: &Context, name: &str) -> Result<()> {
    let (verified, name) = verify(cx, name).await?;
    cx.reporter().status("Proving", format!("{name} on a throwaway server"));
    dump::prove(&verified, cx.reporter()).await?;
    cx.reporter().report(&DumpProved(result(&verified, &name)));
    Ok(())
}

fn result<'a>(verified: &'a dump::Verified, name: &'a str) -> DumpVerified<'a> {
    let dump::Verified { documents, bytes, has_manifest, .. } = *verified;
    DumpVerified { name, database: verified.database(), documents, bytes, has_manifest }
}
