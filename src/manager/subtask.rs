//! One subtask: built in, or a team's own.

use futures_util::future::LocalBoxFuture;

use super::declaration::{Asks, Declaration, First, Reach};
use crate::context::{Context, Options};
use crate::error::{Error, Result};
use crate::line::flags::TaskFlag;

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

impl<M> Subtask<M> {
    /// A built-in subtask, and the manager's method that does it.
    pub(super) fn built_in(
        declaration: &'static Declaration,
        method: impl AsyncFn(&M, &Context, Option<&str>) -> Result<()> + 'static,
    ) -> Self {
        Self { kind: Kind::BuiltIn(declaration), action: Box::new(method) }
    }

    /// A team's own subtask.
    pub(super) fn own(
        name: String,
        help: String,
        action: impl AsyncFn(&M, &Context, Option<&str>) -> Result<()> + 'static,
    ) -> Self {
        Self { kind: Kind::Own { name, help, options: Vec::new() }, action: Box::new(action) }
    }

    /// The names of the further values, if it is a team's own.
    pub(super) fn own_options(&mut self) -> Option<&mut Vec<String>> {
        match &mut self.kind {
            Kind::BuiltIn(_) => None,
            Kind::Own { options, .. } => Some(options),
        }
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

    pub(crate) fn asks(&self, options: &Options) -> Asks {
        match &self.kind {
            Kind::BuiltIn(declaration) => (declaration.asks)(options),
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
        if usage.chars().count() <= 30 {
            return usage;
        }
        match self.first_usage() {
            Some(first) => format!("{}{first}[,…]", self.name()),
            None => format!("{}[:…]", self.name()),
        }
    }

    /// `execute[:MIGRATION]`, `copy[:VALUE][,to=…]`
    pub(crate) fn usage(&self) -> String {
        let first = self.first_usage();
        let mut separator = if first.is_some() { ',' } else { ':' };
        let mut usage = self.name().to_owned() + &first.unwrap_or_default();
        for name in self.options() {
            usage.push_str(&format!("[{separator}{name}=…]"));
            separator = ',';
        }
        usage
    }

    /// The usage of the value that stands alone.
    fn first_usage(&self) -> Option<String> {
        match self.first() {
            First::Anything => Some("[:VALUE]".to_owned()),
            First::Nothing => None,
            First::Migration | First::MigrationWithoutFile => Some("[:MIGRATION]".to_owned()),
            First::NeedsMigration | First::NeedsMigrationWithoutFile => Some(":MIGRATION".to_owned()),
            First::NeedsDump => Some(":DUMP".to_owned()),
            First::Subtask => Some("[:SUBTASK]".to_owned()),
            First::OneOf(words) => Some(format!("[:{}]", words.join("|"))),
            First::NeedsOneOf(words) => Some(format!(":{}", words.join("|"))),
        }
    }
}
