//! What shell completion offers of a manager: its subtasks with what their declarations say, and its environments.

use std::path::PathBuf;

use super::Subtasks;
use super::declaration::First;
use super::subtask::Subtask;
use crate::completion::{self, Named, Values, Vocabulary};
use crate::line::flags::TaskFlag;

impl<M> Subtasks<M> {
    /// The names that completion offers. `dumps` is the folder of the dumps.
    pub(crate) fn vocabulary(&self, dumps: PathBuf) -> Vocabulary {
        Vocabulary {
            subtasks: self.iter().map(subtask).collect(),
            environments: self.environments().iter().map(|env| named(&env.name, &env.help)).collect(),
            dumps: Some(dumps),
        }
    }
}

fn subtask<M>(subtask: &Subtask<M>) -> completion::Subtask {
    let (values, needs_value) = values(subtask.first());
    completion::Subtask {
        named: named(subtask.name(), &subtask.summary()),
        values,
        needs_value,
        options: subtask.options().into_iter().map(str::to_owned).collect(),
        flags: TaskFlag::all().filter(|flag| subtask.takes_flag(*flag)).map(|flag| flag.as_str().to_owned()).collect(),
    }
}

fn those(words: &[&str]) -> Values {
    Values::Words(words.iter().map(|word| (*word).to_owned()).collect())
}

/// What the first plain value is, and whether it has to be given.
fn values(first: First) -> (Values, bool) {
    match first {
        First::Anything => (Values::Unknown, false),
        First::Nothing => (Values::Nothing, false),
        First::Migration | First::MigrationWithoutFile => (Values::Migrations, false),
        First::NeedsMigration | First::MigrationOrNamed | First::NeedsPlace { .. } => (Values::Migrations, true),
        // The name of a migration without a file is only in the database.
        First::NeedsMigrationWithoutFile => (Values::Unknown, true),
        First::NeedsDump => (Values::Dumps, true),
        First::Subtask | First::Task => (Values::Subtasks, false),
        First::OneOf(words) => (those(words), false),
        First::NeedsOneOf(words) => (those(words), true),
    }
}

/// The name, and the first line of the help: shells show one line.
fn named(name: &str, help: &str) -> Named {
    let line = help.trim().lines().next().unwrap_or_default();
    let line = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Named { name: name.to_owned(), help: line }
}
