//! The environments that a manager has.

use super::{MigrationsManager, Subtasks};
use crate::environment::Environment;
use crate::error::Error;
use crate::line::words::listed;

impl<M: MigrationsManager> Subtasks<M> {
    /// Adds an environment: a name that, before a task (`cargo migrations staging execute`) or after `--env`, changes what the
    /// tasks after it talk to. See [`Environment`] for what it can do; with nothing said it is the manager's configuration.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// struct Migrations;
    ///
    /// impl MigrationsManager for Migrations {
    ///     fn subtasks(subtasks: Subtasks<Self>) -> Subtasks<Self> {
    ///         subtasks.environment("staging", "The staging cluster", |env| env.mongo_uri_var("STAGING_MONGO_URI").confirm())
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn environment(
        mut self,
        name: impl Into<String>,
        help: impl Into<String>,
        make: impl FnOnce(Environment) -> Environment,
    ) -> Self {
        self.environments.push(make(Environment::new(name.into(), help.into())));
        self
    }
}

impl<M> Subtasks<M> {
    /// The environment of that name.
    pub(crate) fn environment_named(&self, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.name == name)
    }

    /// The environment of that name, or an error that lists them.
    pub(crate) fn find_environment(&self, name: &str) -> Result<&Environment, Error> {
        self.environment_named(name).ok_or_else(|| {
            let names = self.environments.iter().map(|environment| environment.name.as_str());
            let known = match self.environments.len() {
                0 => "the manager has none (`Subtasks::environment` adds one)".into(),
                _ => format!("there are {}", listed(names)),
            };
            Error::usage(format!("no environment is named `{name}`; {known}"))
        })
    }

    pub(crate) fn environments(&self) -> &[Environment] {
        &self.environments
    }
}
