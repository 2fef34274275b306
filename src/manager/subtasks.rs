//! The subtasks that a manager has: the built-in ones and the team's own.

use std::fmt;

use futures_util::future::LocalBoxFuture;

use super::declaration::{Asks, Declaration, First, Reach};
use super::{MigrationsManager, builtin};
use crate::context::{Context, Options};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::line::flags::TaskFlag;
use crate::line::words::{listed, nearest};

/// Names that the line uses otherwise, and those of built-in subtasks to come.
const RESERVED: [&str; 14] = [
    "init",
    "new",
    "migrations",
    "accept",
    "adopt",
    "backfill",
    "baseline",
    "completions",
    "decode",
    "doctor",
    "forget",
    "plan",
    "redo",
    "rehearse",
];

/// The subtasks of a manager, in the order in which `help` lists them.
pub struct Subtasks<M> {
    list: Vec<Subtask<M>>,
    pub(crate) environments: Vec<Environment>,
    default: String,
    /// Calls in the wrong order, reported when the subtasks are checked.
    problems: Vec<String>,
}

/// One subtask: what is known about it, and what it does.
pub(crate) struct Subtask<M> {
    kind: Kind,
    action: Box<dyn Call<M>>,
}

enum Kind {
    BuiltIn(&'static Declaration),
    Own { name: String, help: String, options: Vec<String> },
}

trait Call<M> {
    fn call<'a>(&'a self, manager: &'a M, cx: &'a Context, option: Option<&'a str>) -> LocalBoxFuture<'a, Result<()>>;
}

impl<M, F> Call<M> for F
where
    F: AsyncFn(&M, &Context, Option<&str>) -> Result<()>,
{
    fn call<'a>(&'a self, manager: &'a M, cx: &'a Context, option: Option<&'a str>) -> LocalBoxFuture<'a, Result<()>> {
        Box::pin(async move { self(manager, cx, option).await })
    }
}

impl<M: MigrationsManager> Subtasks<M> {
    /// The subtasks of `M`: the built-in ones, then its own.
    pub(crate) fn of() -> Result<Self, Error> {
        let built_in = Self {
            list: builtin::all(),
            environments: Vec::new(),
            default: builtin::DEFAULT.to_owned(),
            problems: Vec::new(),
        };
        let subtasks = M::subtasks(built_in);
        subtasks.check()?;
        Ok(subtasks)
    }

    /// Adds a subtask: `cargo migrations NAME`, `cargo migrations NAME:option`. The help text is what `help` shows.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// struct Migrations;
    ///
    /// impl MigrationsManager for Migrations {
    ///     fn subtasks(subtasks: Subtasks<Self>) -> Subtasks<Self> {
    ///         subtasks
    ///             .add("reindex", "Rebuild the search index", Self::reindex)
    ///             .add("ping", "Greet the server", async |_: &Self, cx: &Context, _: Option<&str>| {
    ///                 cx.database().await?.run_command(doc! { "ping": 1 }).await?;
    ///                 Ok(())
    ///             })
    ///     }
    /// }
    ///
    /// impl Migrations {
    ///     async fn reindex(&self, cx: &Context, option: Option<&str>) -> Result<()> {
    ///         Ok(())
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn add(
        mut self,
        name: impl Into<String>,
        help: impl Into<String>,
        action: impl AsyncFn(&M, &Context, Option<&str>) -> Result<()> + 'static,
    ) -> Self {
        let kind = Kind::Own { name: name.into(), help: help.into(), options: Vec::new() };
        self.list.push(Subtask { kind, action: Box::new(action) });
        self
    }

    /// Names further values that the subtask added last takes, after one plain value: `.takes(["to"])` for `copy:a,to=b`.
    /// Plain values after the first fill them in order. [`Context::options`] has them.
    #[must_use]
    pub fn takes<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        match self.list.last_mut().map(|subtask| &mut subtask.kind) {
            Some(Kind::Own { options, .. }) => options.extend(names.into_iter().map(Into::into)),
            _ => self.problems.push("the manager calls `takes` before it has added a subtask".into()),
        }
        self
    }

    /// Names the subtask that runs when the line has none; `show_status` unless set.
    #[must_use]
    pub fn default(mut self, name: impl Into<String>) -> Self {
        self.default = name.into();
        self
    }

    fn check(&self) -> Result<(), Error> {
        if let Some(problem) = self.problems.first() {
            return Err(Error::usage(problem.clone()).with_hint("call it after the `add` of the subtask that it is for"));
        }
        let subtasks = self.list.iter().map(|subtask| ("a subtask", subtask.name()));
        let names: Vec<_> =
            subtasks.chain(self.environments.iter().map(|env| ("an environment", env.name.as_str()))).collect();
        for (index, &(kind, name)) in names.iter().enumerate() {
            check_name(kind, name)?;
            match names[..index].iter().find(|(_, other)| *other == name) {
                None => {}
                Some((first, _)) if *first == kind && kind == "a subtask" => {
                    return Err(Error::usage(format!("the manager has two subtasks named `{name}`"))
                        .with_hint("rename one (to change a built-in, override its method instead)"));
                }
                Some((first, _)) => {
                    return Err(Error::usage(format!("the manager has both {first} and {kind} named `{name}`"))
                        .with_hint("rename one"));
                }
            }
        }
        self.environments.iter().try_for_each(Environment::check)?;
        if self.get(&self.default).is_none() {
            return Err(Error::usage(format!("the manager's default subtask `{}` does not exist", self.default))
                .with_hint("add it, or name another one"));
        }
        Ok(())
    }
}

