//! Where the tasks of a line, or those after an environment's name, work: a configuration, and the connection to what it names.

use std::cell::RefCell;
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};

use super::Line;
use crate::config::Config;
use crate::connect::{self, Connection, Target};
use crate::environment::tunnel::Tunnel;
use crate::environment::{Environment, Place};
use crate::error::{Error, Result};
use crate::mongod;
use crate::report::Reporter;

/// A configuration, and what it leads to.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) environment: Option<Named>,
    pub(crate) config: Config,
    pub(crate) reporter: Reporter,
    /// It is one of several databases that a task works on.
    pub(crate) is_one_of_many: bool,
    /// What was confirmed for all of these at once: the migrations that were shown, where there was a plan.
    pub(crate) confirmed: RefCell<Option<Vec<String>>>,
    is_many: bool,
    /// The dump that was taken last.
    pub(crate) last_dump: RefCell<Option<String>>,
    /// `None` where it is only found out on connecting.
    target: Option<Target>,
    connection: OnceCell<Connection>,
    tunnel_through: Option<String>,
    tunnel: OnceCell<Tunnel>,
    tunnel_opened: Notify,
}

/// What a site knows of its environment.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) asks: bool,
}

impl Site {
    /// Without an environment: the manager's own configuration, looked at when it is first needed.
    pub(crate) fn plain(config: Config, reporter: Reporter) -> Self {
        Self {
            environment: None,
            config,
            reporter,
            is_one_of_many: false,
            confirmed: RefCell::default(),
            is_many: false,
            last_dump: RefCell::default(),
            target: None,
            connection: OnceCell::new(),
            tunnel_through: None,
            tunnel: OnceCell::new(),
            tunnel_opened: Notify::new(),
        }
    }

    /// What an environment makes of the configuration. `needs_server`: its tasks may talk to one, so that it must name one.
    pub(crate) async fn of(
        environment: &Environment,
        config: Config,
        reporter: Reporter,
        needs_server: bool,
    ) -> Result<Self> {
        let mut this = Self::plain(config, reporter);
        this.environment = Some(Named { name: environment.name.clone(), asks: environment.asks });
        this.is_many = environment.is_many();
        if !needs_server {
            return Ok(this);
        }
        this.config = environment.config(this.config).await?;
        if let Place::Tunnel(host) = environment.place() {
            this.tunnel_through = Some(host.to_owned());
        }
        if this.config.names_a_server() || !this.config.local_server {
            this.target = Some(this.find_target(None).await?);
        }
        Ok(this)
    }

    async fn find_target(&self, uri: Option<&str>) -> Result<Target, Error> {
        if self.is_many { Target::of_databases(&self.config, uri).await } else { Target::of(&self.config, uri).await }
    }

    /// The same on one of the server's databases.
    pub(crate) async fn on_database(&self, line: &Line, database: &str) -> Result<Self, Error> {
        let mut this = Self::plain(self.config.clone().mongo_database(database), self.reporter.for_database(database));
        this.environment.clone_from(&self.environment);
        this.is_one_of_many = true;
        this.connection = OnceCell::new_with(Some(self.connection(line).await?.to(database)));
        Ok(this)
    }

    /// Says what is about to be touched.
    pub(crate) fn tell(&self, databases: &str) {
        let Some(environment) = &self.environment else { return };
        let hosts = self.target.as_ref().map_or("a local server", |target| &target.hosts);
        let through = self.tunnel_through.as_ref().map(|host| format!(" (through {host})")).unwrap_or_default();
        let text = format!("{}: {hosts}{through}, {databases}", environment.name);
        // Whoever is asked about it has to know.
        if environment.asks { self.reporter.notice("Environment", text) } else { self.reporter.status("Environment", text) }
    }

    /// The database's name, as far as it is known ahead of the connection.
    pub(crate) fn database(&self) -> &str {
        let named = match &self.target {
            Some(target) => &target.database,
            None => &self.config.mongo_database,
        };
        named.as_deref().unwrap_or_default()
    }

    /// The connection, made when first asked for.
    pub(crate) async fn connection(&self, line: &Line) -> Result<&Connection, Error> {
        self.connection.get_or_try_init(async || self.connect(line).await).await
    }

    async fn connect(&self, line: &Line) -> Result<Connection, Error> {
        let found;
        let target = match &self.target {
            Some(target) => target,
            None => {
                let config = &self.config;
                let local = if config.local_server && !config.names_a_server() {
                    config.check()?;
                    let directory = mongod::local::directory(line.embedded.profile)?;
                    Some(mongod::local::ensure(&directory, &self.reporter).await?.uri())
                } else {
                    None
                };
                found = self.find_target(local.as_deref()).await?;
                let database = found.database.as_ref().map(|name| format!("{name} on ")).unwrap_or_default();
                self.reporter.status("Database", format!("{database}{}", found.hosts));
                &found
            }
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
        let on_command = (line.args.verbose > 1).then(|| Box::new(on_command) as Box<connect::OnCommand>);
        connect::connect(target, proxy, on_command).await
    }

    /// Returns, with what to say, if the tunnel that the connection goes through is lost.
    pub(crate) async fn tunnel_lost(&self) -> Error {
        loop {
            if let Some(tunnel) = self.tunnel.get() {
                return tunnel.lost().await;
            }
            self.tunnel_opened.notified().await;
        }
    }
}
