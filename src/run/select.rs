//! Which migrations a goal is about, in which direction and in which order. Pure.

use super::request::{Back, Goal, Place};
use super::standing::{Known, Standing};
use crate::migration::Migration;
use crate::model::{Direction, file_name};
use crate::store::{Entry, View};

/// What a goal does, step by step.
#[derive(Debug, Default)]
pub(super) struct Selection<'k, 'm, 'v> {
    pub(super) steps: Vec<(Direction, &'k Standing<'m, 'v>)>,
    /// Registered migrations that would have to be rolled back, and have no file.
    pub(super) gone: Vec<&'v Entry>,
}

impl<'k, 'm, 'v> Selection<'k, 'm, 'v> {
    /// The migrations with which that is done.
    pub(super) fn of(&self, direction: Direction) -> Vec<&'k Standing<'m, 'v>> {
        self.steps.iter().filter(|(own, _)| *own == direction).map(|(_, standing)| *standing).collect()
    }

    fn one(known: &'k Known<'m, 'v>, migration: &Migration, directions: &[Direction]) -> Self {
        let standing = known.files.iter().find(|standing| std::ptr::eq(standing.migration, migration));
        let steps = standing.into_iter().flat_map(|standing| directions.iter().map(move |direction| (*direction, standing)));
        Self { steps: steps.collect(), gone: Vec::new() }
    }

    /// The unregistered migrations up to a place, in order.
    fn unregistered(known: &'k Known<'m, 'v>, direction: Direction, to: Option<&Place>) -> Self {
        let is_wanted = |standing: &&Standing<'_, '_>| {
            let Standing { migration, .. } = standing;
            standing.entry().is_none() && to.is_none_or(|place| place.covers(migration.number(), migration.stem()))
        };
        let steps = known.files.iter().filter(is_wanted).map(|standing| (direction, standing)).collect();
        Self { steps, gone: Vec::new() }
    }

    /// The registered migrations that `is_wanted`, the newest first.
    fn backwards(known: &'k Known<'m, 'v>, is_wanted: impl Fn(&str, &str) -> bool) -> Self {
        let is_step = |standing: &&Standing<'_, '_>| {
            is_registered(standing) && is_wanted(standing.migration.number(), standing.migration.stem())
        };
        let steps = known.files.iter().rev().filter(is_step).map(|standing| (Direction::Down, standing)).collect();
        let is_gone = |entry: &&&Entry| is_wanted(entry.number(), file_name::stem(&entry.name));
        Self { steps, gone: known.missing.iter().filter(is_gone).copied().collect() }
    }
}

/// The steps of a goal. Those of the registry's corrections are made elsewhere.
pub(super) fn select<'k, 'm, 'v>(goal: &Goal<'m>, known: &'k Known<'m, 'v>, view: &View) -> Selection<'k, 'm, 'v> {
    match goal {
        Goal::Execute(to) => Selection::unregistered(known, Direction::Up, to.as_ref()),
        Goal::Ignore => Selection::unregistered(known, Direction::Ignore, None),
        Goal::Baseline(to) => Selection::unregistered(known, Direction::Ignore, Some(to)),
        Goal::One(direction, migration) => Selection::one(known, migration, &[*direction]),
        Goal::Redo(migration) => Selection::one(known, migration, &[Direction::Down, Direction::Up]),
        Goal::RollBack(Back::To(place)) => Selection::backwards(known, |number, stem| !place.covers(number, stem)),
        Goal::RollBack(Back::Steps(count)) => {
            let highest = highest(known, *count);
            Selection::backwards(known, |_, stem| highest.contains(&stem))
        }
        Goal::RollBack(Back::LastRun) => {
            Selection::backwards(known, |_, stem| view.last_run.iter().any(|registered| registered == stem))
        }
        Goal::To(place) => {
            let mut selection = Selection::backwards(known, |number, stem| !place.covers(number, stem));
            selection.steps.extend(Selection::unregistered(known, Direction::Up, Some(place)).steps);
            selection
        }
        Goal::Forget(_) => Selection::default(),
    }
}

/// Whether it is registered, or may be by the time that the run that is working on it has ended.
fn is_registered(standing: &Standing<'_, '_>) -> bool {
    standing.entry().is_some() || standing.is_under_way
}

