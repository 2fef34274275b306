//! What a task asks a run for. Pure.

use std::fmt;

use crate::error::Error;
use crate::migration::{Migration, names};
use crate::model::{Direction, file_name};

/// What a subtask asks for.
#[derive(Clone, Debug)]
pub(crate) struct Request<'m> {
    /// The subtask: the run is named after it.
    pub(crate) subtask: &'static str,
    pub(crate) goal: Goal<'m>,
    /// Refuse what would otherwise be a warning.
    pub(crate) is_strict: bool,
}

/// What is to be done, and with which migrations.
#[derive(Clone, Debug)]
pub(crate) enum Goal<'m> {
    /// Every unregistered migration is run, or only those up to a place.
    Execute(Option<Place>),
    /// Every unregistered migration is registered without running.
    Ignore,
    /// Every unregistered migration up to a place is registered without running.
    Baseline(Place),
    /// Registered migrations are rolled back, the newest first.
    RollBack(Back),
    /// What is registered above a place is rolled back, and what is unregistered up to it is run.
    To(Place),
    /// One migration is rolled back, and run again.
    Redo(&'m Migration),
    /// One thing is done with one migration.
    One(Direction, &'m Migration),
    /// The migration that this word names is taken out of the registry. Its file is gone.
    Forget(String),
}

/// The registered migrations that are to be rolled back.
#[derive(Clone, Debug)]
pub(crate) enum Back {
    /// Those above a place.
    To(Place),
    /// That many, with the highest numbers.
    Steps(usize),
    /// Those that the last run has registered.
    LastRun,
}

/// A place in the order of the migrations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Before the first.
    Start,
    /// After all that have this number or a lower one.
    Number(String),
    /// After the migration with this number and stem.
    Migration { number: String, stem: String },
}

impl Place {
    /// The place after the migration that `word` names, or after all of a number. An error lists the nearest names.
    pub(crate) fn read(word: &str, migrations: &[Migration]) -> Result<Self, Error> {
        // Several migrations may share a number. They have one place.
        if file_name::is_number(word) && names::is_any(migrations, word) {
            return Ok(Self::Number(word.to_owned()));
        }
        let migration = names::find(migrations, word)?;
        Ok(Self::Migration { number: migration.number().to_owned(), stem: migration.stem().to_owned() })
    }

    /// The place that `word` names, where `0` may stand for the one before the first migration.
    pub(crate) fn read_or_start(word: &str, migrations: &[Migration]) -> Result<Self, Error> {
        match Self::read(word, migrations) {
            Err(_) if file_name::is_number(word) && file_name::compare(word, "0").is_eq() => Ok(Self::Start),
            read => read,
        }
    }

    /// Whether the migration with this number and stem comes before the place.
    pub(super) fn covers(&self, number: &str, stem: &str) -> bool {
        match self {
            Self::Start => false,
            Self::Number(last) => file_name::compare(number, last).is_le(),
            Self::Migration { number: last, stem: last_stem } => {
                file_name::compare(number, last).then_with(|| stem.cmp(last_stem)).is_le()
            }
        }
    }
}

/// As it is written on the command line.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "0",
            Self::Number(number) => number,
            Self::Migration { stem, .. } => stem,
        })
    }
}

