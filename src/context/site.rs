//! Where tasks work: a configuration, and the connection to the server and database that it names.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};

use crate::config::Config;
use crate::connect::{self, Connection, Target};
use crate::environment::tunnel::Tunnel;
use crate::environment::{Environment, Route};
use crate::error::{Error, Result};
use crate::model::Direction;
use crate::mongod;
use crate::report::Reporter;

/// A configuration, and the connection that it leads to.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) environment: Option<EnvironmentName>,
    pub(crate) config: Config,
    pub(crate) reporter: Reporter,
    /// Whether the task works on several databases, and this is one of them.
    pub(crate) is_one_of_many: bool,
    /// The steps that were shown when the task was confirmed for several databases at once: what is done with which migration.
    pub(crate) confirmed: RefCell<Option<Vec<(Direction, String)>>>,
    is_many: bool,
    /// Whether the configuration is the environment's. It is not for a subtask that needs none.
    is_configured: bool,
    line_settings: LineSettings,
    /// The last dump that was taken.
    pub(crate) last_dump: RefCell<Option<String>>,
    /// `None` if it is only determined when connecting.
    target: Option<Target>,
    /// What was determined then.
    found: OnceCell<Target>,
    connection: OnceCell<Connection>,
    /// The connection of runs, which says what its commands do. That makes an answer of many documents slow, so only runs use it.
    recorded: OnceCell<Connection>,
    /// The site of all databases, and the name of this one.
    part_of: Option<(Rc<Self>, String)>,
    tunnel_through: Option<String>,
    tunnel: OnceCell<Tunnel>,
    tunnel_opened: Notify,
}

/// What a site needs to know about its line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineSettings {
    /// The profile that the manager was built with.
    pub(crate) profile: &'static str,
    /// Whether every command that is sent to the server is shown.
    pub(crate) shows_commands: bool,
}

/// What a site knows about its environment.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentName {
    pub(crate) name: String,
    pub(crate) asks: bool,
}

impl Site {
    /// A site without an environment. The manager's own configuration is used when it is first needed.
    pub(crate) fn plain(config: Config, reporter: Reporter, line_settings: LineSettings) -> Self {
        Self {
            environment: None,
            config,
            reporter,
            is_one_of_many: false,
            confirmed: RefCell::default(),
            is_many: false,
            is_configured: true,
            line_settings,
            last_dump: RefCell::default(),
            target: None,
            found: OnceCell::new(),
            connection: OnceCell::new(),
            recorded: OnceCell::new(),
            part_of: None,
            tunnel_through: None,
            tunnel: OnceCell::new(),
            tunnel_opened: Notify::new(),
        }
    }

    /// The site of an environment. `needs_server` says that its tasks may use a server, so that it must name one.
    pub(crate) async fn of(
        environment: &Environment,
        config: Config,
        reporter: Reporter,
        line_settings: LineSettings,
        needs_server: bool,
    ) -> Result<Self> {
        let mut this = Self::plain(config, reporter, line_settings);
        this.environment = Some(EnvironmentName { name: environment.name.clone(), asks: environment.asks });
        this.is_many = environment.is_many();
        if !needs_server {
            this.is_configured = false;
            return Ok(this);
        }
        this.config = environment.config(this.config).await?;
        if let Route::Tunnel(host) = environment.route() {
            this.tunnel_through = Some(host.to_owned());
        }
        if this.config.names_a_server() || !this.config.local_server {
            let target = this.find_target(None).await?;
            target.remarks.iter().for_each(|remark| this.reporter.remark(remark));
            this.target = Some(target);
        }
        Ok(this)
    }

    async fn find_target(&self, uri: Option<&str>) -> Result<Target, Error> {
        if self.is_many { Target::of_databases(&self.config, uri).await } else { Target::of(&self.config, uri).await }
    }

