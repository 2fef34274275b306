//! The whole line is checked here before its first task starts.

use crate::context::Options;
use crate::environment::Environment;
use crate::error::Error;
use crate::line::Task;
use crate::line::flags::Args;
use crate::manager::subtasks::{First, Subtask};
use crate::manager::{MigrationsManager, Subtasks};
use crate::migration::Embedded;
use crate::migration::names;

/// The tasks of the line that stand after one environment's name, or ahead of all.
pub(crate) struct Leg<'s, M> {
    pub(crate) environment: Option<&'s Environment>,
    pub(crate) tasks: Vec<Checked<'s, M>>,
}

/// A task of the line, found good.
pub(crate) struct Checked<'s, M> {
    pub(crate) subtask: &'s Subtask<M>,
    pub(crate) options: Options,
    /// As it was typed.
    pub(crate) task: Task,
}

impl<M> Checked<'_, M> {
    /// Whether it may talk to a server.
    pub(crate) fn may_use_server(&self) -> bool {
        !self.is_one_of(&["help", "mongod"])
    }

    /// Whether it is about one database, so that it runs on each of several.
    pub(crate) fn is_of_a_database(&self) -> bool {
        let is_list = self.is_one_of(&["dumps"]) && self.options.get("keep").is_none();
        !self.is_one_of(&["help", "mongod"]) && !is_list
    }

    /// Whether it only shows something, or changes nothing in the database.
    pub(crate) fn only_reads(&self) -> bool {
        self.subtask.is_built_in && self.is_one_of(&["show_status", "history", "dbdump"])
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names.contains(&self.subtask.name.as_str())
    }
}

/// The line's tasks, or the first thing that is wrong with it.
pub(crate) fn line<'s, M: MigrationsManager>(
    args: &Args,
    subtasks: &'s Subtasks<M>,
    embedded: &Embedded,
) -> Result<Vec<Leg<'s, M>>, Error> {
    let legs = legs(args, subtasks, embedded)?;
    let checked = || legs.iter().flat_map(|leg| &leg.tasks);
    flags(args, |name| checked().any(|checked| checked.subtask.name == name))?;
    // Help and the local server are of use whatever the files look like.
    let needs_files = |checked: &Checked<'_, M>| !matches!(checked.subtask.name.as_str(), "help" | "mongod");
    if checked().any(needs_files) {
        embedded.check_files("\n       ")?;
    }
    for Checked { subtask, options, .. } in checked() {
        named(subtask, options, subtasks, embedded)?;
    }
    Ok(legs)
}

fn legs<'s, M: MigrationsManager>(
    args: &Args,
    subtasks: &'s Subtasks<M>,
    embedded: &Embedded,
) -> Result<Vec<Leg<'s, M>>, Error> {
    let environment = args.env.as_deref().map(|name| subtasks.find_environment(name)).transpose()?;
    let mut legs = vec![Leg { environment, tasks: Vec::new() }];
    for word in &args.tasks {
        let task: Task = word.parse().map_err(|error| Error::usage(format!("`{word}` is no task: {error}")))?;
        let leg = legs.last_mut().expect("one at least");
        if let Some(environment) = subtasks.environment_named(&task.name) {
            if let Some(named) = &args.env {
                return Err(Error::usage(format!(
                    "the line names two environments, `{}` and `--env {named}`; leave one out",
                    task.name
                )));
            }
            if !task.options.is_empty() {
                return Err(Error::usage(format!("`{}` is an environment, and takes no option", task.name)));
            }
            if let (Some(before), true) = (leg.environment, leg.tasks.is_empty()) {
                return Err(Error::usage(format!(
                    "no task stands between the environments `{}` and `{}`; write one after each, or leave one out",
                    before.name, task.name
                )));
            }
            legs.push(Leg { environment: Some(environment), tasks: Vec::new() });
            continue;
        }
        let Some(subtask) = subtasks.get(&task.name) else {
            let before = leg.tasks.last().map(|checked| checked.subtask);
            return Err(unknown(&task.name, before, subtasks, embedded));
        };
        leg.tasks.push(Checked { options: options(&task, subtask)?, subtask, task });
    }
    // What stands ahead of the first environment may be nothing.
    if legs.len() > 1 {
        legs.retain(|leg| leg.environment.is_some() || !leg.tasks.is_empty());
    }
    if let Some(leg) = legs.last_mut().filter(|leg| leg.tasks.is_empty()) {
        let task: Task = Task { name: subtasks.default_name().to_owned(), options: Vec::new() };
        let subtask = subtasks.find(&task.name)?;
        leg.tasks.push(Checked { options: options(&task, subtask)?, subtask, task });
    }
    Ok(legs)
}

