//! `adopt`: registers what another tool's records say is done.

use crate::context::{Context, Options};
use crate::error::{Error, ErrorKind, Result, describe};
use crate::line::program::program;
use crate::line::words::listed;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Answer, Asks, Declaration, First, Group, Named, Reach, ValueKind};
use crate::manager::texts::{REGISTRY, STOPPED};
use crate::model::right;
use crate::report::{Adopting, migrations};
use crate::run::{self, adoption::Adoption};
use crate::store::{Store, Tool};

/// The words for the tools.
const TOOLS: [&str; Tool::ALL.len()] = {
    let mut words = [""; Tool::ALL.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = Tool::ALL[index].as_str();
        index += 1;
    }
    words
};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "adopt",
    group: Group::Registry,
    summary: "Register what another tool's records say is done",
    about: "The tools are migrate-mongo, mongo-migrate-kit, pymongo-migrate, mongodb-migrations,
mongomig, mongock and golang-migrate.

Each record is matched with a file here by its name, else by its number. Both are shown,
and it asks, unless `--yes` is given. A record that matches nothing is refused without
`--yes`. What the tool calls failed or dirty is refused by name.

Nothing is run, and nothing of the tool's is changed. The registry keeps time, host and
duration, as far as the tool has them.",
    first: First::NeedsOneOf(&TOOLS),
    options: &[Named {
        name: "from",
        value: "COLLECTION",
        help: "where its records are, unless that is where it writes by itself",
        kind: ValueKind::Text,
    }],
    check: |options| tool(options).map(|_| ()),
    reach: |_| Reach::Database,
    goal: None,
    asks: |_| Asks::Always(Answer::Yes),
    needs_files: true,
    flags: &[],
    common_flags: &["--wait", "--yes", "--format"],
    writes: REGISTRY,
    // And `find` on their collection.
    rights: right::REGISTERS,
    exits: &[
        (0, "done, or there was nothing to adopt"),
        (1, "the server failed"),
        (2, "the command line, the configuration or the files are wrong, or there are no records of that tool: nothing was registered"),
        (3, "refused: a record matches nothing or says that it failed, another run has the lock, something needs a decision, or a person said no"),
        (130, STOPPED),
    ],
    examples: &["adopt:migrate-mongo", "adopt:mongock,from=changes"],
};

fn tool(options: &Options) -> Result<Tool, Error> {
    Tool::ALL.into_iter().find(|tool| options.first() == Some(tool.as_str())).ok_or_else(|| {
        Error::usage("adopt needs the name of a tool").with_hint(format!("write it as `{} adopt:TOOL`; TOOL is {}", program(), listed(TOOLS)))
    })
}

/// Registers what another tool's records say is done, without running it. It shows how each record was matched with a migration
/// here, and asks. The tool's own collection is only read; `from=` names it.
///
/// # Errors
/// No tool is given, there are no records, one of them failed or matches nothing (without `--yes`), another run has the lock, the
/// person who was asked said no, or the server failed.
pub async fn adopt<M: MigrationsManager>(_: &M, cx: &Context, named: Option<&str>) -> Result<()> {
    let options = cx.options_of(DECLARATION.name, named);
    let tool = tool(&options)?;
    let from = options.get("from");
    let collection = from.unwrap_or_else(|| tool.collection()).to_owned();
    let scope = cx.scope().await?;
    let records = records(&scope.store, tool, &collection).await?;
    let make = |view: &_| run::adoption::make((tool, &collection), &records, scope.migrations, view);
    let from = from.map(|from| format!(",from={from}")).unwrap_or_default();
    let command = format!("{}:{}{from}", DECLARATION.name, tool.as_str());
    let confirm = async |adoption: &Adoption<'_>| {
        let (database, rows) = (scope.database(), &adoption.rows[..]);
        cx.reporter().report(&Adopting { database, tool: tool.as_str(), collection: &collection, rows });
        refuse_unmatched(cx, tool, &adoption.unmatched())?;
        if adoption.plan.steps.is_empty() {
            cx.reporter().status("Finished", format!("all that {} says is done is registered on {database}", tool.as_str()));
            return Ok(run::Confirmed::Exactly);
        }
        // For several databases it was asked before, once.
        if cx.is_one_of_many() { Ok(run::Confirmed::NotAsked) } else { cx.confirm_plan(true, database, &adoption.plan).await }
    };
    run::adopt(&scope, DECLARATION.name, command, make, confirm).await?;
    Ok(())
}

async fn records(store: &Store, tool: Tool, collection: &str) -> Result<Vec<crate::store::Theirs>, Error> {
    let (name, database) = (tool.as_str(), store.database().name());
    let documents = store.records(collection).await;
    let documents = documents.map_err(|error| describe::unreadable(&format!("the collection `{collection}`"), error))?;
    let elsewhere = format!("name the collection with `{} adopt:{name},from=COLLECTION`", program());
    if documents.is_empty() {
        let message = format!("the collection `{collection}` on {database} has no records of {name}");
        return Err(Error::usage(message).with_hint(elsewhere));
    }
    tool.read(&documents).map_err(|id| {
        let message = format!("the document with the `_id` {id} in `{collection}` on {database} is not a record of {name}");
        Error::usage(message).with_hint(elsewhere)
    })
}

fn refuse_unmatched(cx: &Context, tool: Tool, unmatched: &[&str]) -> Result<(), Error> {
    if unmatched.is_empty() {
        return Ok(());
    }
    let names = listed(unmatched.iter().copied());
    let matches = if unmatched.len() == 1 { "matches" } else { "match" };
    let message = format!("{} of {} {matches} none of the files here: {names}", migrations(unmatched.len()), tool.as_str());
    if cx.yes() {
        cx.reporter().warning(message);
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, format!("{message}. Nothing was registered"))
        .with_hint("name the files here as there, or pass `--yes` to adopt only the others"))
}
