//! Environments: named places to work on. The line names one in front of the tasks that work there.

mod configure;
pub(crate) mod remote;
mod ssh;
pub(crate) mod tunnel;

use std::fmt;
use std::path::PathBuf;

use regex::Regex;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::terminal::hop;
use configure::Configure;

/// The default number of databases that are worked on at the same time.
const AT_ONCE: usize = 4;

/// A named place to work on. The line names it in front of the tasks: `cargo migrations staging execute`.
///
/// An environment starts from the manager's own configuration, and changes which server and databases the tasks after it
/// work on, or the machine that they run on.
///
/// ```
/// use cargo_migrations::prelude::*;
///
/// struct Migrations;
///
/// impl MigrationsManager for Migrations {
///     fn subtasks(subtasks: Subtasks<Self>) -> Subtasks<Self> {
///         subtasks
///             .environment("staging", "The staging cluster", |env| env.mongo_uri_var("STAGING_MONGO_URI"))
///             .environment("production", "The real one", |env| {
///                 env.confirm().ssh_tunnel("deploy@web-1").configure(async |config| {
///                     let password = std::fs::read_to_string("/run/secrets/mongo")?;
///                     Ok(config.mongo_host("db-1").mongo_user("deploy").mongo_user_password(password.trim()))
///                 })
///             })
///             .environment("web", "On the web server", |env| env.on_host("deploy@web-1").working_directory("/srv/blog"))
///             .environment("tenants", "Every tenant's database", |env| {
///                 env.mongo_uri_var("TENANTS_MONGO_URI").databases_matching("tenant_[0-9]+").at_once(8)
///             })
///     }
/// }
/// ```
pub struct Environment {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) asks: bool,
    pub(crate) databases: Databases,
    pub(crate) at_once: usize,
    pub(crate) fails_fast: bool,
    host: Option<String>,
    tunnel: Option<String>,
    working_directory: Option<PathBuf>,
    manager: Option<PathBuf>,
    mongo_uri_var: Option<String>,
    mongo_database: Option<String>,
    configure: Option<Box<dyn Configure>>,
}

/// Which databases of the server an environment covers.
#[derive(Clone, Debug)]
pub(crate) enum Databases {
    /// The one that the configuration names.
    One,
    List(Vec<String>),
    /// The databases whose full name matches the pattern.
    Matching(String),
}

