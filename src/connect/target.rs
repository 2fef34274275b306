//! What a configuration names: the driver's options, a database, and the hosts as people know them.

use std::time::{Duration, Instant};

use mongodb::error::ErrorKind as DriverErrorKind;
use mongodb::options::{ClientOptions, Credential, ServerAddress};

use crate::config::Config;
use crate::error::Error;
use crate::error::describe;
use crate::terminal;

/// How long the first contact may take, unless the connection string has a `serverSelectionTimeoutMS`.
const FIRST_CONTACT: Duration = Duration::from_millis(4500);

/// Where to connect to, and for which database. Nothing was asked yet but the name service.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(super) options: ClientOptions,
    pub(crate) database: String,
    /// The hosts that were named, for people.
    pub(crate) hosts: String,
    /// What named them: `MONGO_URI`, as a rule.
    pub(super) source: String,
    /// How long the first contact may take.
    pub(super) patience: Duration,
}

impl Target {
    /// What the configuration names. `uri` stands in for it where the configuration has no server of its own.
    pub(crate) async fn of(config: &Config, uri: Option<&str>) -> Result<Self, Error> {
        let some = Self::of_databases(config, uri).await?;
        if some.database.is_empty() {
            return Err(Error::usage(
                "no database is named; set MONGO_DATABASE, or `mongo_database` in the manager's config, or end MONGO_URI in its name",
            ));
        }
        Ok(some)
    }

    /// The same, where others say which databases; the configuration need not name one.
    pub(crate) async fn of_databases(config: &Config, uri: Option<&str>) -> Result<Self, Error> {
        config.check()?;
        let started = Instant::now();
        let options = options(config, uri).await?;
        let database = config.mongo_database.clone().or_else(|| options.default_database.clone()).unwrap_or_default();
        if let Some(problem) = bad_database_name(&database).filter(|_| !database.is_empty()) {
            return Err(Error::usage(format!("`{database}` cannot be a database's name: {problem}")));
        }
        // Looking up an SRV record has taken its part of the time.
        let patience = options.server_selection_timeout.unwrap_or(FIRST_CONTACT.saturating_sub(started.elapsed()));
        let hosts = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Ok(Self { options, database, hosts, source: config.mongo_uri_source.clone(), patience })
    }
}

/// The driver's options, from the connection string or from migopy's parts.
async fn options(config: &Config, uri: Option<&str>) -> Result<ClientOptions, Error> {
    if let Some(uri) = config.mongo_uri.as_deref() {
        return parse(uri, &config.mongo_uri_source).await;
    }
    if let Some(host) = &config.mongo_host {
        return from_parts(config, host);
    }
    match uri {
        Some(uri) => parse(uri, &config.mongo_uri_source).await,
        None => Err(Error::usage(
            "no server is named; set MONGO_URI (mongodb://host:27017/database) or MONGO_HOST, \
             or `mongo_uri` in the manager's config",
        )),
    }
}

async fn parse(uri: &str, source: &str) -> Result<ClientOptions, Error> {
    let without_user = without_user(uri);
    // A URI that cannot be parsed is never shown: whatever is wrong with it may be the password.
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
        None | Some(DriverErrorKind::DnsResolve { .. }) => Err(Error::failed(format!(
            "the name service knows no SRV record for {host}; check the host name in {source}, and that this machine has DNS"
        ))),
        // Another package may have brought the driver's resolver in without us.
        Some(DriverErrorKind::InvalidArgument { message, .. }) if message.contains("'dns-resolver'") => {
            Err(Error::usage(format!(
                "{source} is a mongodb+srv:// address, and this manager is built without what looks those up; \
                 add the feature `srv` to cargo-migrations in its Cargo.toml: features = [\"manager\", \"srv\"]"
            )))
        }
        Some(_) if uri != without_user && ClientOptions::parse(&without_user).await.is_ok() => Err(Error::usage(format!(
            "{source} has a user name or password that cannot be read; percent-encode every character in them \
             that is no letter or digit (`@` is %40, `:` is %3A, `/` is %2F, `%` is %25)"
        ))),
        Some(_) => {
            // Options may hold a password as well.
            let why = match ClientOptions::parse(&without_user).await {
                Err(error) if !without_user.to_lowercase().contains("password") => {
                    describe::driver(&error).replace("An invalid argument was provided: ", "")
                }
                _ => "it cannot be read".into(),
            };
            Err(Error::usage(format!(
                "{source} is no connection string: {why}; it looks like mongodb://host:27017/database"
            )))
        }
    }
}

fn from_parts(config: &Config, host: &str) -> Result<ClientOptions, Error> {
    // It may be half a connection string, password and all.
    let shown = if host.contains('@') { "what is set" } else { host };
    let invalid = |_| Error::usage(format!("`{shown}` cannot be a host's name; check MONGO_HOST, or use MONGO_URI"));
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
            return Err(Error::usage("a password is set (MONGO_USER_PASSWORD) but no user; set MONGO_USER too"));
        }
        (None, None) => None,
    };
    let mut options = ClientOptions::default();
    options.hosts = vec![address];
    options.credential = credential;
    Ok(options)
}

/// The connection string without all that stands ahead of its last `@`, wherever that is: a password that is not encoded may
/// hold anything, a `?` or `/` too.
fn without_user(uri: &str) -> String {
    match (uri.split_once("://"), uri.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        _ => uri.to_owned(),
    }
}

/// The password as the connection string has it, encoded.
fn raw_password(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let (user, _) = rest.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// Why the server would refuse a database of that name.
pub(crate) fn bad_database_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > 63 {
        Some("it has more than 63 bytes")
    } else if name.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
        Some("no `/`, `\\`, `.`, `\"`, `$` or space may stand in one")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(uri: &str) -> (u8, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(parse(uri, "MONGO_URI")).unwrap_err();
        (error.exit_code(), error.to_string())
    }

    #[test]
    fn a_bad_connection_string_is_told_without_its_password() {
        for uri in [
            "mongodb://deploy:hu@sh/er@db-1/blog",
            "mongodb://deploy:hush%@db-1/blog",
            "mongodb://de/ploy:hush@db-1/blog",
            "mongodb://deploy:hu?sh@db-1/blog",
            "mongodb://deploy:1234?hush@db-1/blog",
            "mongodb://deploy:hu@sh?x=1@db-1/blog",
        ] {
            let (code, text) = message(uri);
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
            let (code, text) = message(uri);
            assert_eq!(code, 2, "{uri}");
            assert!(text.starts_with("MONGO_URI is no connection string") && !text.contains("hush"), "{uri}: {text}");
        }
    }

    #[test]
    fn names_that_the_server_would_refuse() {
        assert!(bad_database_name("blog").is_none());
        assert!(bad_database_name("a.b").is_some());
        assert!(bad_database_name(&"x".repeat(64)).is_some());
    }
}
