//! Asking a person.

use tokio::sync::Mutex;

use super::Context;
use crate::error::{Error, ErrorKind};
use crate::model::verb::Verb;
use crate::run::plan::{Plan, Step};
use crate::terminal;
use crate::terminal::stdin;

/// So many of a plan's steps are shown.
const SHOWN: usize = 50;

/// One question at a time.
static ASKING: Mutex<()> = Mutex::const_new(());

impl Context {
    /// Asks a person to confirm, on the terminal; `--yes` answers for them.
    ///
    /// # Errors
    /// The answer is no, or there is neither a terminal nor `--yes`. Exit code 3.
    pub async fn confirm(&self, question: &str) -> Result<(), Error> {
        if self.is_answered()? {
            return Ok(());
        }
        let answer = ask(&format!("{question} [y/N]")).await;
        yes_or_refuse(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// A built-in's question: that was answered already where the task was confirmed for several databases at once.
    pub(crate) async fn confirm_once(&self, question: &str) -> Result<(), Error> {
        if self.is_confirmed() { Ok(()) } else { self.confirm(question).await }
    }

    /// The same for what cannot be taken back: in an environment that asks, its name has to be typed.
    pub(crate) async fn confirm_by_name(&self, question: &str) -> Result<(), Error> {
        let Some(name) = self.asking_environment() else { return self.confirm_once(question).await };
        if self.is_confirmed() || self.is_answered()? {
            return Ok(());
        }
        let answer = ask(&format!("{question} Type `{name}` to go on:")).await;
        yes_or_refuse(answer.trim() == name)
    }

    /// Whether the environment asks before anything is changed.
    pub(crate) fn asks(&self) -> bool {
        self.asking_environment().is_some()
    }

    /// Shows what is about to run, and asks, where the environment says so.
    pub(crate) async fn confirm_plan(&self, verb: Verb, database: &str, plan: &Plan<'_>) -> Result<(), Error> {
        if self.asking_environment().is_none() {
            return Ok(());
        }
        if let Some(shown) = &*self.site().confirmed.borrow() {
            let was_shown = |step: &Step<'_>| shown.iter().any(|name| name == step.migration.stem());
            return if plan.steps.iter().all(was_shown) { Ok(()) } else { Err(more_than_confirmed()) };
        }
        for line in plan_lines(plan) {
            self.reporter().notice("Plan", line);
        }
        let count = crate::report::migrations(plan.steps.len());
        match verb {
            Verb::Execute => self.confirm(&format!("Execute {count} on {}?", self.place(database))).await,
            Verb::Ignore => self.confirm(&format!("Register {count} on {} without running?", self.place(database))).await,
            Verb::Rollback => self.confirm_by_name(&format!("Roll back {count} on {}?", self.place(database))).await,
        }
    }

    /// Asks ahead of a subtask that nothing is known of, where the environment says so.
    pub(crate) async fn confirm_subtask(&self, name: &str) -> Result<(), Error> {
        if self.asking_environment().is_none() || self.is_confirmed() {
            return Ok(());
        }
        self.confirm(&format!("Run {name} on {}?", self.place(self.site().database()))).await
    }

    /// Whether there is no need to ask; an error where nobody can be asked.
    fn is_answered(&self) -> Result<bool, Error> {
        if self.yes() {
            return Ok(true);
        }
        if terminal::can_ask() {
            return Ok(false);
        }
        Err(Error::new(
            ErrorKind::Refused,
            "there is no terminal to ask on; `--yes` answers, where you are sure; nothing was changed",
        ))
    }

    fn is_confirmed(&self) -> bool {
        self.site().confirmed.borrow().is_some()
    }

    /// It is one of several databases that the task works on.
    pub(crate) fn is_one_of_many(&self) -> bool {
        self.site().is_one_of_many
    }

    fn asking_environment(&self) -> Option<&str> {
        self.site().environment.as_ref().filter(|environment| environment.asks).map(|environment| environment.name.as_str())
    }

    /// `blog (production)`
    fn place(&self, database: &str) -> String {
        match self.environment() {
            Some(environment) => format!("{database} ({environment})"),
            None => database.to_owned(),
        }
    }
}

/// What a plan does, a line for each migration, as many as can be read.
pub(crate) fn plan_lines(plan: &Plan<'_>) -> Vec<String> {
    let mut lines: Vec<String> = plan.steps.iter().take(SHOWN).map(ToString::to_string).collect();
    if let Some(more @ 1..) = plan.steps.len().checked_sub(SHOWN) {
        let last = plan.steps.last().map(|step| step.migration.stem()).unwrap_or_default();
        lines.push(format!("and {more} more, up to {last}"));
    }
    lines
}

/// Somebody was at work between the question and the lock.
pub(crate) fn more_than_confirmed() -> Error {
    Error::new(
        ErrorKind::Refused,
        "there is more to do than what was confirmed, since somebody was at work meanwhile; nothing has run; run the same \
         command again",
    )
}

async fn ask(question: &str) -> String {
    let _alone = ASKING.lock().await;
    terminal::question(question);
    stdin::line().await.unwrap_or_default()
}

fn yes_or_refuse(is_yes: bool) -> Result<(), Error> {
    if is_yes { Ok(()) } else { Err(Error::new(ErrorKind::Refused, "not confirmed; nothing was changed")) }
}
