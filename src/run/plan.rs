//! From a request, the files, the registry and the log to a plan. Pure: nothing here talks to a server.

use super::advice;
use super::corrections;
use super::request::{Goal, Request};
use super::select::{Selection, select};
use super::standing::{self, Known, Standing};
use super::status::{highest_registered, is_below};
use super::step::Look;
pub(crate) use super::step::{Of, Step};
use super::warnings;
use crate::error::{Error, ErrorKind, Remark};
use crate::line::program::program;
use crate::line::words::listed;
use crate::migration::Migration;
use crate::model::{Direction, State};
use crate::report::{Tally, human_time};
use crate::store::{Entry, View};

/// What is to be done, in order.
#[derive(Debug, Default)]
pub(crate) struct Plan<'m> {
    pub(crate) steps: Vec<Step<'m>>,
    /// What a person should know before.
    pub(crate) warnings: Vec<Remark>,
}

impl Plan<'_> {
    /// Whether every step of this plan is one of the other's.
    pub(crate) fn is_part_of(&self, other: &Plan<'_>) -> bool {
        self.steps.iter().all(|step| other.steps.iter().any(|other| step.is_same(other)))
    }

    /// Whether it rolls anything back.
    pub(crate) fn undoes(&self) -> bool {
        self.steps.iter().any(|step| step.direction == Direction::Down)
    }

    /// How many steps it has, by what they do.
    pub(crate) fn tally(&self) -> Tally {
        self.steps.iter().map(|step| step.direction).collect()
    }
}

/// A plan, and why it cannot be carried out.
#[derive(Debug)]
pub(crate) struct Draft<'m> {
    pub(crate) plan: Plan<'m>,
    pub(crate) refused: Option<Error>,
}

impl<'m> From<Result<Plan<'m>, Error>> for Draft<'m> {
    fn from(plan: Result<Plan<'m>, Error>) -> Self {
        match plan {
            Ok(plan) => Self { plan, refused: None },
            Err(error) => Self { plan: Plan::default(), refused: Some(error) },
        }
    }
}

/// Makes the plan, or says why there is none. An empty plan means that there is nothing to do. If a step cannot be carried out, none
/// is.
pub(crate) fn make<'m>(
    request: &Request<'m>,
    migrations: &'m [Migration],
    view: &View,
    has_transactions: bool,
) -> Result<Plan<'m>, Error> {
    let Draft { plan, refused } = draft(request, migrations, view, has_transactions);
    refused.map_or(Ok(plan), Err)
}

/// Makes the plan even if it cannot be carried out.
pub(crate) fn draft<'m>(
    request: &Request<'m>,
    migrations: &'m [Migration],
    view: &View,
    has_transactions: bool,
) -> Draft<'m> {
    if let Some(restore) = view.cut_off_restore() {
        return Err(Error::of_remarks(ErrorKind::Undecided, [advice::cut_off(restore)])).into();
    }
    let known = standing::all(migrations, view);
    match &request.goal {
        Goal::Forget(word) => forget(word, &known, view).into(),
        Goal::One(Direction::Accept, migration) => accept(migration, &known).into(),
        goal => {
            let selection = select(goal, &known, view);
            let plan = Plan { steps: steps(request, &selection, &known), warnings: warnings(request, &selection, &known) };
            let refused = check(request, &selection, &known, &plan, has_transactions).err();
            Draft { plan, refused }
        }
    }
}

fn forget<'m>(word: &str, known: &Known<'m, '_>, view: &View) -> Result<Plan<'m>, Error> {
    let step = corrections::forget(word, known, view)?;
    let warnings = warnings::is_anothers(step.migration.name(), known).into_iter().collect();
    Ok(Plan { steps: vec![step], warnings })
}

fn accept<'m>(migration: &Migration, known: &Known<'m, '_>) -> Result<Plan<'m>, Error> {
    let standing = known.files.iter().find(|standing| std::ptr::eq(standing.migration, migration));
    let standing = standing.ok_or_else(|| Error::usage(format!("{} has no file", migration.stem())))?;
    Ok(Plan { steps: corrections::accept(standing, known)?.into_iter().collect(), warnings: Vec::new() })
}

