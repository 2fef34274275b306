//! One step of a plan.

use std::fmt;

use mongodb::bson::Document;

use crate::migration::{Action, Migration};
use crate::model::{Direction, State, Subject, file_name};
use crate::store::Adopted;

/// One migration, and what is to be done with it.
#[derive(Clone, Debug)]
pub(crate) struct Step<'m> {
    pub(crate) migration: Of<'m>,
    pub(crate) direction: Direction,
    /// Its state when the plan was made.
    pub(crate) before: State,
    /// Whether it was its `up` that was interrupted before.
    pub(crate) was_in_up: bool,
    /// What to say when it begins, if it was interrupted and runs again because its file says that this is safe.
    pub(crate) runs_again: Option<String>,
    /// An attempt did not come to its end, and may have left what is stored about backfills.
    pub(crate) may_have_marks: bool,
    /// A filter for each of its documents in the registry. Each matches the document as long as no other run has written it.
    pub(crate) registered: Vec<Document>,
    /// The name under which it is registered, if it gets a new one.
    pub(crate) registered_as: Option<String>,
    /// What another tool's records say of it, if it is adopted.
    pub(crate) adopted: Option<Adopted>,
    /// The task that does this step and those after it if the run ends before. `None`: a plain `execute`, a rollback of this migration,
    /// or the same task.
    pub(crate) again: Option<String>,
    pub(crate) look: Look,
}

/// What a person who looks at a plan is shown of a migration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Its state before the step.
    pub(crate) state: State,
    /// Its file was edited after it was registered.
    pub(crate) is_changed: bool,
    /// It is run although one with a higher number is registered.
    pub(crate) is_out_of_order: bool,
}

impl Look {
    /// Nothing but the state.
    pub(super) fn of(state: State) -> Self {
        Self { state, is_changed: false, is_out_of_order: false }
    }
}

/// The migration that a step is about.
#[derive(Clone, Debug)]
pub(crate) enum Of<'m> {
    File(&'m Migration),
    /// Its file is gone.
    Gone(Gone),
}

/// A migration whose file is gone, as the registry or the log names it.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) name: String,
    pub(crate) number: String,
    /// Empty if it is not known.
    pub(crate) checksum: String,
}

impl Of<'_> {
    pub(crate) fn subject(&self) -> Subject<'_> {
        match self {
            Self::File(migration) => migration.subject(),
            Self::Gone(Gone { name, number, checksum }) => Subject { name, number, checksum, package: None },
        }
    }

    /// The file's name: `0002_slugs.rs`.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::File(migration) => migration.name(),
            Self::Gone(gone) => &gone.name,
        }
    }

    pub(crate) fn stem(&self) -> &str {
        file_name::stem(self.name())
    }

    pub(crate) fn file(&self) -> Option<&Migration> {
        match self {
            Self::File(migration) => Some(migration),
            Self::Gone(_) => None,
        }
    }
}

impl Step<'_> {
    /// The code to run, if there is any.
    pub(crate) fn action(&self) -> Option<&Action> {
        let migration = self.migration.file()?;
        match self.direction {
            Direction::Up => Some(migration.up()),
            Direction::Down => migration.down(),
            Direction::Ignore | Direction::Accept | Direction::Adopt | Direction::Forget => None,
        }
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.action().is_some_and(Action::is_transactional)
    }

    /// Whether it takes the migration out of the registry.
    pub(crate) fn is_removal(&self) -> bool {
        matches!(self.direction, Direction::Down | Direction::Forget)
    }

    /// Whether it does the same with the same migration.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let what = |step: &Self| (step.migration.name().to_owned(), step.direction, step.registered_as.clone());
        what(self) == what(other)
    }
}

/// `execute 0002_slugs  Give every note a slug.`
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.direction {
            Direction::Up => "execute",
            Direction::Down => "roll back",
            Direction::Ignore => "ignore",
            Direction::Accept => "accept",
            Direction::Adopt => "adopt",
            Direction::Forget => "forget",
        };
        write!(f, "{what} {}", self.migration.stem())?;
        match (self.direction, &self.registered_as) {
            (_, Some(name)) => write!(f, ", registered as {}", file_name::stem(name))?,
            (Direction::Adopt, None) => {
                let theirs = self.adopted.as_ref().map(|adopted| adopted.name.as_str()).unwrap_or_default();
                write!(f, ", {theirs} there")?;
            }
            (Direction::Accept, None) => f.write_str(", edited after it ran")?,
            _ => {}
        }
        let description = self.migration.file().and_then(Migration::description);
        description.map_or(Ok(()), |description| write!(f, "  {description}"))
    }
}
