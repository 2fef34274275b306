//! Where a migration stands, from what the registry and the log know of it. Pure.

use std::collections::BTreeMap;

use crate::migration::Migration;
use crate::model::file_name::stem;
use crate::model::state::State;
use crate::store::{Attempt, Direction, Ended, Entry, View};

/// A migration file, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing<'m, 'v> {
    pub(crate) migration: &'m Migration,
    pub(crate) state: State,
    /// The registry's documents of it; of several (migopy left such), the one that knows most is the first.
    pub(crate) entries: Vec<&'v Entry>,
    /// The last that the log knows.
    pub(crate) attempt: Option<&'v Attempt>,
    /// It was interrupted, and may have left things half done: a person has to say what is to become of it.
    pub(crate) needs_decision: bool,
    /// Somebody is at it now.
    pub(crate) is_under_way: bool,
}

impl<'v> Standing<'_, 'v> {
    pub(crate) fn entry(&self) -> Option<&'v Entry> {
        self.entries.first().copied()
    }

    /// The state that counts when something new is begun: what a killed transaction was to do has not happened.
    pub(crate) fn effective(&self) -> State {
        match self.state {
            State::Interrupted if !self.needs_decision => registered(self.entry()),
            state => state,
        }
    }

    /// Whether it was executed with other code than the file has now.
    pub(crate) fn is_changed(&self) -> bool {
        self.entry().is_some_and(|entry| {
            !entry.ignored && entry.checksum.as_deref().is_some_and(|checksum| checksum != self.migration.checksum())
        })
    }
}

/// Every migration, as far as it is known.
#[derive(Clone, Debug)]
pub(crate) struct Known<'m, 'v> {
    /// The files, in their order.
    pub(crate) standings: Vec<Standing<'m, 'v>>,
    /// What the registry has beside them.
    pub(crate) beside: Vec<&'v Entry>,
    /// What was interrupted, and may be half done, and has no file any more.
    pub(crate) lost: Vec<&'v Attempt>,
}

/// Brings together what is on file, in the registry, and in the log.
pub(crate) fn all<'m, 'v>(migrations: &'m [Migration], view: &'v View) -> Known<'m, 'v> {
    let mut entries = by_stem(&view.entries);
    let mut attempts: BTreeMap<&str, &Attempt> = BTreeMap::new();
    for attempt in &view.attempts {
        let last = attempts.entry(stem(&attempt.name)).or_insert(attempt);
        if attempt.fence > last.fence {
            *last = attempt;
        }
    }
    let standings: Vec<_> = migrations
        .iter()
        .map(|migration| {
            let entries = entries.remove(migration.stem()).unwrap_or_default();
            let attempt = attempts.remove(migration.stem());
            let is_under_way = attempt.is_some_and(|attempt| attempt.ended.is_none() && view.is_under_way(attempt));
            let entry = entries.first().copied();
            let (state, needs_decision) = if is_under_way { (registered(entry), false) } else { state(entry, attempt) };
            Standing { migration, state, entries, attempt, needs_decision, is_under_way }
        })
        .collect();
    let lost = attempts.into_iter().filter(|(stem, attempt)| {
        let entry = entries.get(stem).and_then(|entries| entries.first().copied());
        let is_under_way = attempt.ended.is_none() && view.is_under_way(attempt);
        !is_under_way && state(entry, Some(attempt)).1
    });
    let lost = lost.map(|(_, attempt)| attempt).collect();
    let beside = entries.into_values().filter_map(|entries| entries.first().copied()).collect();
    Known { standings, beside, lost }
}

/// The attempts that may count later, whatever becomes of the registry; without the others all is told as it is with them.
pub(crate) fn open(view: &View) -> Vec<&Attempt> {
    let entries = by_stem(&view.entries);
    let entry = |attempt: &Attempt| entries.get(stem(&attempt.name)).and_then(|entries| entries.first().copied());
    view.attempts.iter().filter(|attempt| is_open(entry(attempt), attempt)).collect()
}

/// The registry's documents of each migration; the one that knows most comes first.
fn by_stem(entries: &[Entry]) -> BTreeMap<&str, Vec<&Entry>> {
    let mut by_stem: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let same = by_stem.entry(stem(&entry.name)).or_default();
        let at = if entry.registered_at.is_some() { 0 } else { same.len() };
        same.insert(at, entry);
    }
    by_stem
}

