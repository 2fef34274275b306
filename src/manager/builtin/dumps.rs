//! `dumps`: the list of dumps.

use super::dbdump;
use crate::context::Context;
use crate::dump::Dump;
use crate::error::Result;
use crate::line::program::program;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Named, Reach, ValueKind};
use crate::manager::texts::NOTHING;
use crate::model::right;
use crate::report::{DumpRow, Dumps, ManifestOf};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "dumps",
    group: Group::Dumps,
    summary: "List the dumps",
    about: "The oldest comes first. With each are its size, its age, and how many migrations were
registered then.",
    first: First::Nothing,
    options: &[Named { name: "keep", value: "N", help: "remove the dumps of this database, except the newest N and renamed or limited ones", kind: ValueKind::Text }],
    check: |options| dbdump::keep(options).map(|_| ()),
    reach: |options| if options.get("keep").is_some() { Reach::Database } else { Reach::Configuration },
    goal: None,
    asks: |options| if options.get("keep").is_some() { Asks::IfEnvironmentDoes } else { Asks::Never },
    needs_files: false,
    flags: &[],
    common_flags: &["--yes", "--format"],
    writes: NOTHING,
    rights: right::NONE,
    exits: &[
        (0, "done"),
        (1, "the folder cannot be read, or a dump cannot be removed"),
        (2, "the command line or the configuration is wrong"),
        (3, "a person said no"),
    ],
    examples: &["dumps", "dumps:keep=7"],
};

/// Lists the dumps, oldest first: size, age, and how many migrations were registered then. `keep=N` removes all dumps of this
/// database but the newest N and those that were renamed.
///
/// # Errors
/// The folder cannot be read, or a dump cannot be removed.
pub async fn dumps<M: MigrationsManager>(_: &M, cx: &Context, _: Option<&str>) -> Result<()> {
    if let Some(keep) = dbdump::keep(cx.options())? {
        let store = cx.store().await?;
        dbdump::prune(cx, &store, keep)?;
    }
    let folder = cx.dumps();
    let rows: Vec<DumpRow> = folder.list()?.into_iter().map(row).collect();
    if rows.is_empty() {
        cx.reporter().status("Dumps", format!("none in {}", folder.path().display()));
        cx.reporter().hint(format!("take one with `{} dbdump`", program()));
    }
    cx.reporter().report(&Dumps { rows });
    Ok(())
}

fn row(dump: Dump) -> DumpRow {
    let bytes = dump.size();
    let manifest = match dump.manifest {
        Some(manifest) => ManifestOf::Read {
            documents: manifest.documents(),
            database: manifest.database,
            taken_at: manifest.taken_at,
            is_consistent: manifest.is_consistent,
            only: manifest.selection.as_ref().and_then(|selection| selection.only().map(<[_]>::to_vec)),
            except: manifest.selection.as_ref().and_then(|selection| selection.except().map(<[_]>::to_vec)),
            registered: manifest.registered,
        },
        None if dump.broken.is_some() => ManifestOf::Unreadable,
        None => ManifestOf::Missing,
    };
    DumpRow { name: dump.name, path: dump.path, bytes, manifest }
}
