//! Reads the server and the database from a configuration, without connecting.

use std::time::{Duration, Instant};

use mongodb::error::ErrorKind as DriverErrorKind;
use mongodb::options::{ClientOptions, Credential, ServerAddress};

use crate::config::Config;
use crate::error::Error;
use crate::error::describe;
use crate::terminal;

/// The default timeout of the first contact; `serverSelectionTimeoutMS` in the connection string overrides it.
const FIRST_CONTACT: Duration = Duration::from_millis(4500);

/// The server to connect to, and the database. Only the name service has been asked so far.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(super) options: ClientOptions,
    /// The database's name; always set by [`Target::of`].
    pub(crate) database: Option<String>,
    /// The configured hosts, as messages show them.
    pub(crate) hosts: String,
    /// Where the connection string comes from: the name of a variable, as a rule.
    pub(super) source: String,
    /// The timeout of the first contact.
    pub(super) first_contact: Duration,
}

impl Target {
    /// Returns the server and the database that the configuration names. Where it names no server, `fallback_uri` is used.
    pub(crate) async fn of(config: &Config, fallback_uri: Option<&str>) -> Result<Self, Error> {
        let target = Self::of_databases(config, fallback_uri).await?;
        if target.database.is_none() {
            return Err(Error::usage("no database is configured").with_hint(
                "set MONGO_DATABASE or `mongo_database` in the manager's config, or add the name to MONGO_URI: \
                 mongodb://host:27017/DATABASE",
            ));
        }
        Ok(target)
    }

    /// As [`Target::of`], for an environment that lists its databases itself: the configuration need not name one.
    pub(crate) async fn of_databases(config: &Config, fallback_uri: Option<&str>) -> Result<Self, Error> {
        config.check()?;
        let started = Instant::now();
        let options = options(config, fallback_uri).await?;
        let database = config.mongo_database.clone().or_else(|| options.default_database.clone());
        let database = database.filter(|name| !name.is_empty());
        if let Some((name, problem)) = database.as_deref().and_then(|name| Some((name, bad_database_name(name)?))) {
            return Err(Error::usage(format!("`{name}` is not a valid database name: {problem}")));
        }
        // The time that an SRV lookup took is part of the timeout.
        let first_contact = options.server_selection_timeout.unwrap_or(FIRST_CONTACT.saturating_sub(started.elapsed()));
        let hosts = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Ok(Self { options, database, hosts, source: config.mongo_uri_source.clone(), first_contact })
    }
}

/// Returns the driver's options, from the connection string or from migopy's parts.
async fn options(config: &Config, fallback_uri: Option<&str>) -> Result<ClientOptions, Error> {
    if let Some(uri) = config.mongo_uri.as_deref() {
        return parse(uri, &config.mongo_uri_source).await;
    }
    if let Some(host) = &config.mongo_host {
        return from_parts(config, host);
    }
    match fallback_uri {
        Some(uri) => parse(uri, &config.mongo_uri_source).await,
        None => Err(Error::usage("no MongoDB server is configured").with_hint(
            "set MONGO_URI (mongodb://host:27017/database) or MONGO_HOST, or `mongo_uri` in the manager's config",
        )),
    }
}

/// Parses a connection string that comes from `source`. Its password is masked in all output from then on.
async fn parse(uri: &str, source: &str) -> Result<ClientOptions, Error> {
    let without_user = without_user(uri);
    // A connection string that cannot be parsed is never shown: the part that is wrong may be the password.
    let parsed = tokio::time::timeout(FIRST_CONTACT, ClientOptions::parse(uri)).await;
    let error = match parsed {
        Ok(Ok(options)) => {
            if let Some(password) = options.credential.as_ref().and_then(|credential| credential.password.as_deref()) {
                terminal::keep_secret(password);
            }
            raw_password(uri).into_iter().for_each(terminal::keep_secret);
            return Ok(options);
        }
        Ok(Err(error)) => Some(error),
        Err(_) => None,
    };
    let host = without_user.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    match error.as_ref().map(|error| &*error.kind) {
        None | Some(DriverErrorKind::DnsResolve { .. }) => {
            Err(Error::failed(format!("the name service has no SRV record for {host}"))
                .with_hint(format!("check the host name in {source}, and that DNS works on this machine")))
        }
        // Checked by the driver's error, not by our feature: another package may have enabled the driver's resolver.
        Some(DriverErrorKind::InvalidArgument { message, .. }) if message.contains("'dns-resolver'") => Err(Error::usage(
            format!("{source} is a mongodb+srv:// address, but this manager is built without the feature `srv`"),
        )
        .with_hint("enable it for cargo-migrations in the manager's Cargo.toml: features = [\"manager\", \"srv\"]")),
        Some(_) if uri != without_user && ClientOptions::parse(&without_user).await.is_ok() => {
            Err(Error::usage(format!("{source} has a user name or password that cannot be read")).with_hint(
                "percent-encode every character in them that is not a letter or digit (`@` is %40, `:` is %3A, `/` is %2F, \
                 `%` is %25)",
            ))
        }
        Some(_) => {
            // Options may hold a password as well.
            let reason = match ClientOptions::parse(&without_user).await {
                Err(error) if !without_user.to_lowercase().contains("password") => {
                    describe::driver(&error).replace("An invalid argument was provided: ", "")
                }
                _ => "it cannot be read".into(),
            };
            Err(Error::usage(format!("{source} is not a valid connection string ({reason})"))
                .with_hint("write it as mongodb://host:27017/database"))
        }
    }
}

