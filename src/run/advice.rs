//! What to tell people of migrations, and restores, that were left in the middle. Pure.

use mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT;

use crate::error::Error;
use crate::error::chain::has_label;
use crate::model::file_name;
use crate::model::state::State;
use crate::run::plan::Step;
use crate::run::standing::Standing;
use crate::store::{Attempt, Direction, Restore};

/// What to say of an interrupted migration.
pub(crate) fn decision_needed(standing: &Standing<'_, '_>) -> Option<String> {
    let name = standing.migration.stem();
    let attempt = standing.attempt?;
    // What came after it left it as it was, and is not what is meant here.
    let is_it = attempt.ended.is_none() && attempt.direction != Direction::Ignore && !attempt.is_transactional;
    let interrupted = if is_it { interrupted(attempt) } else { format!("`cargo migrations history:{name}` tells when") };
    let undo = if standing.migration.has_down() {
        format!("`ignore:{name}` to take it for done, or `rollback:{name}` to undo it")
    } else {
        format!("or `ignore:{name}` to take it for done (it has no `down` to undo it with)")
    };
    Some(format!(
        "{name} was interrupted ({interrupted}), and how much of it was done is not known; look at the data, then run \
         `cargo migrations execute:{name}` to run it again, {undo}"
    ))
}

/// What to say of an interrupted migration whose file is gone.
pub(crate) fn file_gone(attempt: &Attempt) -> String {
    let name = file_name::stem(&attempt.name);
    format!(
        "{name} was interrupted ({}), and its file is not here; bring the file back, then decide what is to become of it with \
         `execute:{name}`, `ignore:{name}` or `rollback:{name}`",
        interrupted(attempt)
    )
}

/// What to say of a restore that was cut off.
pub(crate) fn cut_off(restore: &Restore) -> String {
    format!(
        "a restore of {dump} was cut off (by {who}@{place}), so the database holds a part of it; run \
         `cargo migrations restore:{dump}` again, or restore another dump",
        dump = restore.dump,
        who = restore.who,
        place = restore.place
    )
}

/// `up, by deploy@web-2, 2026-02-03T04:05:06Z`
pub(crate) fn interrupted(attempt: &Attempt) -> String {
    let what = match attempt.direction {
        Direction::Up | Direction::Ignore => "up",
        Direction::Down => "down",
    };
    let at = attempt.at.and_then(|at| at.try_to_rfc3339_string().ok()).unwrap_or_default();
    format!("{what}, by {}@{}, {at}", attempt.who, attempt.place)
}

/// Why a step failed, and what to do next.
pub(crate) fn failed(step: &Step<'_>, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let name = step.migration.stem();
    let message = if has_label(&*error, UNKNOWN_TRANSACTION_COMMIT_RESULT) {
        format!(
            "the server did not tell whether the transaction of {name} was committed; `cargo migrations` shows whether it is \
             registered, and what it did is there if it is"
        )
    } else {
        let nothing = if step.is_transactional() { "; it is transactional: nothing of it took effect" } else { "" };
        match step.direction {
            // It was interrupted before, and what that left is still there.
            Direction::Up if step.before == State::Interrupted => {
                format!("the migration {name} failed{nothing}; mend it and run `cargo migrations execute:{name}` again")
            }
            Direction::Up => format!(
                "the migration {name} failed, and is not registered{nothing}; mend it and run `cargo migrations execute` again"
            ),
            _ if step.registered.is_empty() => {
                format!("the rollback of {name} failed{nothing}; mend its `down` and try again")
            }
            _ => {
                format!("the rollback of {name} failed, and it is still registered{nothing}; mend its `down` and try again")
            }
        }
    };
    Error::failed(message).caused_by(error)
}

/// What is known of a step that came to its end and could not be registered.
pub(crate) fn not_registered(step: &Step<'_>, error: mongodb::error::Error) -> Error {
    let name = step.migration.stem();
    let message = match (step.direction, step.before) {
        (Direction::Up, _) => format!(
            "the migration {name} ran to its end, but it is not known to be registered; where `cargo migrations` shows it as \
             interrupted, `cargo migrations ignore:{name}` registers it without running it again"
        ),
        (Direction::Down, State::Registered | State::Ignored) => format!(
            "{name} was rolled back, but it is not known to be unregistered; where `cargo migrations` shows it as interrupted, \
             roll it back again, if its `down` may run twice"
        ),
        (Direction::Down, _) => format!("{name} was rolled back, but that could not be noted in the log"),
        (Direction::Ignore, _) => format!("the migration {name} could not be registered"),
    };
    Error::failed(message).caused_by(error)
}
