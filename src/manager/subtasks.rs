//! The subtasks that a manager has: the built-in ones and the team's own.

use std::fmt;

use futures_util::future::LocalBoxFuture;

use super::MigrationsManager;
use super::builtin::list;
use crate::context::{Context, Options};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::line::listed;
use crate::migration::names::nearest;

/// Names that the line uses otherwise.
const RESERVED: [&str; 3] = ["init", "new", "migrations"];

/// The subtasks of a manager, in the order in which `help` lists them.
pub struct Subtasks<M> {
    list: Vec<Subtask<M>>,
    pub(crate) environments: Vec<Environment>,
    default: String,
}

/// One subtask: its name, its help text, what it takes, and what it does.
pub(crate) struct Subtask<M> {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) takes: Takes,
    pub(crate) is_built_in: bool,
    action: Box<dyn Call<M>>,
}

/// What options a subtask takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Takes {
    pub(crate) first: First,
    /// Further values, by name; plain ones fill them in order.
    pub(crate) named: Vec<String>,
    /// What more must hold of a built-in's.
    pub(crate) check: Option<Check>,
}

/// Says what is wrong with a task's options.
type Check = fn(&Options) -> Result<(), Error>;

/// What a subtask's first plain value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum First {
    #[default]
    Anything,
    /// Nothing: it takes no plain value.
    Nothing,
    /// A migration, if given.
    Migration,
    /// A migration, if given; its file may be gone.
    AnyMigration,
    /// A migration, and it must be given.
    NeedsMigration,
    /// A dump, and it must be given.
    NeedsDump,
    /// A subtask, if given.
    Subtask,
    /// One of these words.
    OneOf(&'static [&'static str]),
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
    /// What `M` has: the built-in subtasks, then its own.
    pub(crate) fn of() -> Result<Self, Error> {
        let mut built_in = list::all();
        built_in.list.iter_mut().for_each(|subtask| subtask.is_built_in = true);
        let subtasks = M::subtasks(built_in);
        subtasks.check()?;
        Ok(subtasks)
    }

    /// None yet.
    pub(crate) fn none() -> Self {
        Self { list: Vec::new(), environments: Vec::new(), default: "show_status".into() }
    }

    pub(crate) fn push(
        &mut self,
        name: &str,
        help: &str,
        first: First,
        action: impl AsyncFn(&M, &Context, Option<&str>) -> Result<()> + 'static,
    ) {
        let takes = Takes { first, ..Takes::default() };
        let (name, help, action) = (name.to_owned(), help.to_owned(), Box::new(action));
        self.list.push(Subtask { name, help, takes, is_built_in: false, action });
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
        self.push(&name.into(), &help.into(), First::Anything, action);
        self
    }

    /// Names further values that the subtask added last takes, beside one plain value: `.takes(["to"])` for `copy:a,to=b`.
    /// Plain values after the first fill them in order. [`Context::options`] has them.
    #[must_use]
    pub fn takes<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        if let Some(last) = self.list.last_mut() {
            last.takes.named.extend(names.into_iter().map(Into::into));
        }
        self
    }

    /// Checks the values of the subtask added last, before the line's first task starts.
    pub(crate) fn checked_by(mut self, check: Check) -> Self {
        if let Some(last) = self.list.last_mut() {
            last.takes.check = Some(check);
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
        let subtasks = self.list.iter().map(|subtask| ("a subtask", subtask.name.as_str()));
        let names: Vec<_> =
            subtasks.chain(self.environments.iter().map(|env| ("an environment", env.name.as_str()))).collect();
        for (index, &(kind, name)) in names.iter().enumerate() {
            let valid = !name.is_empty()
                && !name.starts_with('-')
                && !name.contains([':', ',', '=', '\\'])
                && !name.contains(char::is_whitespace);
            if !valid || RESERVED.contains(&name) {
                return Err(Error::usage(format!(
                    "the manager adds {kind} named `{name}`, which the line cannot name; give it another name"
                )));
            }
            match names[..index].iter().find(|(_, other)| *other == name) {
                None => {}
                Some((first, _)) if *first == kind && kind == "a subtask" => {
                    return Err(Error::usage(format!(
                        "the manager has two subtasks named `{name}`; rename one (a built-in is changed by overriding its method)"
                    )));
                }
                Some((first, _)) => {
                    return Err(Error::usage(format!("the manager has both {first} and {kind} named `{name}`; rename one")));
                }
            }
        }
        self.environments.iter().try_for_each(Environment::check)?;
        if self.get(&self.default).is_none() {
            return Err(Error::usage(format!(
                "the manager's default subtask `{}` does not exist; add it, or name another",
                self.default
            )));
        }
        Ok(())
    }
}

impl<M> Subtasks<M> {
    pub(crate) fn get(&self, name: &str) -> Option<&Subtask<M>> {
        self.list.iter().find(|subtask| subtask.name == name)
    }

    /// The subtask of that name, or an error that suggests others.
    pub(crate) fn find(&self, name: &str) -> Result<&Subtask<M>, Error> {
        self.get(name).ok_or_else(|| self.unknown(name))
    }

    pub(crate) fn unknown(&self, name: &str) -> Error {
        let names = self.list.iter().map(|subtask| subtask.name.as_str());
        let near = nearest(name, names.chain(self.environments.iter().map(|environment| environment.name.as_str())));
        let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", listed(near)) };
        Error::usage(format!("no subtask or environment is named `{name}`{hint} (`cargo migrations help` lists them)"))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Subtask<M>> {
        self.list.iter()
    }

    pub(crate) fn default_name(&self) -> &str {
        &self.default
    }
}

impl<M> Subtask<M> {
    pub(crate) async fn call(&self, manager: &M, cx: &Context, option: Option<&str>) -> Result<()> {
        self.action.call(manager, cx, option).await
    }

    /// The same, where there is room for a word or two.
    pub(crate) fn short_usage(&self) -> String {
        let usage = self.usage();
        if usage.chars().count() <= 30 { usage } else { format!("{}[:…]", self.name) }
    }

    /// `execute[:MIGRATION]`, `copy[:VALUE][,to=…]`
    pub(crate) fn usage(&self) -> String {
        let first = match self.takes.first {
            First::Anything => Some("[:VALUE".to_owned()),
            First::Nothing => None,
            First::Migration | First::AnyMigration => Some("[:MIGRATION".to_owned()),
            First::NeedsMigration => Some(":MIGRATION".to_owned()),
            First::NeedsDump => Some(":DUMP".to_owned()),
            First::Subtask => Some("[:SUBTASK".to_owned()),
            First::OneOf(words) => Some(format!("[:{}", words.join("|"))),
        };
        let mut usage = self.name.clone();
        let separator = if first.is_some() { ',' } else { ':' };
        if let Some(first) = first {
            usage.push_str(&first);
            if first.starts_with('[') {
                usage.push(']');
            }
        }
        for (index, name) in self.takes.named.iter().enumerate() {
            let separator = if index == 0 { separator } else { ',' };
            usage.push_str(&format!("[{separator}{name}=…]"));
        }
        usage
    }
}

impl<M> fmt::Debug for Subtasks<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(|subtask| &subtask.name)).finish()
    }
}
