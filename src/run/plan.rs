//! From the migration files, the registry and the log to what is to be done. Pure: nothing here talks to a server.

use std::collections::BTreeMap;
use std::fmt;

use mongodb::bson::{Document, doc};

use crate::error::{Error, ErrorKind};
use crate::line::listed;
use crate::migration::{Action, Migration};
use crate::model::file_name;
use crate::model::state::{Row, State};
use crate::model::verb::Verb;
use crate::run::advice;
use crate::run::standing::{self, Known, Standing};
use crate::store::{Attempt, Direction, Entry, View};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'m> {
    pub(crate) verb: Verb,
    /// That migration; `None`: whichever are not registered.
    pub(crate) migration: Option<&'m Migration>,
    /// Refuse what is otherwise warned of.
    pub(crate) is_strict: bool,
    pub(crate) has_transactions: bool,
}

impl Request<'_> {
    /// As on the command line: `execute:0002_x`.
    pub(crate) fn command(&self) -> String {
        match self.migration {
            Some(migration) => format!("{}:{}", self.verb.as_str(), migration.stem()),
            None => self.verb.as_str().to_owned(),
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan<'m> {
    pub(crate) steps: Vec<Step<'m>>,
    /// What people should know ahead.
    pub(crate) warnings: Vec<String>,
}

impl Plan<'_> {
    /// Whether it does nothing that the other does not.
    pub(crate) fn is_part_of(&self, other: &Self) -> bool {
        let in_other = |step: &Step<'_>| other.steps.iter().any(|other| std::ptr::eq(step.migration, other.migration));
        self.steps.iter().all(in_other)
    }
}

/// One migration of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Step<'m> {
    pub(crate) migration: &'m Migration,
    pub(crate) direction: Direction,
    /// Its state when the plan was made.
    pub(crate) before: State,
    /// The registry's documents of it: each as a filter that finds it while it is what it was.
    pub(crate) registered: Vec<Document>,
}

impl Step<'_> {
    /// What is run, if anything is.
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

/// Makes the plan, or says why there is none. An empty one: there is nothing to do.
pub(crate) fn make<'m>(request: &Request<'m>, migrations: &'m [Migration], view: &View) -> Result<Plan<'m>, Error> {
    if let Some(restore) = view.cut_off_restore() {
        return Err(Error::new(ErrorKind::Refused, advice::cut_off(restore)));
    }
    let Known { standings, beside, lost } = standing::all(migrations, view);
    let chosen: Vec<&Standing<'m, '_>> = match request.migration {
        Some(migration) => {
            let standing = standings.iter().find(|standing| std::ptr::eq(standing.migration, migration));
            let standing = standing.ok_or_else(|| Error::usage(format!("there is no file of {}", migration.stem())))?;
            // Whoever is at it has the lock: what they leave is planned for when it is free.
            if !standing.is_under_way {
                allowed(request.verb, standing)?;
            }
            vec![standing]
        }
        None => {
            undecided(&standings, &lost)?;
            standings.iter().filter(|standing| standing.entry().is_none()).collect()
        }
    };
    let warnings = if request.verb == Verb::Execute {
        let warnings = out_of_order(&chosen, &standings, &beside).into_iter().chain(changed(&standings)).collect();
        if request.is_strict { refuse(warnings)? } else { warnings }
    } else {
        Vec::new()
    };
    let steps: Vec<Step<'m>> = chosen.into_iter().map(|standing| step(request.verb, standing)).collect();
    if !request.has_transactions {
        needs_no_transactions(&steps)?;
    }
    Ok(Plan { steps, warnings })
}

fn step<'m>(verb: Verb, standing: &Standing<'m, '_>) -> Step<'m> {
    Step {
        migration: standing.migration,
        direction: match verb {
            Verb::Execute => Direction::Up,
            Verb::Ignore => Direction::Ignore,
            Verb::Rollback => Direction::Down,
        },
        before: standing.effective(),
        registered: standing
            .entries
            .iter()
            .filter_map(|entry| Some(doc! { "_id": entry.id.clone()?, "run": entry.run.clone() }))
            .collect(),
    }
}

/// Whether that one migration can be executed, ignored or rolled back.
fn allowed(verb: Verb, standing: &Standing<'_, '_>) -> Result<(), Error> {
    let name = standing.migration.stem();
    match (verb, standing.effective()) {
        (Verb::Execute | Verb::Ignore, State::Registered | State::Ignored) => {
            let at = standing.entry().and_then(|entry| entry.registered_at);
            let since = at.map(|at| format!(" (since {})", at.try_to_rfc3339_string().unwrap_or_default()));
            Err(Error::usage(format!(
                "{name} is registered already{since}; `cargo migrations rollback:{name}` undoes it first",
                since = since.unwrap_or_default(),
            )))
        }
        (Verb::Rollback, State::Unregistered) if standing.state == State::Interrupted => Err(Error::usage(format!(
            "{name} was interrupted, but it is transactional: nothing of it took effect, so there is nothing to undo"
        ))),
        (Verb::Rollback, State::Unregistered) => Err(Error::usage(format!(
            "{name} is not registered: there is nothing to roll back; `cargo migrations` shows what is"
        ))),
        (Verb::Rollback, _) if !standing.migration.has_down() => Err(Error::usage(format!(
            "{name} cannot be undone: it has no `pub async fn down`; write one in {file}",
            file = standing.migration.name()
        ))),
        _ => Ok(()),
    }
}

