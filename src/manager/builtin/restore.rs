//! `restore`: puts a dump back.

use crate::connect::check_database_name;
use crate::context::{Context, Options};
use crate::dump::{self, Choice, Keep, Mode, Wanted};
use crate::error::{Error, Result};
use crate::line::program::program;
use crate::line::words::shortened;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Answer, Asks, Declaration, First, Group, Named, Reach, ValueKind};
use crate::manager::texts::STOPPED;
use crate::model::right;
use crate::report::{Restored, human_bytes};
use crate::run;
use crate::store::{Run, Store};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "restore",
    group: Group::Dumps,
    summary: "Put a dump back, in place of what the database holds",
    about: "DUMP is a name that `dumps` lists, `latest`, or a folder that mongodump wrote.

The dump is checked, loaded under temporary names, and then renamed into place. A restore
that fails before that leaves the database as it was. What is written to the replaced
collections during the restore is lost. The log stays, since it says what was really run.

With `inplace=yes`, a restore that fails leaves a part of the dump. What a server does not
rename (time-series collections) is always created last. `only=` restores the registry only
if it names it.

A collection with a validator needs bypassDocumentValidation, too, as in the role dbOwner. A
time-series collection needs the role restore.",
    first: First::NeedsDump,
    options: &[
        Named { name: "to", value: "NAME", help: "restore into another database of the server", kind: ValueKind::Text },
        Named {
            name: "only",
            value: "A+B",
            help: "restore these collections alone: all others stay as they are",
            kind: ValueKind::Text,
        },
        Named {
            name: "inplace",
            value: "yes",
            help: "drop the present collections first, if there is no room for both",
            kind: ValueKind::Text,
        },
    ],
    check,
    reach: |_| Reach::Database,
    goal: None,
    asks: |_| Asks::Always(Answer::Name),
    needs_files: false,
    flags: &[],
    common_flags: &["--wait", "--yes"],
    writes: "every collection of the database, except that the log only grows",
    rights: right::RESTORES,
    exits: &[
        (0, "done"),
        (1, "the dump is damaged or not accepted, or the server failed. The error says whether anything was changed"),
        (2, "the command line or the configuration is wrong, or there is no such dump"),
        (3, "refused: another run has the lock, or a person said no"),
        (130, STOPPED),
    ],
    examples: &["restore:latest", "restore:latest,to=copy", "restore:latest,only=users+posts"],
};

fn check(options: &Options) -> Result<(), Error> {
    wanted(options).map(|_| ())
}

fn wanted(options: &Options) -> Result<Wanted, Error> {
    let mode = match super::dbdump::yes_or_no(options, "inplace")? {
        Some(true) => Mode::InPlace,
        _ => Mode::Renamed,
    };
    Ok(Wanted { choice: Choice::read(options.get("only"))?, mode, keep: Keep::LockAndLog })
}

/// Puts a dump back in place of what the database holds: its documents, indexes and options, and the registry. The dump is
/// checked first, and a person is asked. `to=NAME` restores into another database of the server, and `only=A+B` restores these
/// collections alone.
///
/// The collections are loaded under temporary names and renamed when all of them are complete. `inplace=yes` drops the present ones
/// first. The log stays, since it says what was really run.
///
/// # Errors
/// The dump is damaged, the server does not accept it, the user may not restore it, or the person who was asked said no: then the
/// database is as it was. It is so too if the server fails before the collections are renamed. If it fails later, the database may
/// hold a part of the dump, and the restore has to be run again.
pub async fn restore<M: MigrationsManager>(_: &M, cx: &Context, dump: Option<&str>) -> Result<()> {
    let word = dump.ok_or_else(|| {
        Error::usage("restore needs a dump").with_hint(format!("write it as `{} restore:latest`", program()))
    })?;
    let wanted = wanted(cx.options())?;
    let (verified, name) = super::dbdump::verify(cx, word).await?;
    let here = cx.store().await?;
    if cx.is_one_of_many() {
        only_its_own(cx, &verified, here.database().name())?;
    }
    let store = match cx.options().get("to") {
        None => here,
        Some(to) => {
            check_database_name(to)?;
            here.of_database(to)
        }
    };
    confirm(cx, &store, &verified, &name, &wanted).await?;

    let watch = run::majority::Watch::start(&store, cx.reporter());
    // Before the lock is taken: its numbers then start above those of the log.
    if wanted.choice.names().is_none() {
        dump::load_log(store.database(), &verified, cx.reporter()).await?;
    }
    store.raise_term().await?;
    drop(watch);
    let run = Run::new(DECLARATION.name, wanted.task(word));
    let scope = cx.scope_with(store.clone());
    let restored = run::restore::restore(&scope, &run, &verified, &name, &wanted).await?;
    let (documents, bytes, took) = (restored.documents, restored.bytes, restored.took);
    cx.reporter().report(&Restored { name: &name, database: store.database().name(), documents, bytes, took });
    Ok(())
}

fn contents(documents: u64, bytes: u64) -> String {
    format!("{documents} documents, {}", human_bytes(bytes))
}

/// Shows what is replaced, and asks.
async fn confirm(cx: &Context, store: &Store, verified: &dump::Verified, name: &str, wanted: &Wanted) -> Result<()> {
    let database = store.database().name();
    let restore = dump::Restore::new(store.database(), verified, wanted, 0).await?;
    let replaced = restore.replaced().await;
    for dump::Replaced { name, documents, is_in_dump } in &replaced {
        // An unknown number is not shown as 0: the question that follows is about these documents.
        let documents = documents.map_or_else(|| "an unknown number of".to_owned(), |number| number.to_string());
        let verb = if *is_in_dump { "Replacing" } else { "Dropping" };
        cx.reporter().status(verb, format!("{database}.{name} ({documents} documents)"));
    }
    if !replaced.is_empty() {
        let reporter = cx.reporter();
        reporter.note("what is written to these collections until the end of the restore is lost");
        if wanted.mode == Mode::InPlace {
            reporter.note(
                "with `inplace=yes`, a restore that fails leaves the database with a part of the dump: stop what writes to it",
            );
        }
    }
    if verified.is_partial && wanted.choice.names().is_none() {
        let names = restore.choice().names().unwrap_or_default();
        cx.reporter().note(format!("the dump has only {}: everything else stays as it is", shortened(names)));
    }
    let (documents, bytes) = restore.size();
    let what = contents(documents, bytes);
    let of = verified.database_of_another(database).map(|other| format!(" of {other}")).unwrap_or_default();
    let question = match (replaced.is_empty(), restore.choice().names()) {
        (true, None) => format!("Restore {name}{of} ({what}) into {database}, which is empty?"),
        (true, Some(_)) => format!("Restore these collections of {name}{of} ({what}) into {database}, which has none of them?"),
        (false, None) => format!("Replace all that {database} holds with {name}{of} ({what})?"),
        (false, Some(_)) => format!("Replace these collections of {database} with those of {name}{of} ({what})?"),
    };
    Ok(cx.confirm_by_name(&question).await?)
}

/// If there are several databases, each gets back a dump of its own.
fn only_its_own(cx: &Context, verified: &dump::Verified, database: &str) -> Result<(), Error> {
    if cx.options().get("to").is_some() {
        return Err(
            Error::usage("`to=` names one database, but this environment has several").with_hint("restore them one by one")
        );
    }
    if !verified.is_of(database) {
        return Err(Error::usage(format!("the dump is not of {database}, or does not say so"))
            .with_hint("`restore:latest` takes each database's own dump, and an environment of one database takes any"));
    }
    Ok(())
}