/// The stems of the registered migrations with the highest numbers.
fn highest<'a>(known: &'a Known<'_, '_>, count: usize) -> Vec<&'a str> {
    let files = known.files.iter().filter(|standing| is_registered(standing)).map(|standing| standing.migration);
    let files = files.map(|migration| (migration.number(), migration.stem()));
    let missing = known.missing.iter().map(|entry| (entry.number(), file_name::stem(&entry.name)));
    let mut registered: Vec<(&str, &str)> = files.chain(missing).collect();
    registered.sort_by(|a, b| file_name::compare(b.0, a.0).then_with(|| b.1.cmp(a.1)));
    registered.into_iter().take(count).map(|(_, stem)| stem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::State;
    use crate::run::plan::tests::{entry, migration, view};
    use crate::run::standing;
    use crate::store::Attempt;

    /// `down 3_c`, and `gone 4_x` for what has no file.
    fn selected(goal: &Goal<'_>, migrations: &[Migration], view: &View) -> Vec<String> {
        let known = standing::all(migrations, view);
        let selection = select(goal, &known, view);
        let steps = selection.steps.iter().map(|(direction, s)| format!("{} {}", direction.as_str(), s.migration.stem()));
        steps.chain(selection.gone.iter().map(|entry| format!("gone {}", file_name::stem(&entry.name)))).collect()
    }

    fn place(word: &str, migrations: &[Migration]) -> Place {
        Place::read_or_start(word, migrations).unwrap()
    }

    #[test]
    fn upwards_to_a_place() {
        let migrations = ["1_a", "2_b", "02_c", "3_d", "10_e"].map(migration);
        let view = view(&[entry("1_a.py"), entry("3_d.rs")]);
        let of = |goal| selected(&goal, &migrations, &view);
        assert_eq!(of(Goal::Execute(None)), ["up 2_b", "up 02_c", "up 10_e"]);
        assert_eq!(of(Goal::Execute(Some(place("3", &migrations)))), ["up 2_b", "up 02_c"]);
        assert_eq!(of(Goal::Execute(Some(place("02_c", &migrations)))), ["up 02_c"], "in order of name");
        assert!(of(Goal::Execute(Some(place("1", &migrations)))).is_empty());
        assert_eq!(of(Goal::Baseline(place("0002", &migrations))), ["ignore 2_b", "ignore 02_c"]);
        assert_eq!(of(Goal::Ignore).len(), 3);
    }

    #[test]
    fn backwards_the_newest_first() {
        let migrations = ["1_a", "2_b", "3_c", "10_d", "11_e"].map(migration);
        let ignored = Entry { ignored: true, ..entry("3_c.rs") };
        let view = view(&[entry("10_d.rs"), ignored, entry("1_a.py"), entry("1_a.rs"), entry("2_b.rs")]);
        let of = |goal| selected(&goal, &migrations, &view);
        let to = |word| Goal::RollBack(Back::To(place(word, &migrations)));
        assert_eq!(of(to("2")), ["down 10_d", "down 3_c"]);
        assert_eq!(of(to("0")), ["down 10_d", "down 3_c", "down 2_b", "down 1_a"]);
        assert!(of(to("11")).is_empty());
        assert_eq!(of(Goal::RollBack(Back::Steps(2))), ["down 10_d", "down 3_c"]);
        assert_eq!(of(Goal::RollBack(Back::Steps(99))).len(), 4);
        assert!(of(Goal::RollBack(Back::LastRun)).is_empty());
        let view = View { last_run: vec!["3_c".into(), "1_a".into(), "7_forgotten".into()], ..view.clone() };
        assert_eq!(selected(&Goal::RollBack(Back::LastRun), &migrations, &view), ["down 3_c", "down 1_a"]);
    }

    #[test]
    fn what_has_no_file_is_in_the_way_of_a_rollback() {
        let migrations = ["1_a", "10_d"].map(migration);
        let view = view(&[entry("1_a.rs"), entry("10_d.rs"), entry("12_gone.py"), entry("2_old.rs")]);
        let of = |goal| selected(&goal, &migrations, &view);
        assert_eq!(of(Goal::RollBack(Back::To(place("1", &migrations)))), ["down 10_d", "gone 12_gone", "gone 2_old"]);
        assert_eq!(of(Goal::To(place("10", &migrations))), ["gone 12_gone"]);
        assert_eq!(of(Goal::RollBack(Back::Steps(1))), ["gone 12_gone"]);
        assert_eq!(of(Goal::RollBack(Back::Steps(2))), ["down 10_d", "gone 12_gone"]);
    }

    #[test]
    fn to_a_place_either_way() {
        let migrations = ["1_a", "2_b", "3_c", "10_d", "11_e"].map(migration);
        let view = view(&[entry("1_a.rs"), entry("10_d.rs"), entry("11_e.rs")]);
        let of = |word| selected(&Goal::To(place(word, &migrations)), &migrations, &view);
        assert_eq!(of("3"), ["down 11_e", "down 10_d", "up 2_b", "up 3_c"]);
        assert_eq!(of("11"), ["up 2_b", "up 3_c"]);
        assert_eq!(of("1"), ["down 11_e", "down 10_d"]);
        assert_eq!(of("0"), ["down 11_e", "down 10_d", "down 1_a"]);
        assert_eq!(selected(&Goal::Redo(&migrations[3]), &migrations, &view), ["down 10_d", "up 10_d"]);
    }

    #[test]
    fn what_a_run_is_working_on_is_looked_at_once_the_lock_is_free() {
        let migrations = ["1_a", "2_b"].map(migration);
        let attempt = Attempt {
            name: "2_b.rs".into(),
            run: "other".into(),
            fence: 7,
            direction: Direction::Up,
            is_transactional: false,
            was_registered: false,
            before: State::Unregistered,
            was_in_up: false,
            ended: None,
            at: None,
            who: String::new(),
            place: String::new(),
            error: None,
        };
        // Its term is higher than the lease's, which was read before.
        let view = View { attempts: vec![attempt], lease: Some(Default::default()), ..view(&[entry("1_a.rs")]) };
        let of = |goal| selected(&goal, &migrations, &view);
        assert_eq!(of(Goal::RollBack(Back::To(place("1", &migrations)))), ["down 2_b"]);
        assert_eq!(of(Goal::To(place("2", &migrations))), ["up 2_b"]);
    }
}
