//! Checks the complete line before its first task starts.

use crate::context::Options;
use crate::environment::Environment;
use crate::error::{Error, Remark};
use crate::line::Task;
use crate::line::flags::{Args, TaskFlag};
use crate::line::program::program;
use crate::line::words::either;
use crate::manager::declaration::{Asks, First, Reach, ValueKind};
use crate::manager::planned::task_in;
use crate::manager::subtask::Subtask;
use crate::manager::{MigrationsManager, Subtasks};
use crate::migration::{Embedded, names};
use crate::model::PLUGIN_SUBTASKS;
use crate::run::request::Place;

/// The tasks of the line that follow an environment's name, or that come before any.
pub(super) struct Segment<'s, M> {
    pub(super) environment: Option<&'s Environment>,
    pub(super) tasks: Vec<Checked<'s, M>>,
}

impl<M> Segment<'_, M> {
    /// Whether any of its tasks needs the configuration.
    pub(super) fn needs_configuration(&self) -> bool {
        self.tasks.iter().any(|checked| checked.reach() != Reach::Nothing)
    }

    /// Whether any of its tasks takes a flag.
    pub(super) fn takes_flag(&self, flag: TaskFlag) -> bool {
        self.tasks.iter().any(|checked| checked.subtask.takes_flag(flag))
    }
}

/// A valid task of the line.
pub(super) struct Checked<'s, M> {
    pub(super) subtask: &'s Subtask<M>,
    pub(super) options: Options,
    /// The task as it was typed.
    pub(super) task: Task,
    /// A migration that it names, and that has no file. Only the database knows whether there was one.
    pub(super) unknown_migration: Option<Unknown>,
}

/// A word that names no migration file.
#[derive(Clone, Debug)]
pub(super) struct Unknown {
    pub(super) word: String,
    /// What is wrong with it.
    pub(super) remark: Remark,
}

impl<M> Checked<'_, M> {
    pub(super) fn reach(&self) -> Reach {
        self.subtask.reach(&self.options)
    }

    pub(super) fn asks(&self) -> Asks {
        self.subtask.asks(&self.options)
    }
}

/// Returns the line's tasks, or the first error in it.
pub(super) fn line<'s, M: MigrationsManager>(
    args: &Args,
    subtasks: &'s Subtasks<M>,
    embedded: &Embedded,
) -> Result<Vec<Segment<'s, M>>, Error> {
    let mut segments = segments(args, subtasks, embedded)?;
    flags(args, subtasks, &segments)?;
    let mut checked = segments.iter().flat_map(|segment| &segment.tasks);
    if checked.any(|checked| checked.subtask.needs_files()) {
        embedded.check_files()?;
    }
    for checked in segments.iter_mut().flat_map(|segment| &mut segment.tasks) {
        look_up(checked, subtasks, embedded)?;
    }
    Ok(segments)
}

fn segments<'s, M: MigrationsManager>(
    args: &Args,
    subtasks: &'s Subtasks<M>,
    embedded: &Embedded,
) -> Result<Vec<Segment<'s, M>>, Error> {
    let environment = args.env.as_deref().map(|name| subtasks.find_environment(name)).transpose()?;
    let mut segments = vec![Segment { environment, tasks: Vec::new() }];
    for word in &args.tasks {
        let task = Task::read(word)?;
        let segment = segments.last_mut().expect("there is always one");
        if let Some(environment) = subtasks.environment_named(&task.name) {
            check_environment(args, &task, segment)?;
            segments.push(Segment { environment: Some(environment), tasks: Vec::new() });
            continue;
        }
        let Some(subtask) = subtasks.get(&task.name) else {
            let before = segment.tasks.last().map(|checked| checked.subtask);
            return Err(unknown(&task.name, before, subtasks, embedded));
        };
        segment.tasks.push(checked(subtask, subtasks, task)?);
    }
    // There may be no task before the first environment.
    if segments.len() > 1 {
        segments.retain(|segment| segment.environment.is_some() || !segment.tasks.is_empty());
    }
    if let [.., before, Segment { environment: Some(environment), tasks }] = &segments[..]
        && tasks.is_empty()
    {
        return Err(environment_at_the_end(&environment.name, before));
    }
    if let Some(segment) = segments.last_mut().filter(|segment| segment.tasks.is_empty()) {
        let task: Task = Task { name: subtasks.default_name().to_owned(), options: Vec::new() };
        let subtask = subtasks.find(&task.name)?;
        segment.tasks.push(checked(subtask, subtasks, task)?);
    }
    Ok(segments)
}

/// The error for an environment without tasks that follows the tasks of a segment. With the default subtask there, `execute
/// staging` would execute everything on the wrong database.
fn environment_at_the_end<M>(name: &str, before: &Segment<'_, M>) -> Error {
    let tasks: Vec<String> = before.tasks.iter().map(|checked| checked.task.to_string()).collect();
    Error::usage(format!("the line ends with the environment `{name}`, which has no task after it. Nothing has run"))
        .with_hint(format!(
            "write it before its tasks (`{} {name} {}`), or name a task after it",
            program(),
            tasks.join(" ")
        ))
}

