//! One subtask: built in, or a team's own.

use futures_util::future::LocalBoxFuture;

use super::declaration::{Asks, Declaration, First, Group, Reach, ToGoal, ValueKind};
use crate::context::{Context, Options, Takes};
use crate::error::{Error, Result};
use crate::line::Task;
use crate::line::flags::TaskFlag;
use crate::line::program::program;
use crate::line::words::either;

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

    /// The line that `help` lists.
    pub(crate) fn summary(&self) -> String {
        let text = match &self.kind {
            Kind::BuiltIn(declaration) => declaration.summary,
            Kind::Own { help, .. } => help,
        };
        first_paragraph(text)
    }

    /// What is declared about it, if it is built in.
    pub(crate) fn declaration(&self) -> Option<&'static Declaration> {
        match &self.kind {
            Kind::BuiltIn(declaration) => Some(declaration),
            Kind::Own { .. } => None,
        }
    }

    /// The complete help text of a team's own.
    pub(crate) fn own_help(&self) -> &str {
        match &self.kind {
            Kind::BuiltIn(_) => "",
            Kind::Own { help, .. } => help,
        }
    }

    pub(crate) fn group(&self) -> Group {
        self.declaration().map_or(Group::Own, |declaration| declaration.group)
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
            Kind::BuiltIn(declaration) => declaration.options.iter().map(|option| option.name).collect(),
            Kind::Own { options, .. } => options.iter().map(String::as_str).collect(),
        }
    }

    /// What the value of that name has to be.
    pub(crate) fn kind_of(&self, option: &str) -> ValueKind {
        let options = self.declaration().map(|declaration| declaration.options).unwrap_or_default();
        options.iter().find(|named| named.name == option).map_or(ValueKind::Text, |named| named.kind)
    }

    /// Reads the options of a task. They are valid as far as one can say without knowing the migrations.
    pub(crate) fn read(&self, task: &Task) -> Result<Options, Error> {
        let (name, usage, program) = (&task.name, self.usage(), program());
        let names = self.options();
        let takes = Takes { first: self.first() != First::Nothing, names: &names, fills_names: !self.is_built_in() };
        let options = Options::new(name, &task.options, takes).map_err(|problem| {
            Error::usage(format!("{name} takes {problem}")).with_hint(format!("its usage is `{usage}`"))
        })?;
        if self.excludes() && options.count() > 1 {
            return Err(
                Error::usage(format!("{name} takes one value, not several")).with_hint(format!("its usage is `{usage}`"))
            );
        }
        match (self.first(), options.first()) {
            (First::NeedsMigration | First::NeedsMigrationWithoutFile, None) => {
                Err(Error::usage(format!("{name} needs a migration"))
                    .with_hint(format!("write `{program} {name}:0002_x` (`{program}` shows what is registered)")))
            }
            (First::MigrationOrNamed, None) if options.count() == 0 => {
                let ways: Vec<String> = names.iter().map(|option| format!("`{option}=`")).collect();
                let ways: Vec<&str> = std::iter::once("a migration").chain(ways.iter().map(String::as_str)).collect();
                Err(Error::usage(format!("{name} needs {}", either(&ways)))
                    .with_hint(format!("write `{program} {name}:0002_x` (`{program} help:{name}` describes the others)")))
            }
            (First::NeedsPlace { .. }, None) => Err(Error::usage(format!("{name} needs a migration's number"))
                .with_hint(format!("write `{program} {name}:0012` (`{program}` shows the migrations)"))),
            (First::NeedsDump, None) => Err(Error::usage(format!("{name} needs a dump"))
                .with_hint(format!("write `{program} {name}:latest` (`{program} dumps` lists them)"))),
            (First::OneOf(words) | First::NeedsOneOf(words), Some(word)) if !words.contains(&word) => {
                Err(Error::usage(format!("`{word}` is not a valid value for {name}"))
                    .with_hint(format!("its usage is `{usage}`")))
            }
            _ => self.check(&options).map(|()| options),
        }
    }

    /// Checks the values of a task.
    fn check(&self, options: &Options) -> Result<(), Error> {
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

    /// What a task asks a run for. `None` if it asks none.
    pub(crate) fn goal(&self) -> Option<ToGoal> {
        self.declaration().and_then(|declaration| declaration.goal)
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
        const WIDTH: usize = 30;
        let usage = self.usage();
        if usage.chars().count() <= WIDTH {
            return usage;
        }
        let with_first = self.first_usage().map(|first| format!("{}{first}[,…]", self.name()));
        match with_first {
            _ if self.excludes() => format!("{}:…", self.name()),
            Some(with_first) if with_first.chars().count() <= WIDTH => with_first,
            _ => format!("{}[:…]", self.name()),
        }
    }

    /// `execute[:MIGRATION]`, `copy[:VALUE][,to=…]`
    pub(crate) fn usage(&self) -> String {
        let names = self.options();
        if self.excludes() {
            let ways: Vec<String> = names.iter().map(|name| format!("{name}=…")).collect();
            let ways = format!("MIGRATION|{}", ways.join("|"));
            return if self.first() == First::MigrationOrNamed {
                format!("{}:{ways}", self.name())
            } else {
                format!("{}[:{ways}]", self.name())
            };
        }
        let first = self.first_usage();
        let mut separator = if first.is_some() { ',' } else { ':' };
        let mut usage = self.name().to_owned() + &first.unwrap_or_default();
        for name in names {
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
            First::Migration | First::MigrationWithoutFile | First::MigrationOrNamed => Some("[:MIGRATION]".to_owned()),
            First::NeedsMigration | First::NeedsMigrationWithoutFile | First::NeedsPlace { .. } => {
                Some(":MIGRATION".to_owned())
            }
            First::NeedsDump => Some(":DUMP".to_owned()),
            First::Subtask => Some("[:SUBTASK]".to_owned()),
            First::Task => Some("[:TASK]".to_owned()),
            First::OneOf(words) => Some(format!("[:{}]", words.join("|"))),
            // A column has no room for many.
            First::NeedsOneOf(words) if words.len() > 3 => Some(":…".to_owned()),
            First::NeedsOneOf(words) => Some(format!(":{}", words.join("|"))),
        }
    }

    /// Whether its values exclude each other: a migration is named, or several are chosen in another way.
    fn excludes(&self) -> bool {
        self.is_built_in() && self.first().is_file() && !self.options().is_empty()
    }
}

/// A column has room for one line.
pub(super) fn first_paragraph(help: &str) -> String {
    let first = help.trim().lines().take_while(|line| !line.trim().is_empty());
    first.map(str::trim).collect::<Vec<_>>().join(" ")
}
