//! The task that `plan` is about.

use super::Subtasks;
use super::declaration::ToGoal;
use crate::context::Options;
use crate::error::Error;
use crate::line::words::listed;
use crate::line::{Task, TaskOption};

impl<M> Subtasks<M> {
    /// The options of a task that asks for a run.
    ///
    /// # Errors
    /// There is no such subtask, it has no plan, or its options are wrong.
    pub(crate) fn planned(&self, task: &Task) -> Result<Options, Error> {
        let subtask = self.find(&task.name)?;
        if subtask.goal().is_none() {
            let with_plan = self.iter().filter(|subtask| subtask.goal().is_some()).map(|subtask| subtask.name());
            return Err(Error::usage(format!("{} is not about migrations, so there is no plan for it", task.name))
                .with_hint(format!("these have a plan: {}", listed(with_plan))));
        }
        subtask.read(task)
    }

    /// What the task with these options asks for, and the name of its subtask.
    pub(crate) fn goal_of(&self, options: &Options) -> Result<(&'static str, ToGoal), Error> {
        let declaration = self.find(options.subtask())?.declaration();
        let goal = declaration.and_then(|declaration| Some((declaration.name, declaration.goal?)));
        goal.ok_or_else(|| Error::usage(format!("there is no plan for {}", options.subtask())))
    }
}

/// The task of `plan:rollback,to=0004`. A second colon does what a comma does, as in `plan:rollback:to=0004`.
pub(crate) fn task_in(options: &[TaskOption]) -> Option<Task> {
    let (first, rest) = options.split_first()?;
    let (text, value) = match first {
        TaskOption::Plain(text) => (text, None),
        TaskOption::Keyed { key, value } => (key, Some(value)),
    };
    let (name, option) = match text.split_once(':') {
        Some((name, option)) => (name, Some(option)),
        None => (text.as_str(), None),
    };
    let option = match (option, value) {
        (Some(key), Some(value)) => Some(TaskOption::Keyed { key: key.to_owned(), value: value.clone() }),
        (Some(text), None) => Some(TaskOption::Plain(text.to_owned())),
        // `plan:to=3` has no task before its option.
        (None, Some(_)) => return None,
        (None, None) => None,
    };
    Some(Task { name: name.to_owned(), options: option.into_iter().chain(rest.iter().cloned()).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_and_its_options_follow_in_either_form() {
        let task = |word: &str| {
            let task: Task = word.parse().unwrap();
            task_in(&task.options).map(|task| task.to_string())
        };
        for (word, expected) in [
            ("plan:execute", "execute"),
            ("plan:execute,0002_x", "execute:0002_x"),
            ("plan:execute:0002_x", "execute:0002_x"),
            ("plan:rollback,to=0004", "rollback:to=0004"),
            ("plan:rollback:to=0004", "rollback:to=0004"),
            ("plan,to,0002", "to:0002"),
        ] {
            assert_eq!(task(word).as_deref(), Some(expected), "{word}");
        }
        assert_eq!(task("plan"), None);
        assert_eq!(task("plan:to=3"), None);
    }
}