fn is_open(entry: Option<&Entry>, attempt: &Attempt) -> bool {
    let changed_nothing = attempt.was_registered || attempt.ended == Some(Ended::Aborted);
    !changed_nothing || state(entry, Some(attempt)) != (registered(entry), false)
}

/// What the registry says by itself.
fn registered(entry: Option<&Entry>) -> State {
    match entry {
        Some(entry) if entry.ignored => State::Ignored,
        Some(_) => State::Registered,
        None => State::Unregistered,
    }
}

/// The state, and whether a person has to decide. The registry wins wherever it tells.
fn state(entry: Option<&Entry>, attempt: Option<&Attempt>) -> (State, bool) {
    let base = registered(entry);
    let Some(attempt) = attempt else { return (base, false) };
    if matches!(attempt.ended, Some(Ended::Done | Ended::Restored)) || is_settled(entry, attempt) {
        return (base, false);
    }
    // Nothing of this attempt took effect, or all that it did is told by the state before.
    let as_before = if attempt.before == State::Interrupted { (State::Interrupted, true) } else { (base, false) };
    let failed_before = (attempt.before == State::Failed && entry.is_none()).then_some((State::Failed, false));
    match (attempt.ended, attempt.direction) {
        (_, Direction::Ignore) | (Some(Ended::Aborted), _) => failed_before.unwrap_or(as_before),
        // What a killed transaction was to undo is still there.
        (None, Direction::Down) if attempt.is_transactional => failed_before.unwrap_or(as_before),
        (None, _) if attempt.is_transactional => (State::Interrupted, attempt.before == State::Interrupted),
        (None, _) => (State::Interrupted, true),
        (Some(_), _) if attempt.is_transactional && as_before.1 => as_before,
        // An `up` that was to take the place of an interrupted `down`, and failed, has not put it right.
        (Some(_), Direction::Up) if entry.is_some() => as_before,
        (Some(_), _) if entry.is_none() => (State::Failed, false),
        (Some(_), _) => as_before,
    }
}