/// Where an environment's tasks run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route<'e> {
    Here,
    /// On this machine; the server is reached through this host.
    Tunnel(&'e str),
    /// On another machine.
    Host(remote::Host<'e>),
}

impl Environment {
    pub(crate) fn new(name: String, help: String) -> Self {
        Self {
            name,
            help,
            asks: false,
            databases: Databases::One,
            at_once: AT_ONCE,
            fails_fast: false,
            host: None,
            tunnel: None,
            working_directory: None,
            manager: None,
            mongo_uri_var: None,
            mongo_database: None,
            configure: None,
        }
    }

    /// Takes the connection string from this environment variable, which must be set. It wins over `MONGO_URI`, and its path over
    /// the database that the manager's code names.
    #[must_use]
    pub fn mongo_uri_var(mut self, variable: impl Into<String>) -> Self {
        self.mongo_uri_var = Some(variable.into());
        self
    }

    /// Sets the database. It wins over everything else that names one: the manager's configuration, `MONGO_DATABASE`, and the path
    /// of a connection string.
    #[must_use]
    pub fn mongo_database(mut self, database: impl Into<String>) -> Self {
        self.mongo_database = Some(database.into());
        self
    }

    /// Changes the configuration with the team's own code, which can ask a secret store, for example.
    ///
    /// It runs only when the line names the environment, before the line's first task. The configuration that it gets has
    /// the server of [`mongo_uri_var`](Self::mongo_uri_var), or none. A server that it sets wins over every other one, even
    /// that of `MONGO_URI`.
    #[must_use]
    pub fn configure(mut self, configure: impl AsyncFn(Config) -> Result<Config> + 'static) -> Self {
        self.configure = Some(Box::new(configure));
        self
    }

    /// Shows what will run, and asks for confirmation on the terminal.
    ///
    /// Without a terminal the task is refused (exit code 3), unless the line has `--yes`. For `rollback` and `restore` the
    /// user has to type the environment's name. Subtasks that only show something do not ask.
    #[must_use]
    pub fn confirm(mut self) -> Self {
        self.asks = true;
        self
    }

    /// Runs the line on another machine, through the OpenSSH client.
    ///
    /// `host` is what `ssh` takes: `deploy@web-1`, a name in `~/.ssh/config`, or `ssh://deploy@web-1:2222`. On that machine
    /// `cargo migrations` runs in the [working directory](Self::working_directory), or the deployed
    /// [manager](Self::manager). The configuration is read there, with the environment variables of that machine.
    #[must_use]
    pub fn on_host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sets the folder to work in on the [host](Self::on_host); the home folder unless set.
    #[must_use]
    pub fn working_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.working_directory = Some(directory.into());
        self
    }

    /// Sets the path of the manager's binary on the [host](Self::on_host), which is then run instead of cargo in a checkout.
    #[must_use]
    pub fn manager(mut self, path: impl Into<PathBuf>) -> Self {
        self.manager = Some(path.into());
        self
    }

    /// Runs on this machine, and reaches the servers through another host.
    ///
    /// The OpenSSH client opens a SOCKS proxy (`ssh -D`) on a free loopback port while the line's tasks in this environment
    /// run. Host names are looked up on the other host, so that all members of a replica set can be reached.
    #[must_use]
    pub fn ssh_tunnel(mut self, host: impl Into<String>) -> Self {
        self.tunnel = Some(host.into());
        self
    }

    /// Works on several databases of the server (tenants), each with its own registry and lock.
    ///
    /// Several are worked on [at once](Self::at_once), and a summary is shown at the end. If a task fails on one of them,
    /// the others are still worked on, and the exit code is 1.
    #[must_use]
    pub fn databases<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.databases = Databases::List(names.into_iter().map(Into::into).collect());
        self
    }

    /// Works on those of the server's databases whose full name matches a regular expression. See
    /// [`databases`](Self::databases).
    #[must_use]
    pub fn databases_matching(mut self, pattern: impl Into<String>) -> Self {
        self.databases = Databases::Matching(pattern.into());
        self
    }

    /// Sets how many databases are worked on at the same time; 4 unless set.
    #[must_use]
    pub fn at_once(mut self, count: usize) -> Self {
        self.at_once = count.max(1);
        self
    }

    /// Starts no further database once a task has failed on one, as `--fail-fast` does.
    #[must_use]
    pub fn fail_fast(mut self) -> Self {
        self.fails_fast = true;
        self
    }

    /// Returns where the tasks run.
    pub(crate) fn route(&self) -> Route<'_> {
        match (&self.host, &self.tunnel) {
            // A line that another machine has sent here is not sent on.
            (Some(host), _) if !hop::is_here() => Route::Host(remote::Host {
                name: host,
                working_directory: self.working_directory.as_deref(),
                manager: self.manager.as_deref(),
            }),
            (_, Some(tunnel)) => Route::Tunnel(tunnel),
            _ => Route::Here,
        }
    }

    /// Whether the environment covers several databases.
    pub(crate) fn is_many(&self) -> bool {
        !matches!(self.databases, Databases::One)
    }

    /// Returns an error if the environment's settings are invalid or contradict each other.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let error = |text: String| Error::usage(format!("the environment `{}` {text}", self.name));
        for host in [&self.host, &self.tunnel].into_iter().flatten() {
            if let Some(why) = ssh::bad_host(host) {
                return Err(error(format!("has the invalid host name `{host}`: {why}")));
            }
        }
        if self.host.is_some() && self.tunnel.is_some() {
            return Err(error("has both on_host and ssh_tunnel".into()).with_hint("remove one of them"));
        }
        if self.host.is_none() && (self.manager.is_some() || self.working_directory.is_some()) {
            return Err(
                error("has a manager or a working_directory, but no host".into()).with_hint("add on_host(\"user@host\")")
            );
        }
        if let Some(directory) = self.working_directory.as_ref().filter(|directory| directory.starts_with("~")) {
            return Err(error(format!("has the working_directory `{}`, where `~` is not expanded", directory.display()))
                .with_hint("drop the `~/`: a relative path starts in the home folder"));
        }
        match &self.databases {
            Databases::One => {}
            Databases::List(names) => {
                if names.is_empty() {
                    return Err(error("has an empty list of databases".into()));
                }
                for (index, name) in names.iter().enumerate() {
                    if let Some(why) = crate::connect::bad_database_name(name) {
                        return Err(error(format!("has the invalid database name `{name}`: {why}")));
                    }
                    if names[..index].contains(name) {
                        return Err(error(format!("names the database `{name}` twice")));
                    }
                }
            }
            Databases::Matching(pattern) => {
                if let Err(invalid) = full_match(pattern) {
                    let text = invalid.to_string();
                    let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    return Err(error(format!(
                        "has the pattern `{pattern}`, which is not a valid regular expression: {why}"
                    )));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("name", &self.name).field("route", &self.route()).finish_non_exhaustive()
    }
}

/// Returns a regular expression that matches only if the full text matches the pattern.
pub(crate) fn full_match(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}