/// Whether an environment's name may follow the tasks of a segment.
fn check_environment<M>(args: &Args, task: &Task, segment: &Segment<'_, M>) -> Result<(), Error> {
    let name = &task.name;
    if let Some(named) = &args.env {
        return Err(Error::usage(format!("the line names two environments, `{name}` and `--env {named}`"))
            .with_hint("leave one out"));
    }
    if !task.options.is_empty() {
        return Err(Error::usage(format!("`{name}` is an environment, which takes no options")));
    }
    if let (Some(before), true) = (segment.environment, segment.tasks.is_empty()) {
        return Err(Error::usage(format!("there is no task between the environments `{}` and `{name}`", before.name))
            .with_hint("write a task after each of them, or leave one out"));
    }
    Ok(())
}

/// Checks the flags that go with some subtasks only.
fn flags<M: MigrationsManager>(args: &Args, subtasks: &Subtasks<M>, segments: &[Segment<'_, M>]) -> Result<(), Error> {
    for flag in args.task_flags() {
        if segments.iter().any(|segment| segment.takes_flag(flag)) {
            continue;
        }
        let flag_name = flag.as_str();
        let takers: Vec<&str> =
            subtasks.iter().filter(|subtask| subtask.takes_flag(flag)).map(|subtask| subtask.name()).collect();
        let example = takers.first().copied().unwrap_or_default();
        return Err(Error::usage(format!("`{flag_name}` can only be used with {}", either(&takers)))
            .with_hint(format!("write `{} {example} {flag_name}`", program())));
    }
    args.refuse_path()
}

fn checked<'s, M>(subtask: &'s Subtask<M>, subtasks: &Subtasks<M>, task: Task) -> Result<Checked<'s, M>, Error> {
    let options = if subtask.first() == First::Task && !task.options.is_empty() {
        let about = task_in(&task.options).ok_or_else(|| {
            Error::usage(format!("{} takes a task, and then its options", task.name))
                .with_hint(format!("write it as `{}:execute,to=0012`", task.name))
        })?;
        Options::about_task(&task.name, subtasks.planned(&about)?)
    } else {
        subtask.read(&task)?
    };
    Ok(Checked { options, subtask, task, unknown_migration: None })
}

/// Looks up the migrations or the subtask that a task names.
fn look_up<M>(checked: &mut Checked<'_, M>, subtasks: &Subtasks<M>, embedded: &Embedded) -> Result<(), Error> {
    let (subtask, options) = match checked.options.about_mut() {
        Some(about) => (subtasks.find(about.subtask())?, about),
        None => (checked.subtask, &mut checked.options),
    };
    let migrations = &embedded.migrations;
    let place = |word: &str, or_start| {
        let read = if or_start { Place::read_or_start(word, migrations) } else { Place::read(word, migrations) };
        read.map(|_| ())
    };
    let mut looked_up = Vec::new();
    if let Some(word) = options.first().map(str::to_owned) {
        match subtask.first() {
            first if first.is_file() => {
                let index = names::find_index(migrations, &word);
                if let Ok(index) = index {
                    options.set_migration(index);
                }
                looked_up.push((word, index.map(|_| ())));
            }
            First::NeedsPlace { or_start } => {
                let found = place(&word, or_start);
                looked_up.push((word, found));
            }
            First::Subtask if subtasks.environment_named(&word).is_none() => {
                subtasks.find(&word)?;
            }
            _ => {}
        }
    }
    for (name, word) in options.named() {
        match subtask.kind_of(name) {
            ValueKind::Text => {}
            kind => looked_up.push((word.to_owned(), place(word, kind == ValueKind::PlaceOrStart))),
        }
    }
    for (word, found) in looked_up {
        match found {
            Ok(()) => {}
            Err(error) if names::is_any(migrations, &word) => return Err(error),
            Err(error) => checked.unknown_migration = Some(Unknown { word, remark: error.into() }),
        }
    }
    Ok(())
}

fn unknown<M>(name: &str, before: Option<&Subtask<M>>, subtasks: &Subtasks<M>, embedded: &Embedded) -> Error {
    if PLUGIN_SUBTASKS.iter().any(|subtask| subtask.name == name) {
        return Error::usage(format!("`{name}` needs the sources, and must be the only task on the line"))
            .with_hint("run it by itself, with cargo, in the workspace");
    }
    if names::is_any(&embedded.migrations, name) {
        let takes_one = |subtask: &&Subtask<M>| subtask.first().is_file();
        let subtask = before.filter(takes_one).map_or("execute", |subtask| subtask.name());
        return Error::usage(format!("`{name}` is a migration, not a subtask. Nothing has run"))
            .with_hint(format!("write `{subtask}:{name}`"));
    }
    subtasks.unknown(name)
}