/// With an interrupted migration nothing runs until a person has said what is to become of it.
fn undecided(standings: &[Standing<'_, '_>], lost: &[&Attempt]) -> Result<(), Error> {
    let undecided = standings.iter().filter(|standing| standing.needs_decision).filter_map(advice::decision_needed);
    let told: Vec<String> = undecided.chain(lost.iter().map(|attempt| advice::file_gone(attempt))).collect();
    if told.is_empty() { Ok(()) } else { Err(Error::new(ErrorKind::Refused, told.join("\n       "))) }
}

fn refuse(reasons: Vec<String>) -> Result<Vec<String>, Error> {
    if reasons.is_empty() {
        return Ok(reasons);
    }
    Err(Error::new(ErrorKind::Refused, format!("{}; --strict refuses to run", reasons.join("; "))))
}

/// One text for each that runs after one with a higher number was registered.
fn out_of_order(chosen: &[&Standing<'_, '_>], standings: &[Standing<'_, '_>], beside: &[&Entry]) -> Vec<String> {
    let Some(highest) = highest_registered(standings, beside) else { return Vec::new() };
    let late: Vec<&str> = chosen
        .iter()
        .filter(|standing| standing.entry().is_none() && is_below(standing.migration.number(), highest))
        .map(|standing| standing.migration.stem())
        .collect();
    match late[..] {
        [] => Vec::new(),
        _ => vec![format!(
            "out of order: {} {} a lower number than `{}`, which is registered",
            listed(late.iter().copied()),
            if late.len() == 1 { "has" } else { "have" },
            file_name::stem(&highest.name)
        )],
    }
}

fn is_below(number: &str, entry: &Entry) -> bool {
    file_name::compare(number, entry.number()).is_lt()
}

fn highest_registered<'v>(standings: &[Standing<'_, 'v>], beside: &[&'v Entry]) -> Option<&'v Entry> {
    let entries = standings.iter().filter_map(Standing::entry).chain(beside.iter().copied());
    entries.max_by(|a, b| file_name::compare(a.number(), b.number()))
}

fn changed(standings: &[Standing<'_, '_>]) -> Option<String> {
    let changed: Vec<&str> = standings.iter().filter(|s| s.is_changed()).map(|s| s.migration.stem()).collect();
    (!changed.is_empty()).then(|| {
        format!(
            "{} changed after {} registered: what ran is not what the file has now",
            listed(changed.iter().copied()),
            if changed.len() == 1 { "it was" } else { "they were" }
        )
    })
}

fn needs_no_transactions(steps: &[Step<'_>]) -> Result<(), Error> {
    match steps.iter().find(|step| step.is_transactional()) {
        None => Ok(()),
        Some(step) => Err(Error::usage(format!(
            "{name} is transactional (`{function}` takes `&mut Transaction`), and the server is standalone, which has no \
             transactions; make it a replica set of one (`mongod --replSet …`, then `rs.initiate()`), or let `{function}` take \
             `&Db`",
            name = step.migration.stem(),
            function = if step.direction == Direction::Down { "down" } else { "up" },
        ))),
    }
}

/// Every migration, on file or registered, in order of number, then name.
pub(crate) fn status<'a>(known: &Known<'a, 'a>) -> Vec<Row<'a>> {
    let Known { standings, beside, .. } = known;
    let highest = highest_registered(standings, beside);
    let row = |standing: &Standing<'a, 'a>| Row {
        name: standing.migration.name(),
        number: standing.migration.number(),
        state: standing.state,
        registered_at: standing.entry().and_then(|entry| entry.registered_at),
        duration: standing.entry().and_then(|entry| entry.duration),
        description: standing.migration.description(),
        is_changed: standing.is_changed(),
        is_out_of_order: standing.entry().is_none()
            && highest.is_some_and(|highest| is_below(standing.migration.number(), highest)),
        is_under_way: standing.is_under_way,
    };
    let missing = |entry: &&'a Entry| Row {
        name: &entry.name,
        number: entry.number(),
        state: State::Missing,
        registered_at: entry.registered_at,
        duration: entry.duration,
        description: None,
        is_changed: false,
        is_out_of_order: false,
        is_under_way: false,
    };
    let mut rows: Vec<Row<'a>> = standings.iter().map(row).chain(beside.iter().map(missing)).collect();
    rows.sort_by(|a, b| file_name::compare(a.number, b.number).then_with(|| a.name.cmp(b.name)));
    rows
}

/// What to say of names that stand in the registry more than once.
pub(crate) fn duplicate_names(entries: &[Entry]) -> Vec<&str> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        *count.entry(&entry.name).or_default() += 1;
    }
    count.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect()
}