impl Request<'_> {
    /// The task as on the command line: `execute:0002_x`.
    pub(crate) fn command(&self) -> String {
        let subtask = self.subtask;
        match &self.goal {
            Goal::Execute(None) | Goal::Ignore => subtask.to_owned(),
            Goal::Execute(Some(place)) | Goal::RollBack(Back::To(place)) => format!("{subtask}:to={place}"),
            Goal::RollBack(Back::Steps(count)) => format!("{subtask}:steps={count}"),
            Goal::RollBack(Back::LastRun) => format!("{subtask}:run=last"),
            Goal::Baseline(place) | Goal::To(place) => format!("{subtask}:{place}"),
            Goal::Redo(migration) | Goal::One(_, migration) => format!("{subtask}:{}", migration.stem()),
            Goal::Forget(word) => format!("{subtask}:{word}"),
        }
    }

    /// The task that does a step and the `left` ones after it if the run ends before. `None`: the same task, or the one that the step's
    /// migration is named in.
    pub(super) fn again(&self, direction: Direction, left: usize) -> Option<String> {
        match (&self.goal, direction) {
            (Goal::Execute(Some(_)) | Goal::RollBack(Back::To(_) | Back::LastRun) | Goal::To(_), _)
            | (Goal::Redo(_), Direction::Down) => Some(self.command()),
            (Goal::Redo(migration), _) => Some(format!("execute:{}", migration.stem())),
            // What was done is not to be counted again.
            (Goal::RollBack(Back::Steps(_)), _) => Some(format!("{}:steps={}", self.subtask, left + 1)),
            _ => None,
        }
    }

    /// Says that there is nothing to do.
    pub(crate) fn nothing_to_do(&self, database: &str) -> String {
        let all = |up_to: &str| format!("all migrations{up_to} are registered on {database}");
        match &self.goal {
            Goal::Execute(None) => format!("{}: nothing to execute", all("")),
            Goal::Execute(Some(place)) => format!("{}: nothing to execute", all(&format!(" up to {place}"))),
            Goal::Ignore => format!("{}: nothing to ignore", all("")),
            Goal::Baseline(place) => format!("{}: nothing to register", all(&format!(" up to {place}"))),
            Goal::To(Place::Start) => format!("no migration is registered on {database}: nothing to do"),
            Goal::To(place) => format!("{}, and none above: nothing to do", all(&format!(" up to {place}"))),
            Goal::RollBack(Back::To(place)) if *place != Place::Start => {
                format!("no migration above {place} is registered on {database}: nothing to roll back")
            }
            Goal::RollBack(Back::LastRun) => {
                format!("no migration of the last run is registered on {database}: nothing to roll back")
            }
            Goal::RollBack(_) => format!("no migration is registered on {database}: nothing to roll back"),
            Goal::One(Direction::Accept, _) => {
                format!("nothing to accept on {database}: the registry has the name and the code that the file has")
            }
            Goal::One(..) | Goal::Redo(_) | Goal::Forget(_) => format!("nothing to do on {database}"),
        }
    }
}

impl Goal<'_> {
    /// Whether it runs the `up` of migrations.
    pub(super) fn runs_forwards(&self) -> bool {
        match self {
            Self::Execute(_) | Self::To(_) | Self::Redo(_) | Self::One(Direction::Up, _) => true,
            Self::Ignore | Self::Baseline(_) | Self::RollBack(_) | Self::One(..) | Self::Forget(_) => false,
        }
    }

    /// Whether it depends on what the last run has registered, which only the log knows.
    pub(super) fn is_about_last_run(&self) -> bool {
        matches!(self, Self::RollBack(Back::LastRun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::plan::tests::migration;

    #[test]
    fn a_place_is_a_number_a_migration_or_the_start() {
        let migrations = ["1_a", "02_b", "2_c", "10_d"].map(migration);
        let covered = |word: &str| -> Result<Vec<&str>, String> {
            let place = Place::read_or_start(word, &migrations).map_err(|error| error.to_string())?;
            let before = migrations.iter().filter(|migration| place.covers(migration.number(), migration.stem()));
            Ok(before.map(Migration::stem).collect())
        };
        for word in ["2", "0002", "2_c", "2_c.rs"] {
            assert_eq!(covered(word).unwrap(), ["1_a", "02_b", "2_c"], "{word}");
        }
        assert_eq!(covered("02_b").unwrap(), ["1_a", "02_b"]);
        assert_eq!(covered("10").unwrap().len(), 4);
        assert!(covered("0").unwrap().is_empty());
        assert_eq!(covered("7"), Err("there is no migration `7`".into()), "a typing mistake would do too much");
        assert!(Place::read("0", &migrations).is_err());
        let with_zero = [migration("0_first"), migration("1_a")];
        assert_eq!(Place::read_or_start("0", &with_zero).unwrap(), Place::Number("0".into()));
    }
}
