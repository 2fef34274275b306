//! What is known about a subtask before it runs.

use crate::context::Options;
use crate::error::Error;
use crate::line::flags::TaskFlag;
use crate::model::Direction;

/// All that a built-in subtask declares. There are no defaults: each answers every question.
pub(crate) struct Declaration {
    /// The word on the line.
    pub(crate) name: &'static str,
    /// What `help` shows: the list has the first paragraph, `help:NAME` all of it.
    pub(crate) help: &'static str,
    /// What its first plain value is.
    pub(crate) first: First,
    /// Further values, by name. Plain values after the first fill them in order.
    pub(crate) options: &'static [&'static str],
    /// Checks the values before the first task of the line starts.
    pub(crate) check: fn(&Options) -> Result<(), Error>,
    /// What it needs.
    pub(crate) reach: fn(&Options) -> Reach,
    /// When it asks a person.
    pub(crate) asks: fn(&Options) -> Asks,
    /// Whether it needs every migration file to be valid.
    pub(crate) needs_files: bool,
    /// The flags that go with it.
    pub(crate) flags: &'static [TaskFlag],
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
    /// A migration, which must be given, and whose file is gone.
    NeedsMigrationWithoutFile,
    /// A dump, which must be given.
    NeedsDump,
    /// A subtask or environment, if given.
    Subtask,
    /// One of these words, if given.
    OneOf(&'static [&'static str]),
    /// One of these words, which must be given.
    NeedsOneOf(&'static [&'static str]),
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
    /// It asks if the environment does, and shows its plan. The environment's name has to be typed for a rollback.
    WithPlan(Direction),
    /// It always asks, and shows its plan.
    AlwaysWithPlan(Direction),
    /// It always asks.
    Always(Answer),
    /// It is asked about before it starts, if the environment asks. A built-in that removes dumps does this, and a team's own
    /// subtask, about which nothing is known.
    IfEnvironmentDoes,
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