/// Returns the driver's options for a host and the other parts of the configuration.
fn from_parts(config: &Config, host: &str) -> Result<ClientOptions, Error> {
    let invalid = |_| {
        // With an `@` it may be part of a connection string, including the password.
        let value = if host.contains('@') { String::new() } else { format!(" `{host}`") };
        Error::usage(format!("the configured host{value} is not a valid host name"))
            .with_hint("check MONGO_HOST, or use MONGO_URI")
    };
    let address = match ServerAddress::parse(host).map_err(invalid)? {
        ServerAddress::Tcp { host, port } => ServerAddress::Tcp { host, port: port.or(Some(config.mongo_port)) },
        other => other,
    };
    let credential = match (&config.mongo_user, &config.mongo_user_password) {
        (Some(user), password) => {
            if let Some(password) = password {
                terminal::keep_secret(password);
            }
            let mut credential = Credential::default();
            credential.username = Some(user.clone());
            credential.password = password.clone();
            credential.source = config.mongo_database.clone();
            Some(credential)
        }
        (None, Some(_)) => {
            return Err(Error::usage("a password is configured (MONGO_USER_PASSWORD), but no user")
                .with_hint("set MONGO_USER as well"));
        }
        (None, None) => None,
    };
    let mut options = ClientOptions::default();
    options.hosts = vec![address];
    options.credential = credential;
    Ok(options)
}

/// Returns the connection string without its user and password.
///
/// All that stands between `://` and the last `@` is left out, because a password that is not encoded may hold any
/// character, even a `?` or `/`.
fn without_user(uri: &str) -> String {
    match (uri.split_once("://"), uri.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => uri.to_owned(),
    }
}

/// Returns the password as it stands in the connection string, still percent-encoded.
fn raw_password(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let (user, _) = rest.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// Returns why the server would refuse this name for a database, or `None` if the name is valid.
pub(crate) fn bad_database_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > 63 {
        Some("it has more than 63 bytes")
    } else if name.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
        Some("it contains a `/`, `\\`, `.`, `\"`, `$` or space")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::variables;

    /// The exit code, and the message with the hint below it.
    fn failure(uri: &str) -> (u8, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(parse(uri, variables::MONGO_URI)).unwrap_err();
        (error.exit_code(), format!("{error}\n{}", error.hint().unwrap()))
    }

    #[test]
    fn an_invalid_connection_string_is_reported_without_its_password() {
        for uri in [
            "mongodb://deploy:hu@sh/er@db-1/blog",
            "mongodb://deploy:hush%@db-1/blog",
            "mongodb://de/ploy:hush@db-1/blog",
            "mongodb://deploy:hu?sh@db-1/blog",
            "mongodb://deploy:1234?hush@db-1/blog",
            "mongodb://deploy:hu@sh?x=1@db-1/blog",
        ] {
            let (code, text) = failure(uri);
            assert_eq!(code, 2, "{uri}");
            assert!(text.contains("percent-encode") && !text.contains("hu"), "{uri}: {text}");
        }
        for uri in [
            "localhost:27017",
            "http://deploy:hush@db-1",
            "mongodb://deploy:hush@db-1:port/blog",
            "mongodb://h:1/?tlsCertificateKeyFilePassword=hush&x",
            "",
        ] {
            let (code, text) = failure(uri);
            assert_eq!(code, 2, "{uri}");
            assert!(
                text.starts_with("MONGO_URI is not a valid connection string") && !text.contains("hush"),
                "{uri}: {text}"
            );
        }
    }

    #[test]
    fn names_that_the_server_would_refuse() {
        assert!(bad_database_name("blog").is_none());
        assert!(bad_database_name("a.b").is_some());
        assert!(bad_database_name(&"x".repeat(64)).is_some());
    }
}
