//! One step of a plan.

use std::fmt;

use mongodb::bson::Document;

use crate::migration::{Action, Migration};
use crate::model::{Direction, State};

/// One migration, and what is to be done with it.
#[derive(Clone, Debug)]
pub(crate) struct Step<'m> {
    pub(crate) migration: &'m Migration,
    pub(crate) direction: Direction,
    /// Its state when the plan was made.
    pub(crate) before: State,
    /// A filter for each of its documents in the registry. Each matches the document as long as no other run has written it.
    pub(crate) registered: Vec<Document>,
}

impl Step<'_> {
    /// The code to run, if there is any.
    pub(crate) fn action(&self) -> Option<&Action> {
        match self.direction {
            Direction::Up => Some(self.migration.up()),
            Direction::Down => self.migration.down(),
            Direction::Ignore => None,
        }
    }

    pub(crate) fn is_transactional(&self) -> bool {
        self.action().is_some_and(Action::is_transactional)
    }
}

/// `execute 0002_slugs  Give every note a slug.`
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.direction {
            Direction::Up => "execute",
            Direction::Down => "roll back",
            Direction::Ignore => "ignore",
        };
        write!(f, "{what} {}", self.migration.stem())?;
        self.migration.description().map_or(Ok(()), |description| write!(f, "  {description}"))
    }
}
