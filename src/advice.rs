//! What to tell people of migrations, and restores, that were left in the middle. Pure.

use crate::file_name;
use crate::standing::Standing;
use crate::store::{Attempt, Direction, Restore};

/// What to say of an interrupted migration.
pub(crate) fn decision_needed(standing: &Standing<'_, '_>) -> Option<String> {
    let name = standing.migration.stem();
    let attempt = standing.attempt?;
    // What came after it left it as it was, and is not what is meant here.
    let is_it = attempt.ended.is_none() && attempt.direction != Direction::Ignore && !attempt.is_transactional;
    let interrupted = if is_it { interrupted(attempt) } else { format!("`cargo migrations history:{name}` tells when") };
    Some(format!(
        "{name} was interrupted ({interrupted}), and how much of it was done is not known; look at the data, then run \
         `cargo migrations execute:{name}` to run it again, `ignore:{name}` to take it for done, or `rollback:{name}` to undo it"
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