/// One warning for each number that several files share.
pub(crate) fn shared_numbers(migrations: &[Migration]) -> Vec<String> {
    migrations
        .chunk_by(|a, b| file_name::compare(a.number(), b.number()).is_eq())
        .filter(|group| group.len() > 1)
        .map(|group| {
            format!(
                "{} share number {}; they run in order of name, which may not be what is meant: renumber what is not registered yet",
                listed(group.iter().map(Migration::stem)),
                group[0].number()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::Bson;

    fn migration(stem: &str) -> Migration {
        let migration = Migration::new(format!("{stem}.rs"), async |_: &crate::Db| Ok::<_, Error>(()));
        migration.with_description("what").with_checksum("sum")
    }

    fn entry(name: &str) -> Entry {
        Entry { name: name.into(), id: Some(Bson::String(name.into())), ..Entry::default() }
    }

    fn view(entries: &[Entry]) -> View {
        View { entries: entries.to_vec(), ..View::default() }
    }

    fn states(migrations: &[Migration], entries: &[Entry]) -> Vec<(String, State)> {
        let view = view(entries);
        status(&standing::all(migrations, &view)).into_iter().map(|row| (row.name.to_owned(), row.state)).collect()
    }

    fn request(verb: Verb, migration: Option<&Migration>) -> Request<'_> {
        Request { verb, migration, is_strict: false, has_transactions: true }
    }

    fn stems(plan: &Plan<'_>) -> Vec<String> {
        plan.steps.iter().map(|step| step.migration.stem().to_owned()).collect()
    }

    #[test]
    fn the_stem_decides_what_is_registered() {
        let migrations = [migration("001_test"), migration("002_more")];
        let entries = [entry("001_test.py")];
        assert_eq!(
            states(&migrations, &entries),
            [("001_test.rs".into(), State::Registered), ("002_more.rs".into(), State::Unregistered)]
        );
        let plan = make(&request(Verb::Execute, None), &migrations, &view(&entries)).unwrap();
        assert_eq!(stems(&plan), ["002_more"]);
    }

    #[test]
    fn what_has_no_file_is_missing_in_its_place() {
        let migrations = [migration("1_a"), migration("3_c")];
        let entries = [entry("2_b.py"), Entry { ignored: true, ..entry("3_c.rs") }];
        assert_eq!(
            states(&migrations, &entries),
            [("1_a.rs".into(), State::Unregistered), ("2_b.py".into(), State::Missing), ("3_c.rs".into(), State::Ignored)]
        );
    }

    #[test]
    fn a_registered_one_is_not_executed_by_name() {
        let migrations = [migration("1_a")];
        assert!(make(&request(Verb::Execute, Some(&migrations[0])), &migrations, &view(&[])).is_ok());
        let error = make(&request(Verb::Execute, Some(&migrations[0])), &migrations, &view(&[entry("1_a.py")])).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(error.to_string(), "1_a is registered already; `cargo migrations rollback:1_a` undoes it first");
    }

    #[test]
    fn a_rollback_takes_every_document_of_the_stem() {
        let migrations = [
            migration("1_a").with_down(async |_: &crate::Db| Ok::<_, Error>(())),
            migration("9_z").with_down(async |_: &crate::Db| Ok::<_, Error>(())),
        ];
        let view = view(&[entry("1_a.py"), entry("1_a.rs"), entry("2_b.rs")]);
        let plan = make(&request(Verb::Rollback, Some(&migrations[0])), &migrations, &view).unwrap();
        let ids: Vec<_> = plan.steps[0].registered.iter().filter_map(|filter| filter.get_str("_id").ok()).collect();
        assert_eq!(ids, ["1_a.py", "1_a.rs"]);
        let error = make(&request(Verb::Rollback, Some(&migrations[1])), &migrations, &view).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn what_is_out_of_order_or_changed_is_warned_of_and_refused_when_strict() {
        let migrations = [migration("1_a"), migration("3_c"), migration("12_d")];
        let other = Entry { checksum: Some("another".into()), ..entry("3_c.rs") };
        let mut request = request(Verb::Execute, None);
        let plan = make(&request, &migrations, &view(std::slice::from_ref(&other))).unwrap();
        assert_eq!(stems(&plan), ["1_a", "12_d"]);
        assert_eq!(
            plan.warnings,
            [
                "out of order: `1_a` has a lower number than `3_c`, which is registered",
                "`3_c` changed after it was registered: what ran is not what the file has now",
            ]
        );
        request.is_strict = true;
        assert_eq!(make(&request, &migrations, &view(&[other])).unwrap_err().exit_code(), 3);
        let same = Entry { checksum: Some("sum".into()), ..entry("3_c.rs") };
        let plan = make(&request, &migrations[1..], &view(&[same])).unwrap();
        assert!(plan.warnings.is_empty());
    }

    #[test]
    fn duplicates_and_shared_numbers_are_told() {
        assert_eq!(duplicate_names(&[entry("1_a.py"), entry("2_b.py"), entry("1_a.py")]), ["1_a.py"]);
        let warnings = shared_numbers(&[migration("1_a"), migration("01_b"), migration("2_c")]);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("`1_a`, `01_b` share number 1;"), "{}", warnings[0]);
    }
}