/// Whether the registry changed since the attempt began, by its own last step or by somebody else: what became of it is known.
fn is_settled(entry: Option<&Entry>, attempt: &Attempt) -> bool {
    match (attempt.was_registered, entry) {
        (false, Some(_)) | (true, None) => true,
        (true, Some(entry)) => entry.run.as_deref() == Some(attempt.run.as_str()),
        (false, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Down, Ignore, Up};
    use Ended::{Aborted, Done, Failed};

    fn attempt(direction: Direction, ended: Option<Ended>, was_registered: bool, before: State) -> Attempt {
        Attempt {
            name: "1_a.rs".into(),
            run: "this".into(),
            fence: 3,
            direction,
            is_transactional: false,
            was_registered,
            before,
            ended,
            at: None,
            who: "deploy".into(),
            place: "web-2".into(),
            error: None,
        }
    }

    fn entry(run: Option<&str>) -> Entry {
        Entry { name: "1_a.rs".into(), run: run.map(str::to_owned), ..Entry::default() }
    }

    #[test]
    fn what_began_and_did_not_end_is_interrupted() {
        let up = attempt(Up, None, false, State::Unregistered);
        assert_eq!(state(None, Some(&up)), (State::Interrupted, true));
        let down = attempt(Down, None, true, State::Registered);
        assert_eq!(state(Some(&entry(Some("other"))), Some(&down)), (State::Interrupted, true));
        assert_eq!(state(Some(&entry(None)), Some(&down)), (State::Interrupted, true), "one of migopy's");
        let of_failed = attempt(Down, None, false, State::Failed);
        assert_eq!(state(None, Some(&of_failed)), (State::Interrupted, true));
    }

    #[test]
    fn the_registry_wins_where_the_end_is_missing_in_the_log() {
        let up = attempt(Up, None, false, State::Unregistered);
        assert_eq!(state(Some(&entry(Some("this"))), Some(&up)), (State::Registered, false));
        assert_eq!(state(Some(&entry(None)), Some(&up)), (State::Registered, false), "a person registered it with migopy");
        let down = attempt(Down, None, true, State::Registered);
        assert_eq!(state(None, Some(&down)), (State::Unregistered, false));
        let again = attempt(Up, None, true, State::Interrupted);
        assert_eq!(state(Some(&entry(Some("this"))), Some(&again)), (State::Registered, false));
        assert_eq!(state(Some(&entry(Some("other"))), Some(&again)), (State::Interrupted, true));
    }

    #[test]
    fn ended_in_the_log_without_a_document_is_unregistered() {
        assert_eq!(state(None, Some(&attempt(Up, Some(Done), false, State::Unregistered))), (State::Unregistered, false));
        assert_eq!(state(None, Some(&attempt(Down, Some(Done), true, State::Registered))), (State::Unregistered, false));
    }

    #[test]
    fn failures() {
        assert_eq!(state(None, Some(&attempt(Up, Some(Failed), false, State::Unregistered))), (State::Failed, false));
        assert_eq!(state(None, Some(&attempt(Up, Some(Failed), false, State::Interrupted))), (State::Failed, false));
        let down = attempt(Down, Some(Failed), true, State::Registered);
        assert_eq!(state(Some(&entry(Some("other"))), Some(&down)), (State::Registered, false));
        assert_eq!(state(None, Some(&attempt(Down, Some(Failed), false, State::Failed))), (State::Failed, false));
        let again = attempt(Up, Some(Failed), true, State::Interrupted);
        assert_eq!(state(Some(&entry(Some("other"))), Some(&again)), (State::Interrupted, true));
    }

    #[test]
    fn a_transaction_that_did_not_end_leaves_things_as_they_were() {
        let mut up = Attempt { is_transactional: true, ..attempt(Up, None, false, State::Unregistered) };
        assert_eq!(state(None, Some(&up)), (State::Interrupted, false), "nothing to decide: it may run again");
        up.before = State::Interrupted;
        assert_eq!(state(None, Some(&up)), (State::Interrupted, true), "what was half done before still is");
        up.ended = Some(Failed);
        assert_eq!(state(None, Some(&up)), (State::Interrupted, true));
        up.before = State::Unregistered;
        assert_eq!(state(None, Some(&up)), (State::Failed, false));
        up.ended = Some(Aborted);
        assert_eq!(state(None, Some(&up)), (State::Unregistered, false));
        up.before = State::Failed;
        assert_eq!(state(None, Some(&up)), (State::Failed, false));
        let down = Attempt { is_transactional: true, ..attempt(Down, None, true, State::Registered) };
        assert_eq!(state(Some(&entry(Some("other"))), Some(&down)), (State::Registered, false));
    }

    #[test]
    fn what_is_open_still_counts_when_the_registry_changes() {
        let failed = attempt(Up, Some(Failed), false, State::Unregistered);
        assert!(is_open(None, &failed));
        assert!(is_open(Some(&entry(None)), &failed), "registered by hand: it failed, once that is undone");
        assert!(is_open(None, &attempt(Up, None, false, State::Unregistered)));
        assert!(is_open(Some(&entry(Some("other"))), &attempt(Down, None, true, State::Registered)));
        assert!(is_open(None, &attempt(Up, Some(Aborted), false, State::Interrupted)));
        // The rest says nothing that the registry does not say, then as now.
        let registered = entry(Some("other"));
        let killed = Attempt { is_transactional: true, ..attempt(Down, None, true, State::Registered) };
        for (entry, attempt) in [
            (Some(&registered), attempt(Down, Some(Failed), true, State::Registered)),
            (Some(&registered), killed),
            (None, attempt(Up, Some(Aborted), false, State::Unregistered)),
        ] {
            assert!(!is_open(entry, &attempt), "{attempt:?}");
            for later in [None, Some(&registered)] {
                assert_eq!(state(later, Some(&attempt)), state(later, None), "{attempt:?}, {later:?}");
            }
        }
    }

    #[test]
    fn an_ignore_that_did_not_come_to_its_end_changes_nothing() {
        for (before, expected) in [
            (State::Unregistered, (State::Unregistered, false)),
            (State::Failed, (State::Failed, false)),
            (State::Interrupted, (State::Interrupted, true)),
        ] {
            assert_eq!(state(None, Some(&attempt(Ignore, None, false, before))), expected);
        }
        let kept = attempt(Ignore, Some(Done), true, State::Interrupted);
        assert_eq!(state(Some(&entry(Some("other"))), Some(&kept)), (State::Registered, false));
    }
}
