//! From a request, the files, the registry and the log to a plan. Pure: nothing here talks to a server.

use super::advice;
use super::corrections;
use super::standing::{self, Known, Standing};
use super::step::{Of, Step};
use super::warnings;
use crate::error::{Error, ErrorKind, Remark};
use crate::line::program::program;
use crate::migration::Migration;
use crate::model::{Direction, State};
use crate::report::human_time;
use crate::store::{Entry, View};

/// What a subtask asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'m> {
    /// The subtask: the run is named after it.
    pub(crate) subtask: &'static str,
    /// What to do with the migrations.
    pub(crate) direction: Direction,
    pub(crate) which: Which<'m>,
    /// Refuse what would otherwise be a warning.
    pub(crate) is_strict: bool,
}

/// The migrations that a request is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which<'m> {
    /// Every migration that is not registered.
    Unregistered,
    /// This one.
    File(&'m Migration),
    /// The one that this word names. Its file is gone.
    Gone(&'m str),
}

impl Request<'_> {
    /// The task as on the command line: `execute:0002_x`.
    pub(crate) fn command(&self) -> String {
        match self.which {
            Which::File(migration) => format!("{}:{}", self.subtask, migration.stem()),
            Which::Gone(word) => format!("{}:{word}", self.subtask),
            Which::Unregistered => self.subtask.to_owned(),
        }
    }
}

/// What is to be done, in order.
#[derive(Debug)]
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
}

/// Makes the plan, or says why there is none. An empty plan means that there is nothing to do.
pub(crate) fn make<'m>(
    request: &Request<'m>,
    migrations: &'m [Migration],
    view: &View,
    has_transactions: bool,
) -> Result<Plan<'m>, Error> {
    if let Some(restore) = view.cut_off_restore() {
        return Err(Error::of_remarks(ErrorKind::Undecided, [advice::cut_off(restore)]));
    }
    let known = standing::all(migrations, view);
    let Known { files, missing, .. } = &known;
    let chosen: Vec<&Standing<'m, '_>> = match request.which {
        Which::Gone(word) => {
            let step = corrections::forget(word, &known, view)?;
            let warnings = warnings::is_anothers(step.migration.name(), &known).into_iter().collect();
            return Ok(Plan { steps: vec![step], warnings });
        }
        Which::File(migration) => {
            let standing = files.iter().find(|standing| std::ptr::eq(standing.migration, migration));
            let standing = standing.ok_or_else(|| Error::usage(format!("{} has no file", migration.stem())))?;
            if request.direction == Direction::Accept {
                let steps = corrections::accept(standing, &known)?.into_iter().collect();
                return Ok(Plan { steps, warnings: Vec::new() });
            }
            // A run that is working on it has the lock; its result is looked at once the lock is free.
            if !standing.is_under_way {
                allowed(request.direction, standing)?;
            }
            vec![standing]
        }
        Which::Unregistered => {
            // As long as a migration is interrupted, nothing runs until a person has decided how to go on.
            refuse_undecided(advice::all_undecided(&known))?;
            if request.direction == Direction::Up {
                refuse_undecided(advice::renumbered(&known))?;
            }
            files.iter().filter(|standing| standing.entry().is_none()).collect()
        }
    };
    let warnings: Vec<Remark> = match request.direction {
        Direction::Up => {
            let of_files = warnings::out_of_order(&chosen, files, missing).into_iter().chain(warnings::changed(files));
            of_files.chain(warnings::of_another_program(files)).chain(advice::without_file(&known)).collect()
        }
        Direction::Down => warnings::later_ones_stay(&chosen, files, missing).into_iter().collect(),
        Direction::Ignore | Direction::Accept | Direction::Forget => Vec::new(),
    };
    let warnings = if request.is_strict { refuse(warnings)? } else { warnings };
    let steps: Vec<Step<'m>> = chosen.into_iter().map(|standing| step(request.direction, standing)).collect();
    if !has_transactions {
        needs_no_transactions(&steps)?;
    }
    Ok(Plan { steps, warnings })
}

fn step<'m>(direction: Direction, standing: &Standing<'m, '_>) -> Step<'m> {
    Step {
        migration: Of::File(standing.migration),
        direction,
        before: standing.effective(),
        registered: standing.entries.iter().copied().filter_map(Entry::as_read).collect(),
        registered_as: None,
    }
}

/// Whether that one migration can be executed, ignored or rolled back.
fn allowed(direction: Direction, standing: &Standing<'_, '_>) -> Result<(), Error> {
    let name = standing.migration.stem();
    match (direction, standing.effective()) {
        (Direction::Up | Direction::Ignore, State::Registered | State::Ignored) => {
            let at = standing.entry().and_then(|entry| entry.registered_at);
            let since = at.map(|at| format!(" (since {})", human_time(at)));
            Err(Error::usage(format!("{name} is already registered{}", since.unwrap_or_default()))
                .with_hint(format!("roll it back first with `{} rollback:{name}`", program())))
        }
        (Direction::Down, State::Unregistered) if standing.state == State::Interrupted => Err(Error::usage(format!(
            "{name} was interrupted, but it is transactional and has had no effect: there is nothing to roll back"
        ))),
        (Direction::Down, State::Unregistered) => {
            Err(Error::usage(format!("{name} is not registered: there is nothing to roll back"))
                .with_hint(format!("`{}` shows what is registered", program())))
        }
        (Direction::Down, _) if !standing.migration.has_down() => {
            Err(Error::usage(format!("{name} cannot be rolled back: it has no `pub async fn down`"))
                .with_hint(format!("write one in {}", standing.migration.name())))
        }
        _ => Ok(()),
    }
}

/// An error if there is anything that a person has to decide.
fn refuse_undecided(remarks: Vec<Remark>) -> Result<(), Error> {
    if remarks.is_empty() { Ok(()) } else { Err(Error::of_remarks(ErrorKind::Undecided, remarks)) }
}

fn refuse(warnings: Vec<Remark>) -> Result<Vec<Remark>, Error> {
    if warnings.is_empty() {
        return Ok(warnings);
    }
    let refused = Remark::new("refused because of `--strict`").with_hint("drop `--strict` to run anyway");
    Err(Error::of_remarks(ErrorKind::Refused, warnings.into_iter().chain([refused])))
}

fn needs_no_transactions(steps: &[Step<'_>]) -> Result<(), Error> {
    let Some(step) = steps.iter().find(|step| step.is_transactional()) else { return Ok(()) };
    let (name, function) = (step.migration.stem(), if step.direction == Direction::Down { "down" } else { "up" });
    Err(Error::usage(format!(
        "{name} is transactional (`{function}` takes `&mut Transaction`), but a standalone server has no transactions"
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
    use crate::store::Entry;
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

    fn request(direction: Direction, migration: Option<&Migration>) -> Request<'_> {
        let which = migration.map_or(Which::Unregistered, Which::File);
        Request { subtask: "execute", direction, which, is_strict: false }
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
        let with_down = |stem| migration(stem).with_down(async |_: &crate::Db| Ok::<_, Error>(()));
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
}
