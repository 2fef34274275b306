//! Where each migration stands, by what the registry and the log know. Pure: nothing here talks to a server.

use std::collections::BTreeMap;

use crate::migration::{Migration, Rerun};
use crate::model::file_name::stem;
use crate::model::{Direction, State};
use crate::store::{Attempt, Ended, Entry, View};

/// A migration file, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Standing<'m, 'v> {
    pub(crate) migration: &'m Migration,
    pub(crate) state: State,
    /// Its documents in the registry. migopy may have left several; the one with the most information comes first.
    pub(crate) entries: Vec<&'v Entry>,
    /// The last attempt in the log that did not succeed.
    pub(crate) attempt: Option<&'v Attempt>,
    /// It was interrupted and may be half done.
    pub(crate) is_half_done: bool,
    /// It is half done, it was its `up` that was interrupted, and nothing that may have had an effect ran since.
    pub(crate) was_in_up: bool,
    /// A run is working on it now.
    pub(crate) is_under_way: bool,
}

impl<'v> Standing<'_, 'v> {
    pub(crate) fn entry(&self) -> Option<&'v Entry> {
        self.entries.first().copied()
    }

    /// Whether a person has to decide how to go on.
    pub(crate) fn needs_decision(&self) -> bool {
        self.is_half_done && !self.runs_again()
    }

    /// Whether it is half done, and its file says that its `up` may run again from its beginning.
    pub(crate) fn runs_again(&self) -> bool {
        self.was_in_up && self.migration.rerun() == Rerun::Safe
    }

    /// The state that counts for a new attempt: a transaction that was killed has had no effect.
    pub(crate) fn effective(&self) -> State {
        match self.state {
            State::Interrupted if !self.is_half_done => registered(self.entry()),
            state => state,
        }
    }

    /// The other program that registered a migration of this name with other code.
    pub(crate) fn other_program(&self) -> Option<&'v str> {
        let entry = self.entry().filter(|_| self.is_changed())?;
        different(self.migration.subject().package, entry)
    }

    /// Whether its file was edited after it was registered. A checksum that is empty is unknown: that of a migration made by hand.
    pub(crate) fn is_changed(&self) -> bool {
        let now = self.migration.checksum();
        self.entry()
            .filter(|entry| !entry.ignored)
            .and_then(|entry| entry.checksum.as_deref())
            .is_some_and(|registered| !registered.is_empty() && !now.is_empty() && !self.migration.has_checksum(registered))
    }
}

/// Every migration that the files, the registry or the log know.
#[derive(Clone, Debug)]
pub(crate) struct Known<'m, 'v> {
    /// The migrations that have a file, in their order.
    pub(crate) files: Vec<Standing<'m, 'v>>,
    /// Entries of the registry that have no file.
    pub(crate) missing: Vec<&'v Entry>,
    /// Attempts that were interrupted and may be half done, and whose file is gone.
    pub(crate) interrupted_without_file: Vec<&'v Attempt>,
}

impl<'v> Known<'_, 'v> {
    /// The other program that registered a migration without a file. `None` if it was this one, or if that is not known.
    pub(crate) fn other_program(&self, entry: &'v Entry) -> Option<&'v str> {
        let own = self.files.iter().find_map(|standing| standing.migration.subject().package);
        different(own, entry)
    }
}

/// The package whose migration an entry is, if it is known to be another than our own.
fn different<'v>(own: Option<&str>, entry: &'v Entry) -> Option<&'v str> {
    entry.package.as_deref().filter(|package| own.is_some_and(|own| own != *package))
}

/// A state, and what is known about how a migration that was interrupted was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Judged {
    state: State,
    is_half_done: bool,
    /// It was its `up` that left it so.
    was_in_up: bool,
}

impl Judged {
    /// The state is certain.
    fn clear(state: State) -> Self {
        Self { state, is_half_done: false, was_in_up: false }
    }

    /// It was interrupted, and may be half done.
    fn half_done(was_in_up: bool) -> Self {
        Self { state: State::Interrupted, is_half_done: true, was_in_up }
    }
}

