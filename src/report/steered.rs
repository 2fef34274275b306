//! What came of steering a backfill.

use serde_json::{Value, json};

use super::{Report, Said};
use crate::model::EventName;
use crate::store::{Steer, StoredBackfill};

/// A backfill was steered, and this is its answer.
pub(crate) struct Steered<'a> {
    pub(crate) database: &'a str,
    pub(crate) backfill: &'a StoredBackfill,
    pub(crate) steer: Steer,
    pub(crate) answer: Answer,
}

/// What the processes that work on a backfill have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// All of them know it.
    Done,
    /// There is none. The next run of the migration will know it.
    NotRunning,
    /// The backfill came to its end in the meantime.
    Ended,
    /// Not all of them have answered in time.
    Missing,
}

impl Answer {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotRunning => "not_running",
            Self::Ended => "ended",
            Self::Missing => "missing",
        }
    }
}

impl Report for Steered<'_> {
    fn json(&self) -> Value {
        let (what, throttle) = match self.steer {
            Steer::Pause => ("pause", None),
            Steer::Resume => ("resume", None),
            Steer::Throttle(limit) => ("throttle", limit),
        };
        let StoredBackfill { migration, direction, label, collection, .. } = self.backfill;
        json!({
            "database": self.database, "migration": migration, "direction": direction, "label": label,
            "collection": collection, "steered": what, "throttle": throttle, "answer": self.answer.as_str(),
        })
    }

    fn event(&self) -> Option<EventName> {
        Some(EventName::BackfillSteered)
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        let what = format!("{} of {}", self.backfill.called(), self.backfill.migration);
        if self.answer == Answer::Ended {
            say(Said::Status { verb: "Done", message: &format!("{what}: it came to its end in the meantime") });
            return;
        }
        if self.answer == Answer::Missing {
            let message = format!("{what} has not answered yet: its processes learn it as soon as they reach the server");
            // The error that follows has the hint.
            say(Said::Warning { message: &message, hint: None });
            return;
        }
        let later = self.answer == Answer::NotRunning;
        let (verb, message) = match self.steer {
            Steer::Pause if later => {
                ("Paused", format!("{what}: it is not running, and its next run waits until it is resumed"))
            }
            Steer::Pause => ("Paused", what),
            Steer::Resume if later => ("Resumed", format!("{what}: it is not running, and the next run goes on with it")),
            Steer::Resume => ("Resumed", what),
            Steer::Throttle(limit) => {
                let limit =
                    limit.map_or_else(|| "without a limit".to_owned(), |limit| format!("at most {limit} documents/s"));
                let later = if later { ", from its next run on" } else { "" };
                ("Throttled", format!("{what}: {limit}{later}"))
            }
        };
        say(Said::Status { verb, message: &message });
    }
}