fn steps<'m>(request: &Request<'m>, selection: &Selection<'_, 'm, '_>, known: &Known<'m, '_>) -> Vec<Step<'m>> {
    let highest = highest_registered(&remaining(selection, known), &known.missing);
    let mut steps: Vec<Step<'m>> = Vec::new();
    for (index, &(direction, standing)) in selection.steps.iter().enumerate() {
        let migration = standing.migration;
        // By then the step before has taken it out of the registry.
        let is_redone = steps.iter().any(|step| step.migration.name() == migration.name());
        let is_new = is_redone || standing.entry().is_none();
        let registered = standing.entries.iter().copied().filter_map(Entry::as_read);
        let look = Look {
            state: if is_redone { State::Unregistered } else { standing.state },
            is_changed: standing.is_changed() && !is_redone,
            is_out_of_order: is_new && highest.is_some_and(|highest| is_below(migration.number(), highest)),
        };
        steps.push(Step {
            migration: Of::File(migration),
            direction,
            before: if is_redone { State::Unregistered } else { standing.effective() },
            was_in_up: standing.was_in_up && !is_redone,
            may_have_marks: standing.attempt.is_some() && !is_redone,
            runs_again: advice::runs_again(standing).filter(|_| direction == Direction::Up && !is_redone),
            registered: if is_redone { Vec::new() } else { registered.collect() },
            registered_as: None,
            adopted: None,
            again: request.again(direction, selection.steps.len() - index - 1),
            look,
        });
    }
    steps
}

/// The migrations with a file that the plan does not roll back.
fn remaining<'m, 'v>(selection: &Selection<'_, 'm, 'v>, known: &Known<'m, 'v>) -> Vec<Standing<'m, 'v>> {
    let downs = selection.of(Direction::Down);
    let stays = |standing: &&Standing<'_, '_>| !downs.iter().any(|down| std::ptr::eq(*down, *standing));
    known.files.iter().filter(stays).cloned().collect()
}

fn warnings(request: &Request<'_>, selection: &Selection<'_, '_, '_>, known: &Known<'_, '_>) -> Vec<Remark> {
    let (ups, downs) = (selection.of(Direction::Up), selection.of(Direction::Down));
    let mut warnings = Vec::new();
    if !downs.is_empty() {
        warnings.extend(warnings::later_ones_stay(&downs, &known.files, &known.missing));
        warnings.extend(warnings::never_ran(&downs));
        warnings.extend(warnings::failed_stay(&request.goal, known));
    }
    // Also where nothing is left to run: it is about the files.
    if request.goal.runs_forwards() {
        let remaining = remaining(selection, known);
        // What is redone was registered before the others already.
        if !matches!(request.goal, Goal::Redo(_)) {
            warnings.extend(warnings::out_of_order(&ups, &remaining, &known.missing));
        }
        warnings.extend(warnings::changed(&remaining));
        warnings.extend(warnings::of_another_program(&remaining));
        warnings.extend(advice::without_file(known));
    }
    warnings
}

