//! Applies an environment to the manager's configuration.

use futures_util::future::LocalBoxFuture;

use super::Environment;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::process::panics;

impl Environment {
    /// Returns the manager's configuration with this environment's changes.
    ///
    /// # Errors
    /// The environment's variable is not set, or the team's own code fails or panics.
    pub(crate) async fn config(&self, mut config: Config) -> Result<Config> {
        if let Some(variable) = &self.mongo_uri_var {
            config.mongo_uri = Some(self.uri_of(variable, &config)?);
            config.is_uri_from_variable = true;
            config.mongo_uri_source = variable.clone();
        }
        if let Some(database) = &self.mongo_database {
            config = config.for_database(database);
        }
        let Some(configure) = &self.configure else { return Ok(config) };
        // A server that this code sets wins over one that the manager's configuration or MONGO_URI names. So those are taken
        // out before the code runs, and put back if it sets none. A server from the environment's own variable stays.
        let general =
            if self.mongo_uri_var.is_none() { Some((config.mongo_uri.take(), config.mongo_host.take())) } else { None };
        let configured = panics::catch_async(configure.call(config)).await;
        let failed =
            |error| Error::usage(format!("the environment `{}` could not be configured", self.name)).caused_by(error);
        let mut config = match configured {
            Ok(Ok(config)) => config,
            Ok(Err(error)) => return Err(failed(error).into()),
            Err(panic) => return Err(failed(format!("it panicked: {panic}").into()).into()),
        };
        if let Some((uri, host)) = general {
            if config.mongo_uri.is_some() {
                config.mongo_uri_source = format!("the environment `{}`", self.name);
            } else if config.mongo_host.is_none() {
                (config.mongo_uri, config.mongo_host) = (uri, host);
            }
        }
        Ok(config)
    }

    /// Returns the connection string in the environment's variable.
    fn uri_of(&self, variable: &str, config: &Config) -> Result<String, Error> {
        config.variable(variable)?.ok_or_else(|| {
            Error::usage(format!("the environment `{}` takes its server from {variable}, which is not set", self.name))
                .with_hint(format!("set {variable}: mongodb://host:27017/database"))
        })
    }
}

/// The team's own code that [`Environment::configure`] takes.
pub(super) trait Configure {
    fn call(&self, config: Config) -> LocalBoxFuture<'_, Result<Config>>;
}

impl<F: AsyncFn(Config) -> Result<Config>> Configure for F {
    fn call(&self, config: Config) -> LocalBoxFuture<'_, Result<Config>> {
        Box::pin(self(config))
    }
}
