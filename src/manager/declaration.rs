//! What is known about a subtask before it runs.

use crate::context::Options;
use crate::error::Error;
use crate::line::flags::TaskFlag;
use crate::migration::Migration;
use crate::model::right::Right;
use crate::run::plan::Plan;
use crate::run::request::Goal;

/// All that a built-in subtask declares. There are no defaults: each answers every question.
pub(crate) struct Declaration {
    /// The word on the line.
    pub(crate) name: &'static str,
    /// Where `help` lists it.
    pub(crate) group: Group,
    /// One line: what `help` shows in its list.
    pub(crate) summary: &'static str,
    /// What it does, for `help:NAME`: paragraphs, with an empty line between them.
    pub(crate) about: &'static str,
    /// What its first plain value is.
    pub(crate) first: First,
    /// Further values, by name.
    pub(crate) options: &'static [Named],
    /// Checks the values before the first task of the line starts.
    pub(crate) check: fn(&Options) -> Result<(), Error>,
    /// What it needs.
    pub(crate) reach: fn(&Options) -> Reach,
    /// What it asks a run for. `None`: it runs no migrations, and corrects no registrations.
    pub(crate) goal: Option<ToGoal>,
    /// When it asks a person.
    pub(crate) asks: fn(&Options) -> Asks,
    /// Whether it needs every migration file to be valid.
    pub(crate) needs_files: bool,
    /// The flags that go with it, and not with every other subtask.
    pub(crate) flags: &'static [TaskFlag],
    /// Flags that any line takes, and that change what this subtask does: `--wait`.
    pub(crate) common_flags: &'static [&'static str],
    /// What it writes to the database: a sentence.
    pub(crate) writes: &'static str,
    /// The least rights on the server that it needs itself. What migrations do needs more, and so does a dump that is taken first.
    pub(crate) rights: &'static [Right],
    /// Its exit codes, and what each means.
    pub(crate) exits: &'static [(u8, &'static str)],
    /// Lines that show how it is used, without the program.
    pub(crate) examples: &'static [&'static str],
}

/// What a task asks a run for.
pub(crate) type ToGoal = for<'m> fn(&Options, &'m [Migration]) -> Result<Goal<'m>, Error>;

/// A value that is given by name: `to=0012`.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// What stands for the value in help: `MIGRATION`.
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: ValueKind,
}

/// What a value that is given by name has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// The subtask checks it.
    Text,
    /// A migration, or a number that migrations have.
    Place,
    /// A migration or a number, or `0` for before the first.
    PlaceOrStart,
}

/// The headings under which `help` lists the subtasks, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Run,
    Look,
    Registry,
    Dumps,
    Develop,
    /// The team's own.
    Own,
}

impl Group {
    pub(crate) const ALL: [Self; 6] = [Self::Run, Self::Look, Self::Registry, Self::Dumps, Self::Develop, Self::Own];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Run => "Run migrations",
            Self::Look => "Look",
            Self::Registry => "Correct the registry and the lock",
            Self::Dumps => "Dump and restore",
            Self::Develop => "Develop",
            Self::Own => "Your own",
        }
    }
}

/// What a subtask's first plain value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// Any value, if given.
    Anything,
    /// It takes no plain value.
    Nothing,
    /// A migration, if given.
    Migration,
    /// A migration, if given. Its file may be gone.
    MigrationWithoutFile,
    /// A migration, which must be given.
    NeedsMigration,
    /// A migration, which must be given unless one of the named values is.
    MigrationOrNamed,
    /// A migration, which must be given, and whose file is gone.
    NeedsMigrationWithoutFile,
    /// A migration, or a number that migrations have, which must be given. If `or_start`, it may be `0` for before the first.
    NeedsPlace { or_start: bool },
    /// A dump, which must be given.
    NeedsDump,
    /// A subtask or environment, if given.
    Subtask,
    /// A task with its options, if given.
    Task,
    /// One of these words, if given.
    OneOf(&'static [&'static str]),
    /// One of these words, which must be given.
    NeedsOneOf(&'static [&'static str]),
}

impl First {
    /// Whether it is the name of a migration that has a file.
    pub(crate) fn is_file(self) -> bool {
        matches!(self, Self::Migration | Self::NeedsMigration | Self::MigrationOrNamed)
    }
}

/// What a subtask needs, and so on what it runs if an environment has several databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Neither a server nor a configuration.
    Nothing,
    /// The configuration: it runs once, whatever databases there are.
    Configuration,
    /// A database: it runs on each of several.
    Database,
}

/// When a subtask asks a person before it does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Never: it changes nothing in the database, and removes nothing.
    Never,
    /// It asks, and shows its plan. If the plan rolls anything back, the name of an environment that asks has to be typed.
    WithPlan(When),
    /// It always asks.
    Always(Answer),
    /// It is asked about before it starts, if the environment asks. A built-in that removes dumps does this, and a team's own
    /// subtask, about which nothing is known.
    IfEnvironmentDoes,
}

impl Asks {
    /// Whether a plan needs a question, whatever the environment.
    pub(crate) fn always_for(self, plan: &Plan<'_>) -> bool {
        match self {
            Self::WithPlan(When::Always) => true,
            Self::WithPlan(When::IfUndone) => plan.undoes(),
            _ => false,
        }
    }
}

/// When a subtask that has a plan asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    IfEnvironmentDoes,
    /// Also elsewhere, if its plan rolls anything back.
    IfUndone,
    Always,
}

/// What a person has to type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    /// The environment's name, if it is one that asks.
    Name,
}

/// No further check: for [`Declaration::check`].
pub(crate) fn any_values(_: &Options) -> Result<(), Error> {
    Ok(())
}
