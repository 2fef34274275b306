//! Environments: names for places to work on, which the line puts ahead of a task.

mod configure;
pub(crate) mod remote;
mod ssh;
pub(crate) mod tunnel;

use std::fmt;
use std::path::PathBuf;

use regex::Regex;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::terminal::far_side;
use configure::Configure;

/// How many databases are worked on at a time, unless set.
const AT_ONCE: usize = 4;

/// A place to work on, by a name that the line puts ahead of a task: `cargo migrations staging execute`.
///
/// It starts from the manager's own configuration, and changes what the tasks after it talk to.
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

/// Which databases of the server an environment is.
#[derive(Clone, Debug)]
pub(crate) enum Databases {
    /// The one that the configuration names.
    One,
    List(Vec<String>),
    /// Those whose whole name matches.
    Matching(String),
}

/// Where an environment's tasks run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'e> {
    Here,
    /// Here, and the server is reached through that host.
    Tunnel(&'e str),
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

    /// Takes the connection string from that environment variable, which must be set; it wins over `MONGO_URI`.
    #[must_use]
    pub fn mongo_uri_var(mut self, variable: impl Into<String>) -> Self {
        self.mongo_uri_var = Some(variable.into());
        self
    }

    /// The database, in place of the one that the manager's configuration names.
    #[must_use]
    pub fn mongo_database(mut self, database: impl Into<String>) -> Self {
        self.mongo_database = Some(database.into());
        self
    }

    /// Changes the configuration by code of the team's: its own settings, or a secret store that is asked. It runs only when
    /// the environment is named, before the line's first task. A server set here wins over one set elsewhere, `MONGO_URI` too; what
    /// it gets has none but that of [`mongo_uri_var`](Self::mongo_uri_var).
    #[must_use]
    pub fn configure(mut self, configure: impl AsyncFn(Config) -> Result<Config> + 'static) -> Self {
        self.configure = Some(Box::new(configure));
        self
    }

    /// Shows what is about to run, and asks on the terminal; without a terminal it is refused (exit 3), unless the line has
    /// `--yes`. For `rollback` and `restore` the environment's name has to be typed. Subtasks that only show something ask
    /// nothing.
    #[must_use]
    pub fn confirm(mut self) -> Self {
        self.asks = true;
        self
    }

    /// Runs the line on another machine, through the OpenSSH client: `deploy@web-1`, a name of `~/.ssh/config`, or
    /// `ssh://deploy@web-1:2222`. There it is `cargo migrations` in the [working directory](Self::working_directory), or the
    /// deployed [manager](Self::manager). The environment is configured there, by what that machine's environment sets.
    #[must_use]
    pub fn on_host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The folder to work in on the [host](Self::on_host); the home folder unless set.
    #[must_use]
    pub fn working_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.working_directory = Some(directory.into());
        self
    }

    /// The manager's binary on the [host](Self::on_host), in place of cargo in a checkout.
    #[must_use]
    pub fn manager(mut self, path: impl Into<PathBuf>) -> Self {
        self.manager = Some(path.into());
        self
    }

    /// Runs here, and reaches the servers through that host, as if this machine were it: the OpenSSH client opens a proxy
    /// (`ssh -D`) on a free loopback port, for as long as the line's tasks in this environment run. Host names are looked up
    /// there, and a replica set's members are all reached.
    #[must_use]
    pub fn ssh_tunnel(mut self, host: impl Into<String>) -> Self {
        self.tunnel = Some(host.into());
        self
    }

    /// Works on several databases of the server (tenants), each with a registry and a lock of its own, some
    /// [at once](Self::at_once), and ends with a summary. One that fails stops no other, and makes the exit code 1.
    #[must_use]
    pub fn databases<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.databases = Databases::List(names.into_iter().map(Into::into).collect());
        self
    }

    /// As [`databases`](Self::databases), for those of the server's databases whose whole name matches a regular expression.
    #[must_use]
    pub fn databases_matching(mut self, pattern: impl Into<String>) -> Self {
        self.databases = Databases::Matching(pattern.into());
        self
    }

    /// How many databases are worked on at a time; 4 unless set.
    #[must_use]
    pub fn at_once(mut self, count: usize) -> Self {
        self.at_once = count.max(1);
        self
    }

    /// Begins no further database once one has failed, as `--fail-fast` does.
    #[must_use]
    pub fn fail_fast(mut self) -> Self {
        self.fails_fast = true;
        self
    }

    pub(crate) fn place(&self) -> Place<'_> {
        match (&self.host, &self.tunnel) {
            // Whoever sent the line here has made the hop already.
            (Some(host), _) if !far_side::is_here() => Place::Host(remote::Host {
                name: host,
                working_directory: self.working_directory.as_deref(),
                manager: self.manager.as_deref(),
            }),
            (_, Some(tunnel)) => Place::Tunnel(tunnel),
            _ => Place::Here,
        }
    }

    /// Whether it is several databases.
    pub(crate) fn is_many(&self) -> bool {
        !matches!(self.databases, Databases::One)
    }

    /// What is wrong with how it was made.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let problem = |text: String| Err(Error::usage(format!("the environment `{}` {text}", self.name)));
        for host in [&self.host, &self.tunnel].into_iter().flatten() {
            if let Some(why) = ssh::bad_host(host) {
                return problem(format!("names the host `{host}`, which cannot be one: {why}"));
            }
        }
        if self.host.is_some() && self.tunnel.is_some() {
            return problem("has both on_host and ssh_tunnel; leave one out".into());
        }
        if self.host.is_none() && (self.manager.is_some() || self.working_directory.is_some()) {
            return problem("has a manager or a working_directory but no host; add on_host(\"user@host\")".into());
        }
        if let Some(directory) = self.working_directory.as_ref().filter(|directory| directory.starts_with("~")) {
            return problem(format!(
                "has the working_directory `{}`; leave out the `~/`: it is looked for in the home folder",
                directory.display()
            ));
        }
        match &self.databases {
            Databases::One => {}
            Databases::List(names) => {
                if names.is_empty() {
                    return problem("has an empty list of databases".into());
                }
                for (index, name) in names.iter().enumerate() {
                    if let Some(why) = crate::connect::bad_database_name(name) {
                        return problem(format!("names the database `{name}`, which cannot be one: {why}"));
                    }
                    if names[..index].contains(name) {
                        return problem(format!("names the database `{name}` twice"));
                    }
                }
            }
            Databases::Matching(pattern) => {
                if let Err(error) = whole(pattern) {
                    let text = error.to_string();
                    let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    return problem(format!("has the pattern `{pattern}`, which is no regular expression: {why}"));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("name", &self.name).field("place", &self.place()).finish_non_exhaustive()
    }
}

/// The pattern, for whole names.
pub(crate) fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}