/// Brings together the files, the registry and the log.
pub(crate) fn all<'m, 'v>(migrations: &'m [Migration], view: &'v View) -> Known<'m, 'v> {
    let mut entries = by_stem(&view.entries);
    let mut attempts: BTreeMap<&str, &Attempt> = BTreeMap::new();
    for attempt in &view.attempts {
        let last = attempts.entry(stem(&attempt.name)).or_insert(attempt);
        if attempt.fence > last.fence {
            *last = attempt;
        }
    }
    let files: Vec<_> = migrations
        .iter()
        .map(|migration| {
            let entries = entries.remove(migration.stem()).unwrap_or_default();
            let attempt = attempts.remove(migration.stem());
            let is_under_way = attempt.is_some_and(|attempt| attempt.ended.is_none() && view.is_under_way(attempt));
            let entry = entries.first().copied();
            let judged = if is_under_way { Judged::clear(registered(entry)) } else { judge(entry, attempt) };
            let Judged { state, is_half_done, was_in_up } = judged;
            Standing { migration, state, entries, attempt, is_half_done, was_in_up, is_under_way }
        })
        .collect();
    let without_file = attempts.into_iter().filter(|(stem, attempt)| {
        let entry = entries.get(stem).and_then(|entries| entries.first().copied());
        let is_under_way = attempt.ended.is_none() && view.is_under_way(attempt);
        !is_under_way && judge(entry, Some(attempt)).is_half_done
    });
    let interrupted_without_file = without_file.map(|(_, attempt)| attempt).collect();
    let missing = entries.into_values().filter_map(|entries| entries.first().copied()).collect();
    Known { files, missing, interrupted_without_file }
}

/// The attempts that may still matter once the registry changes. Without the others, every state is judged as with them.
pub(crate) fn open(view: &View) -> Vec<&Attempt> {
    let entries = by_stem(&view.entries);
    let entry = |attempt: &Attempt| entries.get(stem(&attempt.name)).and_then(|entries| entries.first().copied());
    view.attempts.iter().filter(|attempt| is_open(entry(attempt), attempt)).collect()
}

/// The registry's documents of each migration. The one with the most information comes first.
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
    !changed_nothing || judge(entry, Some(attempt)) != Judged::clear(registered(entry))
}

/// The state that the registry alone gives.
fn registered(entry: Option<&Entry>) -> State {
    match entry {
        Some(entry) if entry.ignored => State::Ignored,
        Some(_) => State::Registered,
        None => State::Unregistered,
    }
}

/// The state that the registry and the last attempt give together. The registry wins wherever it is clear.
fn judge(entry: Option<&Entry>, attempt: Option<&Attempt>) -> Judged {
    let base = Judged::clear(registered(entry));
    let Some(attempt) = attempt else { return base };
    if matches!(attempt.ended, Some(Ended::Done | Ended::Restored)) || is_settled(entry, attempt) {
        return base;
    }
    // The attempt had no effect, or the state before it says all that it did.
    let as_before = if attempt.before == State::Interrupted { Judged::half_done(attempt.was_in_up) } else { base };
    let failed = Judged::clear(State::Failed);
    let failed_before = (attempt.before == State::Failed && entry.is_none()).then_some(failed);
    match (attempt.ended, attempt.direction) {
        (Some(Ended::Aborted), _) => failed_before.unwrap_or(as_before),
        (_, direction) if !direction.runs_code() => failed_before.unwrap_or(as_before),
        // A transaction that was killed has undone nothing.
        (None, Direction::Down) if attempt.is_transactional => failed_before.unwrap_or(as_before),
        (None, _) if attempt.is_transactional => {
            if as_before.is_half_done {
                as_before
            } else {
                Judged::clear(State::Interrupted)
            }
        }
        // What is registered was left by an interrupted `down`, whatever its `up` did to that.
        (None, direction) => Judged::half_done(direction == Direction::Up && entry.is_none()),
        (Some(_), _) if attempt.is_transactional && as_before.is_half_done => as_before,
        // An `up` after an interrupted `down` that failed has repaired nothing.
        (Some(_), Direction::Up) if entry.is_some() => as_before,
        (Some(_), _) if entry.is_none() => failed,
        (Some(_), _) => as_before,
    }
}

