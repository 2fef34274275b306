//! The manager's configuration: migopy's attributes under their own names, and the connection string.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::error::Error;
use crate::model::variables;

/// What a manager works on: a server, a database, and where things are kept.
///
/// Each setter has the name of migopy's attribute; `from_env` reads each under that name in upper case (`MONGO_URI`,
/// `MONGO_HOST`, `DO_MONGO_DUMP`, …), where an empty value counts as none. The later call wins.
///
/// ```
/// use cargo_migrations::prelude::*;
///
/// let config = Config::new().mongo_host("db-1").mongo_database("blog").from_env();
/// assert_eq!(config.mongo_port, 27017);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// A connection string; it wins over `mongo_host` and the other parts.
    pub mongo_uri: Option<String>,
    /// The server's host name, with or without a port.
    pub mongo_host: Option<String>,
    /// The server's port; 27017 unless set.
    pub mongo_port: u16,
    /// The user to log in as. Such a user is looked up in the database itself, as migopy did; with `mongo_uri`, `authSource` decides.
    pub mongo_user: Option<String>,
    /// The user's password.
    pub mongo_user_password: Option<String>,
    /// The database; else the connection string's path names it.
    pub mongo_database: Option<String>,
    /// The registry's collection; `migrations` unless set.
    pub migrations_collection: String,
    /// Whether `execute` and `rollback` dump the database first.
    pub do_mongo_dump: bool,
    /// Where dumps go; `mongodumps` unless set.
    pub mongo_dump_directory: PathBuf,
    pub(crate) local_server: bool,
    /// Where the connection string is from, for messages.
    pub(crate) mongo_uri_source: String,
    invalid: Vec<String>,
}

impl Config {
    /// No server and no database; everything else as migopy has it.
    pub fn new() -> Self {
        Self {
            mongo_uri: None,
            mongo_host: None,
            mongo_port: 27017,
            mongo_user: None,
            mongo_user_password: None,
            mongo_database: None,
            migrations_collection: "migrations".into(),
            do_mongo_dump: false,
            mongo_dump_directory: "mongodumps".into(),
            local_server: false,
            mongo_uri_source: variables::MONGO_URI.into(),
            invalid: Vec::new(),
        }
    }

    /// What the environment sets, and nothing else.
    ///
    /// On a value, `.from_env()` (of [`FromEnv`](crate::prelude), which the prelude brings) lets the environment win over it.
    pub fn from_env() -> Self {
        Self::new().with_variables(|name| std::env::var_os(name))
    }

    /// The connection string (`mongodb://…`; with the feature `srv` also `mongodb+srv://…`).
    #[must_use]
    pub fn mongo_uri(mut self, uri: impl Into<String>) -> Self {
        self.mongo_uri = Some(uri.into());
        self
    }

    /// The server's host name, with or without a port.
    #[must_use]
    pub fn mongo_host(mut self, host: impl Into<String>) -> Self {
        self.mongo_host = Some(host.into());
        self
    }

    /// The server's port.
    #[must_use]
    pub fn mongo_port(mut self, port: u16) -> Self {
        self.mongo_port = port;
        self
    }

    /// The user to log in as.
    #[must_use]
    pub fn mongo_user(mut self, user: impl Into<String>) -> Self {
        self.mongo_user = Some(user.into());
        self
    }

    /// The user's password.
    #[must_use]
    pub fn mongo_user_password(mut self, password: impl Into<String>) -> Self {
        self.mongo_user_password = Some(password.into());
        self
    }

    /// The database.
    #[must_use]
    pub fn mongo_database(mut self, database: impl Into<String>) -> Self {
        self.mongo_database = Some(database.into());
        self
    }

    /// The registry's collection.
    #[must_use]
    pub fn migrations_collection(mut self, collection: impl Into<String>) -> Self {
        self.migrations_collection = collection.into();
        self
    }

    /// Whether `execute` and `rollback` dump the database first.
    #[must_use]
    pub fn do_mongo_dump(mut self, dump: bool) -> Self {
        self.do_mongo_dump = dump;
        self
    }