fn check_name(kind: &str, name: &str) -> Result<(), Error> {
    let is_valid = !name.is_empty()
        && !name.starts_with('-')
        && !name.contains([':', ',', '=', '\\'])
        && !name.contains(char::is_whitespace);
    if !is_valid {
        let message = format!("the manager adds {kind} named `{name}`, which cannot be written on the line");
        return Err(Error::usage(message)
            .with_hint("give it another name, without spaces, `:`, `,`, `=` and backslashes, and without a leading `-`"));
    }
    if RESERVED.contains(&name) {
        return Err(Error::usage(format!("the manager adds {kind} named `{name}`, which is a reserved name"))
            .with_hint("give it another name"));
    }
    Ok(())
}

impl<M> Subtasks<M> {
    pub(crate) fn get(&self, name: &str) -> Option<&Subtask<M>> {
        self.list.iter().find(|subtask| subtask.name() == name)
    }

    /// The subtask of that name, or an error that suggests others.
    pub(crate) fn find(&self, name: &str) -> Result<&Subtask<M>, Error> {
        self.get(name).ok_or_else(|| self.unknown(name))
    }

    pub(crate) fn unknown(&self, name: &str) -> Error {
        let names = self.list.iter().map(Subtask::name);
        let near = nearest(name, names.chain(self.environments.iter().map(|environment| environment.name.as_str())));
        let hint = match near[..] {
            [] => "`cargo migrations help` lists them".to_owned(),
            _ => format!("did you mean {}? `cargo migrations help` lists them all", listed(near)),
        };
        Error::usage(format!("there is no subtask or environment named `{name}`")).with_hint(hint)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Subtask<M>> {
        self.list.iter()
    }

    pub(crate) fn default_name(&self) -> &str {
        &self.default
    }
}

impl<M> Subtask<M> {
    /// A built-in subtask, and the manager's method that does it.
    pub(super) fn built_in(
        declaration: &'static Declaration,
        method: impl AsyncFn(&M, &Context, Option<&str>) -> Result<()> + 'static,
    ) -> Self {
        Self { kind: Kind::BuiltIn(declaration), action: Box::new(method) }
    }

    pub(crate) fn name(&self) -> &str {
        match &self.kind {
            Kind::BuiltIn(declaration) => declaration.name,
            Kind::Own { name, .. } => name,
        }
    }

    pub(crate) fn help(&self) -> &str {
        match &self.kind {
            Kind::BuiltIn(declaration) => declaration.help,
            Kind::Own { help, .. } => help,
        }
    }

    pub(crate) fn first(&self) -> First {
        match &self.kind {
            Kind::BuiltIn(declaration) => declaration.first,
            Kind::Own { .. } => First::Anything,
        }
    }

    /// The names of the further values that it takes.
    pub(crate) fn options(&self) -> Vec<&str> {
        match &self.kind {
            Kind::BuiltIn(declaration) => declaration.options.to_vec(),
            Kind::Own { options, .. } => options.iter().map(String::as_str).collect(),
        }
    }

    /// Checks the values of a task.
    pub(crate) fn check(&self, options: &Options) -> Result<(), Error> {
        match &self.kind {
            Kind::BuiltIn(declaration) => (declaration.check)(options),
            Kind::Own { .. } => Ok(()),
        }
    }

    pub(crate) fn reach(&self, options: &Options) -> Reach {
        match &self.kind {
            Kind::BuiltIn(declaration) => (declaration.reach)(options),
            Kind::Own { .. } => Reach::Database,
        }
    }

    pub(crate) fn asks(&self) -> Asks {
        match &self.kind {
            Kind::BuiltIn(declaration) => declaration.asks,
            Kind::Own { .. } => Asks::IfEnvironmentDoes,
        }
    }

    /// Whether it needs every migration file to be valid. Nothing is known about a team's own subtask, so it does.
    pub(crate) fn needs_files(&self) -> bool {
        match &self.kind {
            Kind::BuiltIn(declaration) => declaration.needs_files,
            Kind::Own { .. } => true,
        }
    }

    pub(crate) fn is_built_in(&self) -> bool {
        matches!(self.kind, Kind::BuiltIn(_))
    }

    pub(crate) fn takes_flag(&self, flag: TaskFlag) -> bool {
        match &self.kind {
            Kind::BuiltIn(declaration) => declaration.flags.contains(&flag),
            Kind::Own { .. } => false,
        }
    }

    pub(crate) async fn call(&self, manager: &M, cx: &Context, option: Option<&str>) -> Result<()> {
        self.action.call(manager, cx, option).await
    }

    /// The usage, shortened to fit into a column.
    pub(crate) fn short_usage(&self) -> String {
        let usage = self.usage();
        if usage.chars().count() <= 30 { usage } else { format!("{}[:…]", self.name()) }
    }

    /// `execute[:MIGRATION]`, `copy[:VALUE][,to=…]`
    pub(crate) fn usage(&self) -> String {
        let first = match self.first() {
            First::Anything => Some("[:VALUE]".to_owned()),
            First::Nothing => None,
            First::Migration | First::MigrationWithoutFile => Some("[:MIGRATION]".to_owned()),
            First::NeedsMigration => Some(":MIGRATION".to_owned()),
            First::NeedsDump => Some(":DUMP".to_owned()),
            First::Subtask => Some("[:SUBTASK]".to_owned()),
            First::OneOf(words) => Some(format!("[:{}]", words.join("|"))),
        };
        let mut separator = if first.is_some() { ',' } else { ':' };
        let mut usage = self.name().to_owned() + &first.unwrap_or_default();
        for name in self.options() {
            usage.push_str(&format!("[{separator}{name}=…]"));
            separator = ',';
        }
        usage
    }
}

impl<M> fmt::Debug for Subtasks<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(Subtask::name)).finish()
    }
}