/// Whether every step can be carried out, and with it the plan.
fn check(
    request: &Request<'_>,
    selection: &Selection<'_, '_, '_>,
    known: &Known<'_, '_>,
    plan: &Plan<'_>,
    has_transactions: bool,
) -> Result<(), Error> {
    let is_named = matches!(request.goal, Goal::One(..) | Goal::Redo(_));
    if !is_named {
        // As long as a migration is interrupted, nothing runs until a person has decided how to go on. That its file says that it
        // may run again decides for a task that runs it.
        let ups = selection.of(Direction::Up);
        let is_run = |standing: &Standing<'_, '_>| ups.iter().any(|up| std::ptr::eq(*up, standing));
        refuse_undecided(advice::undecided(known, is_run))?;
        refuse_undecided(advice::renumbered(known, is_run))?;
    }
    let mut impossible = Vec::new();
    for (index, &(direction, standing)) in selection.steps.iter().enumerate() {
        let is_redone = index > 0 && matches!(request.goal, Goal::Redo(_));
        // A run that is working on it has the lock; its result is looked at once the lock is free.
        if !(is_redone || is_named && standing.is_under_way) {
            impossible.extend(allowed(&request.goal, direction, standing).err().map(Remark::from));
        }
    }
    impossible.extend(advice::cannot_be_rolled_back(&selection.gone, known));
    if !impossible.is_empty() {
        return Err(Error::of_remarks(ErrorKind::Usage, impossible));
    }
    if request.is_strict && !plan.warnings.is_empty() {
        let refused = Remark::new("refused because of `--strict`").with_hint("drop `--strict` to run anyway");
        return Err(Error::of_remarks(ErrorKind::Refused, plan.warnings.iter().cloned().chain([refused])));
    }
    if has_transactions { Ok(()) } else { needs_no_transactions(&plan.steps) }
}

/// Whether that can be done with the migration.
fn allowed(goal: &Goal<'_>, direction: Direction, standing: &Standing<'_, '_>) -> Result<(), Error> {
    let name = standing.migration.stem();
    match (direction, standing.effective()) {
        (Direction::Up | Direction::Ignore, State::Registered | State::Ignored) => {
            let at = standing.entry().and_then(|entry| entry.registered_at);
            let since = at.map(|at| format!(" (since {})", human_time(at)));
            Err(Error::usage(format!("{name} is already registered{}", since.unwrap_or_default()))
                .with_hint(format!("roll it back first with `{} rollback:{name}`", program())))
        }
        (Direction::Down, State::Unregistered) if standing.is_under_way => has_down(standing),
        (Direction::Down, State::Unregistered) if standing.state == State::Interrupted => Err(Error::usage(format!(
            "{name} was interrupted, but it is transactional and has had no effect: there is nothing to roll back"
        ))),
        (Direction::Down, State::Unregistered) if matches!(goal, Goal::Redo(_)) => {
            Err(Error::usage(format!("{name} is not registered: there is nothing to roll back before it runs again"))
                .with_hint(format!("run it with `{} execute:{name}`", program())))
        }
        (Direction::Down, State::Unregistered) => {
            Err(Error::usage(format!("{name} is not registered: there is nothing to roll back"))
                .with_hint(format!("`{}` shows what is registered", program())))
        }
        (Direction::Down, _) => has_down(standing),
        _ => Ok(()),
    }
}

fn has_down(standing: &Standing<'_, '_>) -> Result<(), Error> {
    let migration = standing.migration;
    if migration.has_down() {
        return Ok(());
    }
    let message = format!("{} cannot be rolled back: it has no `pub async fn down`", migration.stem());
    Err(Error::usage(message).with_hint(format!("write one in {}", migration.name())))
}

/// An error if there is anything that a person has to decide.
fn refuse_undecided(remarks: Vec<Remark>) -> Result<(), Error> {
    if remarks.is_empty() { Ok(()) } else { Err(Error::of_remarks(ErrorKind::Undecided, remarks)) }
}

