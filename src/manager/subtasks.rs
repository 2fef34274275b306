//! The subtasks that a manager has: the built-in ones and the team's own.

use std::fmt;

use futures_util::future::LocalBoxFuture;

use super::{Context, MigrationsManager};
use crate::error::{Error, Result};
use crate::line::listed;
use crate::names::nearest;
use crate::subtasks as builtin;

/// Names that the line uses otherwise.
const RESERVED: [&str; 3] = ["init", "new", "migrations"];

/// The subtasks of a manager, in the order in which `help` lists them.
pub struct Subtasks<M> {
    list: Vec<Subtask<M>>,
    default: String,
}

/// One subtask: its name, its help text, what it takes, and what it does.
pub(crate) struct Subtask<M> {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) takes: Takes,
    action: Box<dyn Call<M>>,
}

/// What options a subtask takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Takes {
    pub(crate) first: First,
    /// Further values, by name; plain ones fill them in order.
    pub(crate) named: Vec<String>,
}

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
        let subtasks = M::subtasks(Self::built_in());
        subtasks.check()?;
        Ok(subtasks)
    }

    fn built_in() -> Self {
        let mut all = Self { list: Vec::new(), default: "show_status".into() };
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
        all.push("dbdump", "Dump the database", First::Nothing, async |m: &M, cx: &Context, o: Option<&str>| {
            m.dbdump(cx, o).await
        });
        all.push(
            "mongod",
            "The local development server: where it is, `start`, `stop`",
            First::OneOf(&["start", "stop"]),
            async |_: &M, cx: &Context, o: Option<&str>| builtin::mongod(cx, o).await,
        );
        all.push(
            "help",
            "List the subtasks, or tell about one",
            First::Subtask,
            async |m: &M, cx: &Context, o: Option<&str>| m.help(cx, o).await,
        );
        all
    }

    fn push(
        &mut self,
        name: &str,
        help: &str,
        first: First,
        action: impl AsyncFn(&M, &Context, Option<&str>) -> Result<()> + 'static,
    ) {
        let takes = Takes { first, named: Vec::new() };
        self.list.push(Subtask { name: name.to_owned(), help: help.to_owned(), takes, action: Box::new(action) });
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

    /// Names the subtask that runs when the line has none; `show_status` unless set.
    #[must_use]
    pub fn default(mut self, name: impl Into<String>) -> Self {
        self.default = name.into();
        self
    }

    fn check(&self) -> Result<(), Error> {
        for (index, subtask) in self.list.iter().enumerate() {
            let name = &subtask.name;
            let valid = !name.is_empty()
                && !name.starts_with('-')
                && !name.contains([':', ',', '=', '\\'])
                && !name.contains(char::is_whitespace);
            if !valid || RESERVED.contains(&name.as_str()) {
                return Err(Error::usage(format!(
                    "the manager adds a subtask named `{name}`, which the line cannot name; give it another name"
                )));
            }
            if self.list[..index].iter().any(|other| other.name == *name) {
                return Err(Error::usage(format!(
                    "the manager has two subtasks named `{name}`; rename one (a built-in is changed by overriding its method)"
                )));
            }
        }
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
        let near = nearest(name, self.list.iter().map(|subtask| subtask.name.as_str()));
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

    /// `execute[:MIGRATION]`, `copy[:VALUE][,to=…]`
    pub(crate) fn usage(&self) -> String {
        let first = match self.takes.first {
            First::Anything => Some("[:VALUE".to_owned()),
            First::Nothing => None,
            First::Migration | First::AnyMigration => Some("[:MIGRATION".to_owned()),
            First::NeedsMigration => Some(":MIGRATION".to_owned()),
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