/// Whether the registry has changed since the attempt began, so that its result is known: by the last step of the attempt
/// itself, or by another process.
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

    /// The expected judgement, as a pair.
    fn judged(state: State, is_half_done: bool) -> (State, bool) {
        (state, is_half_done)
    }

    fn judge(entry: Option<&Entry>, attempt: Option<&Attempt>) -> (State, bool) {
        let Judged { state, is_half_done, .. } = super::judge(entry, attempt);
        (state, is_half_done)
    }

    fn attempt(direction: Direction, ended: Option<Ended>, was_registered: bool, before: State) -> Attempt {
        Attempt {
            name: "1_a.rs".into(),
            run: "this".into(),
            fence: 3,
            direction,
            is_transactional: false,
            was_registered,
            before,
            was_in_up: false,
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
    fn only_a_known_checksum_that_differs_is_a_change() {
        let is_changed = |registered: Option<&str>, now: &str| {
            let entry = Entry { checksum: registered.map(str::to_owned), ..entry(None) };
            let migration = Migration::new("1_a.rs", async |_: &crate::Db| Ok::<_, crate::Error>(())).with_checksum(now);
            let view = View { entries: vec![entry], ..View::default() };
            all(std::slice::from_ref(&migration), &view).files[0].is_changed()
        };
        assert!(is_changed(Some("1"), "2"));
        for (registered, now) in [(Some("1"), "1"), (Some("1"), ""), (Some(""), "1"), (None, "1")] {
            assert!(!is_changed(registered, now), "{registered:?}, {now:?}");
        }
    }

    #[test]
    fn what_began_and_did_not_end_is_interrupted() {
        let up = attempt(Up, None, false, State::Unregistered);
        assert_eq!(judge(None, Some(&up)), judged(State::Interrupted, true));
        let down = attempt(Down, None, true, State::Registered);
        assert_eq!(judge(Some(&entry(Some("other"))), Some(&down)), judged(State::Interrupted, true));
        assert_eq!(judge(Some(&entry(None)), Some(&down)), judged(State::Interrupted, true), "one of migopy's");
        let of_failed = attempt(Down, None, false, State::Failed);
        assert_eq!(judge(None, Some(&of_failed)), judged(State::Interrupted, true));
    }

    #[test]
    fn the_registry_wins_where_the_end_is_missing_in_the_log() {
        let up = attempt(Up, None, false, State::Unregistered);
        assert_eq!(judge(Some(&entry(Some("this"))), Some(&up)), judged(State::Registered, false));
        assert_eq!(
            judge(Some(&entry(None)), Some(&up)),
            judged(State::Registered, false),
            "a person registered it with migopy"
        );
        let down = attempt(Down, None, true, State::Registered);
        assert_eq!(judge(None, Some(&down)), judged(State::Unregistered, false));
        let again = attempt(Up, None, true, State::Interrupted);
        assert_eq!(judge(Some(&entry(Some("this"))), Some(&again)), judged(State::Registered, false));
        assert_eq!(judge(Some(&entry(Some("other"))), Some(&again)), judged(State::Interrupted, true));
    }

    #[test]
    fn ended_in_the_log_without_a_document_is_unregistered() {
        assert_eq!(
            judge(None, Some(&attempt(Up, Some(Done), false, State::Unregistered))),
            judged(State::Unregistered, false)
        );
        assert_eq!(
            judge(None, Some(&attempt(Down, Some(Done), true, State::Registered))),
            judged(State::Unregistered, false)
        );
    }

    #[test]
    fn failures() {
        assert_eq!(judge(None, Some(&attempt(Up, Some(Failed), false, State::Unregistered))), judged(State::Failed, false));
        assert_eq!(judge(None, Some(&attempt(Up, Some(Failed), false, State::Interrupted))), judged(State::Failed, false));
        let down = attempt(Down, Some(Failed), true, State::Registered);
        assert_eq!(judge(Some(&entry(Some("other"))), Some(&down)), judged(State::Registered, false));
        assert_eq!(judge(None, Some(&attempt(Down, Some(Failed), false, State::Failed))), judged(State::Failed, false));
        let again = attempt(Up, Some(Failed), true, State::Interrupted);
        assert_eq!(judge(Some(&entry(Some("other"))), Some(&again)), judged(State::Interrupted, true));
    }

    #[test]
    fn a_transaction_that_did_not_end_leaves_things_as_they_were() {
        let mut up = Attempt { is_transactional: true, ..attempt(Up, None, false, State::Unregistered) };
        assert_eq!(judge(None, Some(&up)), judged(State::Interrupted, false), "nothing to decide: it may run again");
        up.before = State::Interrupted;
        assert_eq!(judge(None, Some(&up)), judged(State::Interrupted, true), "what was half done before still is");
        up.ended = Some(Failed);
        assert_eq!(judge(None, Some(&up)), judged(State::Interrupted, true));
        up.before = State::Unregistered;
        assert_eq!(judge(None, Some(&up)), judged(State::Failed, false));
        up.ended = Some(Aborted);
        assert_eq!(judge(None, Some(&up)), judged(State::Unregistered, false));
        up.before = State::Failed;
        assert_eq!(judge(None, Some(&up)), judged(State::Failed, false));
        let down = Attempt { is_transactional: true, ..attempt(Down, None, true, State::Registered) };
        assert_eq!(judge(Some(&entry(Some("other"))), Some(&down)), judged(State::Registered, false));
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
                assert_eq!(judge(later, Some(&attempt)), judge(later, None), "{attempt:?}, {later:?}");
            }
        }
    }

    /// Whether a migration whose file says that its `up` may run again is run again.
    fn runs_again(entry: Option<&Entry>, attempt: Attempt) -> bool {
        let migration = Migration::new("1_a.rs", async |_: &crate::Db| Ok::<_, crate::Error>(())).with_rerun(Rerun::Safe);
        let view = View { entries: entry.cloned().into_iter().collect(), attempts: vec![attempt], ..View::default() };
        let known = all(std::slice::from_ref(&migration), &view);
        let standing = &known.files[0];
        assert!(!standing.runs_again() || standing.effective() == State::Interrupted, "its effects are there");
        let unsure = migration.clone().with_rerun(Rerun::Unknown);
        let known_too = all(std::slice::from_ref(&unsure), &view);
        assert_eq!(known_too.files[0].needs_decision(), standing.needs_decision() || standing.runs_again());
        standing.runs_again()
    }

    #[test]
    fn an_up_that_was_interrupted_runs_again_if_its_file_says_that_this_is_safe() {
        assert!(runs_again(None, attempt(Up, None, false, State::Unregistered)));
        assert!(runs_again(None, attempt(Up, None, false, State::Failed)));
        assert!(runs_again(None, attempt(Up, None, false, State::Interrupted)), "a person had it run");
        // A later attempt that did nothing changes nothing.
        for (direction, ended) in [(Up, Some(Aborted)), (Down, Some(Aborted)), (Ignore, None)] {
            let later = Attempt { was_in_up: true, ..attempt(direction, ended, false, State::Interrupted) };
            assert!(runs_again(None, later), "{direction:?}");
            assert!(!runs_again(None, attempt(direction, ended, false, State::Interrupted)), "{direction:?}");
        }
        // What has become a transaction since, and was killed.
        let later = Attempt { is_transactional: true, was_in_up: true, ..attempt(Up, None, false, State::Interrupted) };
        assert!(runs_again(None, later));
    }

    #[test]
    fn an_interrupted_down_waits_for_a_person_whatever_the_file_says() {
        assert!(!runs_again(Some(&entry(None)), attempt(Down, None, true, State::Registered)));
        let of_interrupted = Attempt { was_in_up: true, ..attempt(Down, None, false, State::Interrupted) };
        assert!(!runs_again(None, of_interrupted), "the `down` of an interrupted `up`");
        let up_after = attempt(Up, None, true, State::Interrupted);
        assert!(!runs_again(Some(&entry(Some("other"))), up_after), "an `up` after an interrupted `down`");
    }

    #[test]
    fn an_ignore_that_did_not_come_to_its_end_changes_nothing() {
        for (before, expected) in [
            (State::Unregistered, judged(State::Unregistered, false)),
            (State::Failed, judged(State::Failed, false)),
            (State::Interrupted, judged(State::Interrupted, true)),
        ] {
            assert_eq!(judge(None, Some(&attempt(Ignore, None, false, before))), expected);
        }
        let kept = attempt(Ignore, Some(Done), true, State::Interrupted);
        assert_eq!(judge(Some(&entry(Some("other"))), Some(&kept)), judged(State::Registered, false));
    }
}