fn needs_no_transactions(steps: &[Step<'_>]) -> Result<(), Error> {
    let transactional: Vec<&Step<'_>> = steps.iter().filter(|step| step.is_transactional()).collect();
    let Some(step) = transactional.first() else { return Ok(()) };
    let (name, function) = (step.migration.stem(), if step.direction == Direction::Down { "down" } else { "up" });
    let others = match &transactional[1..] {
        [] => String::new(),
        others => format!(", and so are {}", listed(others.iter().map(|step| step.migration.stem()))),
    };
    Err(Error::usage(format!(
        "{name} is transactional (`{function}` takes `&mut Transaction`){others}, but a standalone server has no transactions"
    ))
    .with_hint(format!(
        "make the server a replica set of one (`mongod --replSet …`, then `rs.initiate()`), or let `{function}` take `&Db`"
    )))
}

/// The error if another process was at work between the question and the lock.
pub(crate) fn more_than_confirmed() -> Error {
    Error::new(
        ErrorKind::Refused,
        "there is more to do than what was confirmed, because another run was at work in the meantime. Nothing has run",
    )
    .with_hint("run the same command again")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::run::request::{Back, Place};
    use crate::store::{Attempt, Ended};
    use mongodb::bson::Bson;

    pub(crate) fn migration(stem: &str) -> Migration {
        let migration = Migration::new(format!("{stem}.rs"), async |_: &crate::Db| Ok::<_, Error>(()));
        migration.with_description("what").with_checksum("sum")
    }

    pub(crate) fn entry(name: &str) -> Entry {
        Entry { name: name.into(), id: Some(Bson::String(name.into())), ..Entry::default() }
    }

    pub(crate) fn view(entries: &[Entry]) -> View {
        View { entries: entries.to_vec(), ..View::default() }
    }

    pub(crate) fn asked(goal: Goal<'_>) -> Request<'_> {
        Request { subtask: "execute", goal, is_strict: false }
    }

    fn request(direction: Direction, migration: Option<&Migration>) -> Request<'_> {
        asked(match (migration, direction) {
            (Some(migration), _) => Goal::One(direction, migration),
            (None, Direction::Ignore) => Goal::Ignore,
            (None, _) => Goal::Execute(None),
        })
    }

    fn messages(plan: &Plan<'_>) -> Vec<String> {
        plan.warnings.iter().map(|warning| warning.message.clone()).collect()
    }

    fn stems(plan: &Plan<'_>) -> Vec<String> {
        plan.steps.iter().map(|step| step.migration.stem().to_owned()).collect()
    }

    #[test]
    fn a_registered_stem_is_not_executed_again() {
        let migrations = [migration("001_test"), migration("002_more")];
        let plan = make(&request(Direction::Up, None), &migrations, &view(&[entry("001_test.py")]), true).unwrap();
        assert_eq!(stems(&plan), ["002_more"]);
    }

    #[test]
    fn a_registered_one_is_not_executed_by_name() {
        let migrations = [migration("1_a")];
        assert!(make(&request(Direction::Up, Some(&migrations[0])), &migrations, &view(&[]), true).is_ok());
        let error =
            make(&request(Direction::Up, Some(&migrations[0])), &migrations, &view(&[entry("1_a.py")]), true).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(error.to_string(), "1_a is already registered");
        assert_eq!(error.hint(), Some("roll it back first with `cargo migrations rollback:1_a`"));
    }

    #[test]
    fn a_rollback_takes_every_document_of_the_stem() {
        let migrations = [
            migration("1_a").with_down(async |_: &crate::Db| Ok::<_, Error>(())),
            migration("9_z").with_down(async |_: &crate::Db| Ok::<_, Error>(())),
        ];
        let view = view(&[entry("1_a.py"), entry("1_a.rs"), entry("2_b.rs")]);
        let plan = make(&request(Direction::Down, Some(&migrations[0])), &migrations, &view, true).unwrap();
        let ids: Vec<_> = plan.steps[0].registered.iter().filter_map(|filter| filter.get_str("_id").ok()).collect();
        assert_eq!(ids, ["1_a.py", "1_a.rs"]);
        let error = make(&request(Direction::Down, Some(&migrations[1])), &migrations, &view, true).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn what_is_out_of_order_or_changed_is_warned_of_and_refused_when_strict() {
        let migrations = [migration("1_a"), migration("3_c"), migration("12_d")];
        let other = Entry { checksum: Some("another".into()), ..entry("3_c.rs") };
        let mut request = request(Direction::Up, None);
        let plan = make(&request, &migrations, &view(std::slice::from_ref(&other)), true).unwrap();
        assert_eq!(stems(&plan), ["1_a", "12_d"]);
        assert_eq!(
            plan.warnings.iter().map(|warning| warning.message.as_str()).collect::<Vec<_>>(),
            ["out of order: `1_a` has a lower number than `3_c`, which is registered", "`3_c` was edited after it ran",]
        );
        request.is_strict = true;
        assert_eq!(make(&request, &migrations, &view(&[other]), true).unwrap_err().exit_code(), 3);
        let same = Entry { checksum: Some("sum".into()), ..entry("3_c.rs") };
        let plan = make(&request, &migrations[1..], &view(&[same]), true).unwrap();
        assert!(plan.warnings.is_empty());
    }

    #[test]
    fn code_that_is_registered_under_a_name_without_a_file_waits_for_a_decision() {
        let migrations = [migration("1_a").with_checksum("another"), migration("9_slugs")];
        let with_code = |entry: Entry| Entry { checksum: Some("sum".into()), ..entry };
        let old = with_code(entry("7_slugs.rs"));
        let make = |migrations: &[Migration], direction, name: Option<usize>, old: &Entry| {
            let request = request(direction, name.map(|index| &migrations[index]));
            make(&request, migrations, &view(&[old.clone(), entry("1_a.rs")]), true).map(|plan| stems(&plan))
        };
        for entry in [old.clone(), Entry { ignored: true, ..old.clone() }] {
            let error = make(&migrations, Direction::Up, None, &entry).unwrap_err();
            assert_eq!((error.kind(), error.exit_code()), (ErrorKind::Undecided, 3));
            assert_eq!(
                error.to_string(),
                "`9_slugs` has the same code as `7_slugs`, which is registered and has no file: it was probably renamed"
            );
            assert_eq!(
                error.hint(),
                Some(
                    "use `cargo migrations accept:9_slugs` to register it under its new name, or `cargo migrations \
                     execute:9_slugs` to run it all the same"
                )
            );
        }
        // A person has decided.
        assert_eq!(make(&migrations, Direction::Up, Some(1), &old).unwrap(), ["9_slugs"]);
        assert_eq!(make(&migrations, Direction::Ignore, None, &old).unwrap(), ["9_slugs"]);
        // An entry of migopy's has no checksum, and neither has a migration that was made by hand.
        assert_eq!(make(&migrations, Direction::Up, None, &entry("7_slugs.py")).unwrap(), ["9_slugs"]);
        let by_hand = migrations.clone().map(|migration| migration.with_checksum(""));
        let empty = Entry { checksum: Some(String::new()), ..old.clone() };
        assert_eq!(make(&by_hand, Direction::Up, None, &empty).unwrap(), ["9_slugs"]);
        // A copy of a migration that still has its file is another migration.
        let copied = [migration("1_a"), migration("9_slugs")];
        assert_eq!(make(&copied, Direction::Up, None, &with_code(entry("1_a.rs"))).unwrap(), ["9_slugs"]);
    }

    #[test]
    fn what_is_registered_and_has_no_file_is_warned_of_and_refused_when_strict() {
        let migrations = [migration("1_a"), migration("3_c")];
        let entries = [entry("10_z.rs"), Entry { ignored: true, ..entry("2_b.py") }, entry("1_a.rs")];
        let mut request = request(Direction::Up, Some(&migrations[1]));
        let make = |request: &Request<'_>, entries: &[Entry]| {
            make(request, &migrations, &view(entries), true)
                .map(|plan| plan.warnings.into_iter().map(|w| w.message).collect())
        };
        let warnings: Vec<String> = make(&request, &entries[1..]).unwrap();
        assert_eq!(warnings, ["`2_b` is registered, but has no file"]);
        request.is_strict = true;
        let error = make(&request, &entries).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("`2_b`, `10_z` are registered, but have no file"), "{error}");
        assert!(make(&request, &entries[2..]).unwrap().is_empty());
    }

    #[test]
    fn a_rollback_below_what_is_registered_is_warned_of_and_refused_when_strict() {
        let migrations = ["1_a", "2_b", "10_c", "11_d"].map(with_down);
        let ignored = Entry { ignored: true, ..entry("2_b.rs") };
        let view = view(&[entry("12_gone.py"), entry("10_c.rs"), ignored, entry("1_a.rs")]);
        let rollback = |migration, is_strict| Request { is_strict, ..request(Direction::Down, Some(migration)) };
        let plan = make(&rollback(&migrations[0], false), &migrations, &view, true).unwrap();
        assert_eq!(stems(&plan), ["1_a"]);
        let expected =
            "out of order: `1_a` is rolled back, but `2_b`, `10_c`, `12_gone` have a higher number and stay registered";
        assert_eq!(plan.warnings.iter().map(|warning| warning.message.as_str()).collect::<Vec<_>>(), [expected]);
        let error = make(&rollback(&migrations[2], true), &migrations, &view, true).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert_eq!(
            error.to_string(),
            "out of order: `10_c` is rolled back, but `12_gone` has a higher number and stays registered\n\
             refused because of `--strict`"
        );
        let view = View { entries: view.entries[1..].to_vec(), ..View::default() };
        assert!(make(&rollback(&migrations[2], true), &migrations, &view, true).unwrap().warnings.is_empty());
    }

    fn with_down(stem: &str) -> Migration {
        migration(stem).with_down(async |_: &crate::Db| Ok::<_, Error>(()))
    }

    fn back_to(word: &str, migrations: &[Migration]) -> Back {
        Back::To(Place::read_or_start(word, migrations).unwrap())
    }

    #[test]
    fn a_rollback_of_several_is_all_or_nothing() {
        let migrations = [with_down("1_a"), migration("2_b"), with_down("3_c"), migration("4_d"), with_down("5_e")];
        let entries = ["1_a.rs", "2_b.rs", "3_c.rs", "4_d.rs", "9_gone.py"].map(entry);
        let request = asked(Goal::RollBack(back_to("1", &migrations)));
        let draft = draft(&request, &migrations, &view(&entries), true);
        assert_eq!(stems(&draft.plan), ["4_d", "3_c", "2_b"], "what was to be done is known all the same");
        let error = draft.refused.unwrap();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(
            error.to_string(),
            "4_d cannot be rolled back: it has no `pub async fn down`\n\
             2_b cannot be rolled back: it has no `pub async fn down`\n\
             9_gone cannot be rolled back: it is registered, but its file is gone"
        );
        assert_eq!(error.hint().unwrap().lines().count(), 3);
        let plan = make(&request, &migrations[..3], &view(&[entries[0].clone(), entries[2].clone()]), true).unwrap();
        assert_eq!(stems(&plan), ["3_c"]);
        assert!(plan.warnings.is_empty() && plan.undoes());
    }

    #[test]
    fn what_is_left_is_the_same_task_where_it_can_be_said_twice() {
        let migrations = [with_down("1_a"), with_down("2_b")];
        let view = view(&[entry("2_b.rs")]);
        let again = |goal| -> Vec<Option<String>> {
            make(&asked(goal), &migrations, &view, true).unwrap().steps.into_iter().map(|step| step.again).collect()
        };
        let subtask = |text: &str| Some(text.to_owned());
        assert_eq!(again(Goal::To(Place::Number("1".into()))), [subtask("execute:1"), subtask("execute:1")]);
        assert_eq!(again(Goal::Redo(&migrations[1])), [subtask("execute:2_b"), subtask("execute:2_b")]);
        assert_eq!(again(Goal::RollBack(Back::Steps(7))), [subtask("execute:steps=1")], "one more would be one too many");
        assert_eq!(again(Goal::Execute(None)), [None]);
        assert_eq!(again(Goal::Execute(Some(Place::Number("1".into())))), [subtask("execute:to=1")]);
    }

    #[test]
    fn redo_rolls_back_what_is_registered_and_runs_it_again() {
        let migrations = [with_down("1_a"), with_down("2_b"), migration("3_c")];
        let edited = Entry { checksum: Some("another".into()), ..entry("1_a.rs") };
        let view = view(&[edited, entry("3_c.rs")]);
        let plan = make(&asked(Goal::Redo(&migrations[0])), &migrations, &view, true).unwrap();
        let steps: Vec<_> = plan
            .steps
            .iter()
            .map(|step| (step.direction, step.before, step.registered.len(), step.look.is_changed))
            .collect();
        let expected = [(Direction::Down, State::Registered, 1, true), (Direction::Up, State::Unregistered, 0, false)];
        assert_eq!(steps, expected);
        // Its edit is what it is run again for.
        let stays = "out of order: `1_a` is rolled back, but `3_c` has a higher number and stays registered";
        assert_eq!(messages(&plan), [stays]);
        let error = |index: usize| {
            let error = make(&asked(Goal::Redo(&migrations[index])), &migrations, &view, true).unwrap_err();
            (error.to_string(), error.hint().unwrap().to_owned())
        };
        let (message, hint) = error(1);
        assert_eq!(message, "2_b is not registered: there is nothing to roll back before it runs again");
        assert_eq!(hint, "run it with `cargo migrations execute:2_b`");
        assert_eq!(error(2).0, "3_c cannot be rolled back: it has no `pub async fn down`");
    }

    #[test]
    fn both_ways_are_one_plan_in_which_the_downs_come_first() {
        let migrations = ["1_a", "2_b", "3_c", "4_d"].map(with_down);
        let view = view(&[entry("2_b.rs"), entry("4_d.rs"), entry("3_c.rs")]);
        let goal = Goal::To(Place::Number("2".into()));
        let plan = make(&asked(goal.clone()), &migrations, &view, true).unwrap();
        let lines: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["roll back 4_d  what", "roll back 3_c  what", "execute 1_a  what"]);
        // 4_d is not registered any more by then.
        assert_eq!(messages(&plan), ["out of order: `1_a` has a lower number than `2_b`, which is registered"]);
        assert!(plan.steps[2].look.is_out_of_order);
        assert_eq!(plan.tally().request(), "roll back 2 migrations, execute 1");
        let strict = Request { is_strict: true, ..asked(goal) };
        assert_eq!(make(&strict, &migrations, &view, true).unwrap_err().exit_code(), 3);
    }

    #[test]
    fn what_was_ignored_or_failed_is_warned_of_before_a_rollback() {
        let migrations = ["1_a", "2_b", "3_c"].map(with_down);
        let failed = Attempt {
            name: "3_c.rs".into(),
            run: "r".into(),
            fence: 1,
            direction: Direction::Up,
            is_transactional: false,
            was_registered: false,
            before: State::Unregistered,
            was_in_up: false,
            ended: Some(Ended::Failed),
            at: None,
            who: String::new(),
            place: String::new(),
            error: None,
        };
        let ignored = Entry { ignored: true, ..entry("2_b.rs") };
        let view = View { attempts: vec![failed], ..view(&[entry("1_a.rs"), ignored]) };
        let plan = make(&asked(Goal::RollBack(back_to("1", &migrations))), &migrations, &view, true).unwrap();
        assert_eq!(stems(&plan), ["2_b"]);
        assert_eq!(
            messages(&plan),
            [
                "`2_b` was registered without running, and its `down` runs all the same",
                "`3_c` failed and is not registered, so it is not rolled back"
            ]
        );
    }

    /// 2_b was interrupted in its `up`.
    fn interrupted() -> Attempt {
        Attempt {
            name: "2_b.rs".into(),
            run: "r".into(),
            fence: 1,
            direction: Direction::Up,
            is_transactional: false,
            was_registered: false,
            before: State::Unregistered,
            was_in_up: false,
            ended: None,
            at: None,
            who: "deploy".into(),
            place: "web-2".into(),
            error: None,
        }
    }

    #[test]
    fn nothing_but_a_named_migration_runs_while_one_is_interrupted() {
        let migrations = ["1_a", "2_b", "3_c"].map(with_down);
        let view = View { attempts: vec![interrupted()], ..view(&[entry("1_a.rs"), entry("3_c.rs")]) };
        let place = || Place::Number("1".into());
        for goal in [
            Goal::Execute(None),
            Goal::Execute(Some(place())),
            Goal::Ignore,
            Goal::Baseline(place()),
            Goal::RollBack(Back::To(place())),
            Goal::RollBack(Back::Steps(1)),
            Goal::RollBack(Back::LastRun),
            Goal::To(place()),
        ] {
            let error = make(&asked(goal.clone()), &migrations, &view, true).unwrap_err();
            assert_eq!(error.exit_code(), 3, "{goal:?}");
            assert!(error.to_string().starts_with("2_b was interrupted (up, by deploy@web-2"), "{error}");
        }
        assert!(make(&asked(Goal::Redo(&migrations[2])), &migrations, &view, true).is_ok());
        let plan = make(&asked(Goal::Redo(&migrations[1])), &migrations, &view, true).unwrap();
        assert_eq!(plan.steps.iter().map(|step| step.before).collect::<Vec<_>>(), [State::Interrupted, State::Unregistered]);
    }

    #[test]
    fn what_may_run_again_is_run_again_by_a_task_that_runs_it() {
        let safe = |migration: Migration| migration.with_rerun(crate::Rerun::Safe);
        let migrations = [with_down("1_a"), safe(with_down("2_b")), with_down("3_c")];
        let view = View { attempts: vec![interrupted()], ..view(&[entry("1_a.rs")]) };
        let place = |number: &str| Place::Number(number.into());
        for goal in [Goal::Execute(None), Goal::Execute(Some(place("2"))), Goal::To(place("2"))] {
            // That is not a warning.
            let strict = Request { is_strict: true, ..asked(goal) };
            let plan = make(&strict, &migrations, &view, true).unwrap();
            let step = &plan.steps[0];
            assert_eq!((step.migration.stem(), step.before, step.was_in_up), ("2_b", State::Interrupted, true));
            let sentence = step.runs_again.as_deref().unwrap();
            assert!(sentence.starts_with("2_b was interrupted (up, by deploy@web-2"), "{sentence}");
            assert!(sentence.ends_with("and runs again from its beginning: its file says that this is safe"), "{sentence}");
            assert!(messages(&plan).is_empty());
        }
        // These would leave it half done, or mark it as done.
        for goal in [
            Goal::Execute(Some(place("1"))),
            Goal::Ignore,
            Goal::Baseline(place("3")),
            Goal::RollBack(Back::To(place("0"))),
            Goal::RollBack(Back::Steps(1)),
            Goal::To(place("1")),
        ] {
            let error = make(&asked(goal.clone()), &migrations, &view, true).unwrap_err();
            assert_eq!(error.exit_code(), 3, "{goal:?}");
            let hint = error.hint().unwrap();
            assert!(hint.contains("`cargo migrations execute` to run it again, which its file says is safe"), "{hint}");
        }
        // A person who names it decides. Its `down` is not what the file speaks of.
        let named = |goal| make(&asked(goal), &migrations, &view, true).unwrap().steps;
        assert!(named(Goal::One(Direction::Up, &migrations[1]))[0].runs_again.is_some());
        assert!(named(Goal::One(Direction::Down, &migrations[1]))[0].runs_again.is_none());
        assert!(named(Goal::Redo(&migrations[1])).iter().all(|step| step.runs_again.is_none()));
    }

    #[test]
    fn a_standalone_server_refuses_every_transactional_step_of_a_plan() {
        async fn in_transaction(_: &mut crate::Transaction) -> Result<(), Error> {
            Ok(())
        }
        let migrations = [with_down("1_a"), with_down("2_b").with_down(in_transaction)];
        let view = view(&[entry("2_b.rs")]);
        let goal = || Goal::To(Place::Number("1".into()));
        let error = make(&asked(goal()), &migrations, &view, false).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().starts_with("2_b is transactional (`down` takes `&mut Transaction`), but"), "{error}");
        assert!(make(&asked(goal()), &migrations, &view, true).is_ok());
    }
}