    /// The site of one of the server's databases.
    pub(crate) fn on_database(self: &Rc<Self>, database: &str) -> Self {
        let (config, reporter) = (self.config.clone().for_database(database), self.reporter.for_database(database));
        let mut this = Self::plain(config, reporter, self.line_settings);
        this.environment.clone_from(&self.environment);
        this.is_one_of_many = true;
        this.part_of = Some((Rc::clone(self), database.to_owned()));
        this
    }

    /// Reports what the tasks will work on.
    pub(crate) fn announce(&self, databases: &str) {
        let Some(environment) = &self.environment else { return };
        let hosts = self.target.as_ref().map_or("a local server", |target| &target.hosts);
        let through = self.tunnel_through.as_ref().map(|host| format!(" (through {host})")).unwrap_or_default();
        let text = format!("{}: {hosts}{through}, {databases}", environment.name);
        // A person who is asked about it has to know.
        if environment.asks { self.reporter.notice("Environment", text) } else { self.reporter.status("Environment", text) }
    }

    /// The database's name, as far as it is known before connecting.
    pub(crate) fn database(&self) -> &str {
        let named = match &self.target {
            Some(target) => &target.database,
            None => &self.config.mongo_database,
        };
        named.as_deref().unwrap_or_default()
    }

    /// The connection. It is made when it is first asked for.
    pub(crate) async fn connection(&self) -> Result<&Connection, Error> {
        let connect = async || match &self.part_of {
            None => self.connect(false).await,
            Some((all, name)) => Ok(Box::pin(all.connection()).await?.to(name)),
        };
        self.connection.get_or_try_init(connect).await
    }

    /// The connection for a run.
    pub(crate) async fn recorded_connection(&self) -> Result<&Connection, Error> {
        let connect = async || match &self.part_of {
            None => self.connect(true).await,
            Some((all, name)) => Ok(Box::pin(all.recorded_connection()).await?.to(name)),
        };
        self.recorded.get_or_try_init(connect).await
    }

    async fn connect(&self, records: bool) -> Result<Connection, Error> {
        if let Some(environment) = self.environment.as_ref().filter(|_| !self.is_configured) {
            let problem =
                format!("the settings of `{}` were not read: this built-in subtask needs no server", environment.name);
            return Err(Error::usage(problem).with_hint("give the subtask that needs the database a name of its own"));
        }
        let target = match &self.target {
            Some(target) => target,
            None => self.found.get_or_try_init(async || self.found_target().await).await?,
        };
        let proxy = match &self.tunnel_through {
            None => None,
            Some(host) => {
                let tunnel = self.tunnel.get_or_try_init(async || Tunnel::open(host).await).await?;
                self.tunnel_opened.notify_one();
                self.reporter.detail("Tunnel", format!("through {host}, on 127.0.0.1:{}", tunnel.port));
                Some(tunnel.port)
            }
        };
        let reporter = self.reporter.clone();
        let on_command = move |name: &str, took: Duration, is_good: bool| {
            let took = took.as_secs_f64() * 1e3;
            reporter.status("Command", format!("{name} in {took:.1} ms{}", if is_good { "" } else { ", which failed" }));
        };
        let on_command = self.line_settings.shows_commands.then(|| Box::new(on_command) as Box<connect::OnCommand>);
        connect::connect(target, proxy, on_command, records).await
    }

    /// The target as it is determined when connecting. It is reported, once.
    async fn found_target(&self) -> Result<Target, Error> {
        let local = mongod::local::uri_for(&self.config, self.line_settings.profile, &self.reporter).await?;
        let found = self.find_target(local.as_deref()).await?;
        found.remarks.iter().for_each(|remark| self.reporter.remark(remark));
        match &found.database {
            Some(name) if !self.is_many => self.reporter.status("Database", format!("{name} on {}", found.hosts)),
            // The database that the configuration names is not one of them.
            _ => self.reporter.status("Server", &found.hosts),
        }
        Ok(found)
    }

    /// Returns an error once the tunnel of the connection is lost.
    pub(crate) async fn tunnel_lost(&self) -> Error {
        loop {
            if let Some(tunnel) = self.tunnel.get() {
                return tunnel.lost().await;
            }
            self.tunnel_opened.notified().await;
        }
    }
}
