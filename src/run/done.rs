//! What a run has done, also if it ended early.

use std::error::Error as StdError;

use crate::error::Error;
use crate::model::Direction;
use crate::report::Tally;

type BoxError = Box<dyn StdError + Send + Sync>;

/// The steps that a run has done, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) steps: Vec<(Direction, String)>,
}

impl Done {
    /// The stems of the migrations that were executed.
    pub(crate) fn executed(self) -> Vec<String> {
        self.steps.into_iter().filter(|(direction, _)| *direction == Direction::Up).map(|(_, stem)| stem).collect()
    }

    pub(super) fn tally(&self) -> Tally {
        self.steps.iter().map(|(direction, _)| *direction).collect()
    }
}

/// Why a run ended early, and what it had done until then.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) done: Done,
    pub(crate) error: BoxError,
}

impl From<BoxError> for Failed {
    fn from(error: BoxError) -> Self {
        Self { done: Done::default(), error }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        BoxError::from(error).into()
    }
}

impl From<Failed> for BoxError {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}