/// The flags that go with some task.
fn flags(args: &Args, has: impl Fn(&str) -> bool) -> Result<(), Error> {
    if args.check && !has("show_status") {
        return Err(Error::usage("`--check` goes with show_status: `cargo migrations show_status --check`"));
    }
    if args.strict && !has("execute") {
        return Err(Error::usage("`--strict` goes with execute: `cargo migrations execute --strict`"));
    }
    if args.path.is_some() {
        return Err(Error::usage("`--path` goes with init: `cargo migrations init --path DIR`"));
    }
    Ok(())
}

fn options<M>(task: &Task, subtask: &Subtask<M>) -> Result<Options, Error> {
    let takes_first = subtask.takes.first != First::Nothing;
    let options = Options::new(&task.options, takes_first, &subtask.takes.named).map_err(|problem| {
        Error::usage(format!("{name} takes {problem}; it takes: {usage}", name = task.name, usage = subtask.usage()))
    })?;
    match (subtask.takes.first, options.first()) {
        (First::NeedsMigration, None) => Err(Error::usage(format!(
            "{name} needs a migration: `cargo migrations {name}:0002_x`; `cargo migrations` shows which are registered",
            name = task.name
        ))),
        (First::NeedsDump, None) => Err(Error::usage(format!(
            "{name} needs a dump: `cargo migrations {name}:latest`; `cargo migrations dumps` lists them",
            name = task.name
        ))),
        (First::OneOf(words), Some(word)) if !words.contains(&word) => {
            Err(Error::usage(format!("{} takes no `{word}`; it takes: {}", task.name, subtask.usage())))
        }
        _ => subtask.takes.check.map_or(Ok(()), |check| check(&options)).map(|()| options),
    }
}

/// The migration or subtask that a task names must be there.
fn named<M>(subtask: &Subtask<M>, options: &Options, subtasks: &Subtasks<M>, embedded: &Embedded) -> Result<(), Error> {
    let Some(word) = options.first() else { return Ok(()) };
    match subtask.takes.first {
        First::Migration | First::NeedsMigration => names::find(&embedded.migrations, word).map(|_| ()),
        First::Subtask if subtasks.environment_named(word).is_some() => Ok(()),
        First::Subtask => subtasks.find(word).map(|_| ()),
        First::Anything | First::AnyMigration | First::NeedsDump | First::Nothing | First::OneOf(_) => Ok(()),
    }
}

fn unknown<M>(name: &str, before: Option<&Subtask<M>>, subtasks: &Subtasks<M>, embedded: &Embedded) -> Error {
    if matches!(name, "init" | "new") {
        return Error::usage(format!(
            "`{name}` needs the sources, and stands alone on the line: `cargo migrations {name}` in the workspace"
        ));
    }
    if names::is_any(&embedded.migrations, name) {
        let takes_one = |subtask: &&Subtask<M>| matches!(subtask.takes.first, First::Migration | First::NeedsMigration);
        let subtask = before.filter(takes_one).map_or("execute", |subtask| &subtask.name);
        return Error::usage(format!("`{name}` is a migration, not a subtask: write `{subtask}:{name}`; nothing has run"));
    }
    subtasks.unknown(name)
}
