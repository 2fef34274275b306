//! The built-in subtasks, in the order in which `help` lists them.

use crate::context::Context;
use crate::manager::subtasks::First;
use crate::manager::{MigrationsManager, Subtasks};

const DBDUMP: &str = "Dump the database

gzip=yes         compress the files
consistent=no    do without one point in time: what is written meanwhile may be in it in part
keep=N           remove all dumps of this database but the newest N
verify=NAME      re-read that dump instead, and hold it against its manifest
prove=NAME       restore that dump into a throwaway server instead, and compare

NAME is a name that `dumps` lists, `latest`, or a folder.";

const RESTORE: &str = "Put a dump back, in place of what the database holds

to=NAME          into another database of the server

DUMP is a name that `dumps` lists, `latest`, or a folder that mongodump wrote.";

/// What every manager has.
pub(crate) fn all<M: MigrationsManager>() -> Subtasks<M> {
    let mut all = Subtasks::none();
    all.push(
        "show_status",
        "Show which migrations are registered",
        First::Nothing,
        async |m: &M, cx: &Context, o: Option<&str>| m.show_status(cx, o).await,
    );
    all.push(
        "execute",
        "Run the unregistered migrations, or one",
        First::Migration,
        async |m: &M, cx: &Context, o: Option<&str>| m.execute(cx, o).await,
    );
    all.push(
        "ignore",
        "Register the unregistered migrations, or one, without running",
        First::Migration,
        async |m: &M, cx: &Context, o: Option<&str>| m.ignore(cx, o).await,
    );
    all.push(
        "rollback",
        "Undo a registered migration, and unregister it",
        First::NeedsMigration,
        async |m: &M, cx: &Context, o: Option<&str>| m.rollback(cx, o).await,
    );
    all.push(
        "history",
        "Show the log: what was run, by whom, and how it ended",
        First::AnyMigration,
        async |m: &M, cx: &Context, o: Option<&str>| m.history(cx, o).await,
    );
    all.push(
        "unlock",
        "Show who has the lock, and free it",
        First::Nothing,
        async |m: &M, cx: &Context, o: Option<&str>| m.unlock(cx, o).await,
    );
    all.push("dbdump", DBDUMP, First::Nothing, async |m: &M, cx: &Context, o: Option<&str>| m.dbdump(cx, o).await);
    all = all.takes(super::DUMP_OPTIONS).checked_by(super::check_dump_options);
    all.push("restore", RESTORE, First::NeedsDump, async |m: &M, cx: &Context, o: Option<&str>| m.restore(cx, o).await);
    all = all.takes(["to"]);
    all.push("dumps", "List the dumps", First::Nothing, async |m: &M, cx: &Context, o: Option<&str>| m.dumps(cx, o).await);
    all = all.takes(["keep"]).checked_by(super::check_dump_options);
    all.push(
        "mongod",
        "The local development server: where it is, `start`, `stop`",
        First::OneOf(&["start", "stop"]),
        async |_: &M, cx: &Context, o: Option<&str>| super::mongod(cx, o).await,
    );
    all.push(
        "help",
        "List the subtasks, or tell about one",
        First::Subtask,
        async |m: &M, cx: &Context, o: Option<&str>| m.help(cx, o).await,
    );
    all
}
