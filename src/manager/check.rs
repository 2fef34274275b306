//! The whole line is checked here before its first task starts.

use super::subtasks::{First, Subtask, Subtasks};
use super::{MigrationsManager, Options};
use crate::args::Args;
use crate::error::Error;
use crate::line::Task;
use crate::migration::Embedded;
use crate::names;

/// A task of the line, found good.
pub(super) struct Checked<'s, M> {
    pub(super) subtask: &'s Subtask<M>,
    pub(super) options: Options,
}

/// The line's tasks, or the first thing that is wrong with it.
pub(super) fn line<'s, M: MigrationsManager>(
    args: &Args,
    subtasks: &'s Subtasks<M>,
    embedded: &Embedded,
) -> Result<Vec<Checked<'s, M>>, Error> {
    let default = [subtasks.default_name().to_owned()];
    let words = if args.tasks.is_empty() { &default[..] } else { &args.tasks };
    let mut checked: Vec<Checked<'s, M>> = Vec::new();
    for word in words {
        let task: Task = word.parse().map_err(|error| Error::usage(format!("`{word}` is no task: {error}")))?;
        let Some(subtask) = subtasks.get(&task.name) else {
            let before = checked.last().map(|checked| checked.subtask);
            return Err(unknown(&task.name, before, subtasks, embedded));
        };
        checked.push(Checked { options: options(&task, subtask)?, subtask });
    }
    if args.check && !checked.iter().any(|checked| checked.subtask.name == "show_status") {
        return Err(Error::usage("`--check` goes with show_status: `cargo migrations show_status --check`"));
    }
    if args.strict && !checked.iter().any(|checked| checked.subtask.name == "execute") {
        return Err(Error::usage("`--strict` goes with execute: `cargo migrations execute --strict`"));
    }
    if args.path.is_some() {
        return Err(Error::usage("`--path` goes with init: `cargo migrations init --path DIR`"));
    }
    // Help and the local server are of use whatever the files look like.
    let needs_files = |checked: &Checked<'_, M>| !matches!(checked.subtask.name.as_str(), "help" | "mongod");
    if checked.iter().any(needs_files) && !embedded.problems.is_empty() {
        return Err(Error::usage(embedded.problems.join("\n       ")));
    }
    for Checked { subtask, options } in &checked {
        named(subtask, options, subtasks, embedded)?;
    }
    Ok(checked)
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
