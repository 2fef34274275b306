//! Reads the server and the database from a configuration, without connecting.

use std::time::{Duration, Instant};

use mongodb::error::ErrorKind as DriverErrorKind;
use mongodb::options::{ClientOptions, Credential, ReadPreference, SelectionCriteria, ServerAddress};

use crate::config::{Config, DatabaseFrom};
use crate::durable;
use crate::error::describe;
use crate::error::{Error, Remark};
use crate::line::words::listed;
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
    /// What a person should know about the configuration.
    pub(crate) remarks: Vec<Remark>,
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
        let mut remarks = config.remarks.clone();
        let mut options = options(config, fallback_uri, &mut remarks).await?;
        use_our_concerns(&mut options);
        let path = options.default_database.clone().filter(|name| !name.is_empty());
        let (database, differs) = choose_database(config, path);
        remarks.extend(differs);
        if let Some(name) = database.as_deref() {
            check_configured_name(name)?;
        }
        // The time that an SRV lookup took is part of the timeout.
        let first_contact = options.server_selection_timeout.unwrap_or(FIRST_CONTACT.saturating_sub(started.elapsed()));
        let hosts = options.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Ok(Self { options, database, hosts, source: config.mongo_uri_source.clone(), first_contact, remarks })
    }
}

/// Reads from the primary and writes with majority, whatever the connection string says: a `readPreference` or a `w` that suits an
/// application would let a migration read old data, or a restore fail halfway.
fn use_our_concerns(options: &mut ClientOptions) {
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.read_concern = None;
    options.write_concern = Some(durable::write_concern());
}

/// The database, and a remark if two settings differ. MONGO_DATABASE wins, then the path of a connection string that comes from the
/// environment, then what the code sets.
fn choose_database(config: &Config, path: Option<String>) -> (Option<String>, Option<Remark>) {
    let (name, path) = match (config.mongo_database.clone().filter(|name| !name.is_empty()), path) {
        (Some(name), Some(path)) if name != path => (name, path),
        (name, path) => return (name.or(path), None),
    };
    let setting = match config.database_from {
        DatabaseFrom::Environment => return (Some(name), None),
        DatabaseFrom::Variable => "MONGO_DATABASE",
        DatabaseFrom::Code => "`mongo_database` in the manager's config",
    };
    let source = &config.mongo_uri_source;
    let used = if config.is_uri_from_variable && config.database_from == DatabaseFrom::Code { &path } else { &name };
    let remark =
        Remark::new(format!("{setting} names the database `{name}`, and {source} names `{path}`. `{used}` is used"))
            .with_hint("set MONGO_DATABASE to choose, or let both name the same database");
    (Some(used.clone()), Some(remark))
}

/// Returns the driver's options, from the connection string or from migopy's parts.
async fn options(config: &Config, fallback_uri: Option<&str>, remarks: &mut Vec<Remark>) -> Result<ClientOptions, Error> {
    if let Some(uri) = config.mongo_uri.as_deref() {
        let (uri, foreign) = without_foreign_options(uri);
        if !foreign.is_empty() {
            let names = listed(foreign.iter().map(String::as_str));
            remarks.push(Remark::new(format!("{} has options that have no effect here: {names}", config.mongo_uri_source)));
        }
        return parse(&uri, &config.mongo_uri_source).await;
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
            credential.source = config.mongo_auth_source.clone().or_else(|| config.mongo_database.clone());
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

/// Options of other drivers that change nothing here.
const FOREIGN_OPTIONS: [&str; 8] = [
    "autoreconnect",
    "compressors",
    "sockettimeoutms",
    "usenewurlparser",
    "useunifiedtopology",
    "uuidrepresentation",
    "waitqueuemultiple",
    "zlibcompressionlevel",
];

/// Returns the connection string without options that only other drivers have, and the names of those.
fn without_foreign_options(uri: &str) -> (String, Vec<String>) {
    // The options follow the last `?`: a password that is not encoded may hold one.
    let Some((before, query)) = uri.rsplit_once('?').filter(|(_, query)| !query.contains(['@', '/'])) else {
        return (uri.to_owned(), Vec::new());
    };
    let name = |option: &&str| option.split('=').next().unwrap_or_default().to_ascii_lowercase();
    let (foreign, ours): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|option| FOREIGN_OPTIONS.contains(&name(option).as_str()));
    let foreign = foreign.iter().map(|option| option.split('=').next().unwrap_or_default().to_owned()).collect();
    (if ours.is_empty() { before.to_owned() } else { format!("{before}?{}", ours.join("&")) }, foreign)
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
    } else if SERVERS_OWN.contains(&name) {
        Some("it is one of the server's own databases")
    } else {
        None
    }
}

/// The databases that the server keeps for itself.
const SERVERS_OWN: [&str; 3] = ["admin", "config", "local"];

/// Returns an error if the server would refuse this name for a database, or if the database is the server's own.
pub(crate) fn check_database_name(name: &str) -> Result<(), Error> {
    match bad_database_name(name) {
        Some(problem) => Err(Error::usage(format!("`{name}` is not a valid database name: {problem}"))),
        None => Ok(()),
    }
}

/// Checks the name in the configuration, where a person may have meant the database that holds the user.
fn check_configured_name(name: &str) -> Result<(), Error> {
    check_database_name(name).map_err(|error| match SERVERS_OWN.contains(&name) {
        true => error.with_hint(format!(
            "name your own database; the one that holds the user is authSource: mongodb://host/DATABASE?authSource={name}"
        )),
        false => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::variables;

    #[test]
    fn options_of_other_drivers_are_left_out_by_name() {
        let (uri, foreign) = without_foreign_options("mongodb://h/blog?socketTimeoutMS=5&retryWrites=true&compressors=zstd");
        assert_eq!(
            (uri.as_str(), foreign.join(" ").as_str()),
            ("mongodb://h/blog?retryWrites=true", "socketTimeoutMS compressors")
        );
        assert_eq!(without_foreign_options("mongodb://h/?uuidRepresentation=standard").0, "mongodb://h/");
        for uri in ["mongodb://h/blog", "mongodb://u:p?compressors=x@h/blog", "mongodb://h/?w=1"] {
            assert_eq!(without_foreign_options(uri), (uri.to_owned(), Vec::new()));
        }
    }

    #[test]
    fn the_environment_chooses_the_database_before_the_code() {
        let path = || Some("path".to_owned());
        let of_code = Config::new().mongo_database("code");
        let mut from_variable = of_code.clone();
        (from_variable.mongo_uri, from_variable.is_uri_from_variable) = (Some("mongodb://h/path".into()), true);
        let chosen = |config: &Config, path| {
            let (database, remark) = choose_database(config, path);
            (database.unwrap_or_default(), remark.is_some())
        };
        assert_eq!(chosen(&of_code, path()), ("code".into(), true));
        assert_eq!(chosen(&from_variable, path()), ("path".into(), true));
        assert_eq!(chosen(&from_variable, Some("code".into())), ("code".into(), false));
        assert_eq!(chosen(&from_variable, None), ("code".into(), false));
        assert_eq!(chosen(&from_variable.clone().for_database("tenant"), path()), ("tenant".into(), false));
        from_variable.database_from = DatabaseFrom::Variable;
        assert_eq!(chosen(&from_variable, path()), ("code".into(), true));
        assert_eq!(chosen(&Config::new(), path()), ("path".into(), false));
    }

    #[test]
    fn the_servers_own_databases_are_refused() {
        let error = check_configured_name("admin").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.hint().unwrap().contains("authSource=admin"));
        assert!(check_configured_name("administration").is_ok());
    }

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