    /// Where dumps go.
    #[must_use]
    pub fn mongo_dump_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.mongo_dump_directory = directory.into();
        self
    }

    /// With no connection string and no host, a development build that cargo runs uses a server of its own: a real `mongod`
    /// on a loopback port, its data under the target directory, until `cargo migrations mongod:stop`. A release build never does.
    #[must_use]
    pub fn or_local_server(mut self) -> Self {
        self.local_server = true;
        self
    }

    /// Whether any server is named.
    pub(crate) fn names_a_server(&self) -> bool {
        self.mongo_uri.is_some() || self.mongo_host.is_some()
    }

    /// What `from_env` could not make sense of.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if matches!(self.migrations_collection.as_str(), "migrations_log" | "migrations_lock") {
            return Err(Error::usage(format!(
                "`{}` cannot be the registry's collection: the log and the lock are kept in one of that name; set another \
                 MIGRATIONS_COLLECTION",
                self.migrations_collection
            )));
        }
        match &self.invalid[..] {
            [] => Ok(()),
            problems => Err(Error::usage(problems.join("; "))),
        }
    }

    fn with_variables(mut self, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let invalid = RefCell::new(Vec::new());
        let variable = |name: &str| match variable(name)?.into_string() {
            Ok(value) => Some(value).filter(|value| !value.is_empty()),
            Err(_) => {
                // Taken for unset, it would lead to another server or database.
                invalid.borrow_mut().push(format!("{name} is not UTF-8; set it anew"));
                None
            }
        };
        let set = |field: &mut Option<String>, name: &str| {
            if let Some(value) = variable(name) {
                *field = Some(value);
            }
        };
        set(&mut self.mongo_uri, variables::MONGO_URI);
        set(&mut self.mongo_host, variables::MONGO_HOST);
        set(&mut self.mongo_user, variables::MONGO_USER);
        set(&mut self.mongo_user_password, variables::MONGO_USER_PASSWORD);
        set(&mut self.mongo_database, variables::MONGO_DATABASE);
        if let Some(port) = variable(variables::MONGO_PORT) {
            match port.parse() {
                Ok(port) => self.mongo_port = port,
                Err(_) => self.invalid.push(format!("MONGO_PORT is `{port}`, which is no port number; give 1 to 65535")),
            }
        }
        if let Some(collection) = variable(variables::MIGRATIONS_COLLECTION) {
            self.migrations_collection = collection;
        }
        if let Some(dump) = variable(variables::DO_MONGO_DUMP) {
            match dump.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => self.do_mongo_dump = true,
                "0" | "false" | "no" | "off" => self.do_mongo_dump = false,
                _ => self.invalid.push(format!("DO_MONGO_DUMP is `{dump}`; give true or false")),
            }
        }
        if let Some(directory) = variable(variables::MONGO_DUMP_DIRECTORY) {
            self.mongo_dump_directory = directory.into();
        }
        self.invalid.append(&mut invalid.into_inner());
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// `config.from_env()`, beside `Config::from_env()`: a type cannot have a method and a function of one name, so the method is
/// a trait's.
pub trait FromEnv: Sized {
    /// What the environment sets, wins over what was set before.
    #[must_use]
    #[expect(clippy::wrong_self_convention, reason = "it reads as `mongo_database` and the other setters do")]
    fn from_env(self) -> Self;
}

impl FromEnv for Config {
    fn from_env(self) -> Self {
        self.with_variables(|name| std::env::var_os(name))
    }
}

/// Without passwords: people print their configuration.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |value: &Option<String>| value.as_ref().map(|_| "***");
        f.debug_struct("Config")
            .field("mongo_uri", &hidden(&self.mongo_uri))
            .field("mongo_host", &self.mongo_host)
            .field("mongo_port", &self.mongo_port)
            .field("mongo_user", &self.mongo_user)
            .field("mongo_user_password", &hidden(&self.mongo_user_password))
            .field("mongo_database", &self.mongo_database)
            .field("migrations_collection", &self.migrations_collection)
            .field("do_mongo_dump", &self.do_mongo_dump)
            .field("mongo_dump_directory", &self.mongo_dump_directory)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Config {
        Config::new()
            .mongo_database("blog")
            .with_variables(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(*value)))
    }

    #[test]
    fn the_environment_wins_and_empty_is_unset() {
        let config = with(&[
            ("MONGO_DATABASE", "other"),
            ("MONGO_URI", ""),
            ("MONGO_PORT", "1"),
            ("MONGO_USER_PASSWORD", "secret"),
            ("MIGRATIONS_COLLECTION", "m"),
            ("DO_MONGO_DUMP", "Yes"),
            ("MONGO_DUMP_DIRECTORY", "/d"),
        ]);
        assert_eq!(config.mongo_database.as_deref(), Some("other"));
        assert_eq!(config.mongo_uri, None);
        assert_eq!(config.mongo_port, 1);
        assert_eq!(config.migrations_collection, "m");
        assert!(config.do_mongo_dump);
        assert_eq!(config.mongo_dump_directory, PathBuf::from("/d"));
        assert!(config.check().is_ok());
    }

    #[test]
    fn the_later_call_wins() {
        assert_eq!(with(&[("MONGO_HOST", "a")]).mongo_host("b").mongo_host.as_deref(), Some("b"));
    }

    #[test]
    fn nonsense_is_told_by_name() {
        let error = with(&[("MONGO_PORT", "x"), ("DO_MONGO_DUMP", "maybe")]).check().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("MONGO_PORT") && error.to_string().contains("DO_MONGO_DUMP"));
    }

    #[test]
    #[cfg(unix)]
    fn what_is_not_utf_8_is_not_taken_for_unset() {
        use std::os::unix::ffi::OsStringExt as _;
        let config = Config::new()
            .with_variables(|name| (name == "MONGO_URI").then(|| OsString::from_vec(b"mongodb://caf\xe9".to_vec())));
        assert_eq!(config.check().unwrap_err().to_string(), "MONGO_URI is not UTF-8; set it anew");
    }

    #[test]
    fn debug_shows_no_password() {
        let config = Config::new().mongo_uri("mongodb://u:hush's \"own\"@h/?proxyPassword=hush").mongo_user_password("hush");
        assert!(!format!("{config:?}").contains("hush"));
    }

    #[test]
    fn both_forms_of_from_env_exist() {
        let _ = Config::from_env().mongo_database("a");
        let _ = Config::new().from_env();
    }
}
