//! Asking a person.

use tokio::sync::Mutex;

use super::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::line::Task;
use crate::model::Direction;
use crate::report::{capitalized, migrations};
use crate::run::Confirmed;
use crate::run::plan::{self, Plan};
use crate::terminal::{self, stdin};

/// How many of a plan's steps are shown.
const SHOWN: usize = 50;

/// One question at a time.
static ASKING: Mutex<()> = Mutex::const_new(());

impl Context {
    /// Asks a person to confirm, on the terminal. `--yes` answers for them.
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

    /// Asks a built-in's question, unless the task was already confirmed for several databases at once.
    pub(crate) async fn confirm_once(&self, question: &str) -> Result<(), Error> {
        if self.is_confirmed() { Ok(()) } else { self.confirm(question).await }
    }

    /// Asks before what cannot be undone: in an environment that asks, its name has to be typed.
    pub(crate) async fn confirm_by_name(&self, question: &str) -> Result<(), Error> {
        let Some(name) = self.asking_environment() else { return self.confirm_once(question).await };
        if self.is_confirmed() || self.is_answered()? {
            return Ok(());
        }
        let answer = ask(&format!("{question} Type `{name}` to go on:")).await;
        yes_or_refuse(answer.trim() == name)
    }

    /// Shows what is about to run and asks, if the environment says so or `always`.
    pub(crate) async fn confirm_plan(&self, always: bool, database: &str, plan: &Plan<'_>) -> Result<Confirmed> {
        if !always && self.asking_environment().is_none() {
            return Ok(Confirmed::NotAsked);
        }
        if let Some(shown) = &*self.site().confirmed.borrow() {
            let is_shown = plan_steps(plan).iter().all(|step| shown.contains(step));
            return if is_shown { Ok(Confirmed::Exactly) } else { Err(plan::more_than_confirmed().into()) };
        }
        for line in plan_lines(plan) {
            self.reporter().notice("Plan", line);
        }
        let question = question(plan, &self.place(database));
        // What is rolled back may be lost.
        if plan.undoes() {
            self.confirm_by_name(&question).await?
        } else {
            self.confirm(&question).await?
        }
        Ok(Confirmed::Exactly)
    }

    /// Asks before a task that shows no plan, if the environment says so.
    pub(crate) async fn confirm_task(&self, task: &Task) -> Result<(), Error> {
        if self.asking_environment().is_none() || self.is_confirmed() {
            return Ok(());
        }
        self.confirm(&format!("Run {task} on {}?", self.place(self.site().database()))).await
    }

    /// Whether there is no need to ask. An error if there is no terminal to ask on.
    fn is_answered(&self) -> Result<bool, Error> {
        if self.yes() {
            return Ok(true);
        }
        if terminal::can_ask() {
            return Ok(false);
        }
        let message = "confirmation is needed, but there is no terminal. Nothing was changed";
        Err(Error::new(ErrorKind::Refused, message).with_hint("pass `--yes` if you are sure"))
    }

    fn is_confirmed(&self) -> bool {
        self.site().confirmed.borrow().is_some()
    }

    /// Whether the task works on several databases, and this is one of them.
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

/// `Roll back 2 migrations, execute 1 on blog (production)?`
fn question(plan: &Plan<'_>, place: &str) -> String {
    let first = plan.steps.first().map(|step| step.direction);
    let count = migrations(plan.steps.len());
    match first.filter(|first| plan.steps.iter().all(|step| step.direction == *first)) {
        Some(Direction::Up) => format!("Execute {count} on {place}?"),
        Some(Direction::Down) => format!("Roll back {count} on {place}?"),
        Some(Direction::Ignore | Direction::Adopt) => format!("Register {count} on {place} without running?"),
        Some(Direction::Accept) => format!("Register what the file of {count} has now on {place}?"),
        Some(Direction::Forget) => format!("Take {count} out of the registry of {place}?"),
        None => format!("{} on {place}?", capitalized(&plan.tally().request())),
    }
}

/// What a plan does with which migration.
pub(crate) fn plan_steps(plan: &Plan<'_>) -> Vec<(Direction, String)> {
    plan.steps.iter().map(|step| (step.direction, step.migration.stem().to_owned())).collect()
}

/// The steps of a plan, a line for each, up to a readable number.
pub(crate) fn plan_lines(plan: &Plan<'_>) -> Vec<String> {
    let mut lines: Vec<String> = plan.steps.iter().take(SHOWN).map(ToString::to_string).collect();
    if let Some(more @ 1..) = plan.steps.len().checked_sub(SHOWN) {
        let last = plan.steps.last().map(|step| step.migration.stem()).unwrap_or_default();
        lines.push(format!("and {more} more, up to {last}"));
    }
    lines
}

async fn ask(question: &str) -> String {
    let _alone = ASKING.lock().await;
    terminal::question(question);
    stdin::line().await.unwrap_or_default()
}

fn yes_or_refuse(is_yes: bool) -> Result<(), Error> {
    if is_yes { Ok(()) } else { Err(Error::new(ErrorKind::Refused, "not confirmed. Nothing was changed")) }
}
