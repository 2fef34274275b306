//! The manager's configuration: migopy's attributes under their own names, and a connection string.

mod dotenv;
mod from_env;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Remark};
use crate::model::variables;
use dotenv::DotEnv;
pub use from_env::FromEnv;
use from_env::clean;

/// The configuration of a manager: the server, the database, and where the registry and the dumps are kept.
///
/// Each setter has the name of migopy's attribute. `from_env` reads each setting from the environment variable of the same
/// name in upper case (`MONGO_URI`, `MONGO_HOST`, `DO_MONGO_DUMP`, …); a variable that is empty counts as not set. Where two
/// calls set the same thing, the later one wins. The database is the exception, see the field `mongo_database`.
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
    /// The connection string. It wins over `mongo_host` and the other parts.
    pub mongo_uri: Option<String>,
    /// The server's host name, with or without a port.
    pub mongo_host: Option<String>,
    /// The server's port; 27017 unless set.
    pub mongo_port: u16,
    /// The user to log in as. The server looks this user up in `mongo_auth_source`; for a user in `mongo_uri`, the connection
    /// string's `authSource` decides.
    pub mongo_user: Option<String>,
    /// The user's password.
    pub mongo_user_password: Option<String>,
    /// The database in which the server looks the user up; the database itself unless set.
    pub mongo_auth_source: Option<String>,
    /// The database's name. `MONGO_DATABASE` wins over it, and so does the path of a connection string that comes from the
    /// environment. Unless set, the path of the connection string names the database.
    pub mongo_database: Option<String>,
    /// The name of the registry's collection; `migrations` unless set.
    pub migrations_collection: String,
    /// Whether `execute` and `rollback` dump the database first.
    pub do_mongo_dump: bool,
    /// The directory for dumps; `mongodumps` unless set. In a manager, a relative path starts at the workspace's root, or in the
    /// working folder where there is no workspace. In a [`Runner`](crate::Runner) it always starts in the working folder.
    pub mongo_dump_directory: PathBuf,
    pub(crate) local_server: bool,
    /// Where the connection string comes from: the name of a variable, as a rule. Messages quote it.
    pub(crate) mongo_uri_source: String,
    /// Whether the connection string comes from the environment: from `MONGO_URI`, or from a variable that an environment names.
    pub(crate) is_uri_from_variable: bool,
    /// Whether `MONGO_URI` is set and empty.
    pub(crate) is_uri_empty: bool,
    pub(crate) database_from: DatabaseFrom,
    /// What a person should know about the settings.
    pub(crate) remarks: Vec<Remark>,
    /// What the file `.env` sets.
    dotenv: Arc<DotEnv>,
    /// What is wrong with that file.
    invalid_dotenv: Option<Remark>,
    /// The environment variables with a value that `from_env` cannot use.
    invalid: Vec<Remark>,
    /// What is wrong with the value of `MONGO_PORT`. It only counts if the port is used.
    invalid_port: Option<Remark>,
}

/// Where the name of the database comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatabaseFrom {
    /// The manager's code.
    Code,
    /// `MONGO_DATABASE`.
    Variable,
    /// An environment, for all that it does or for one of its databases: no other setting changes it.
    Environment,
}

impl Config {
    /// Returns a configuration that names no server and no database, and has migopy's defaults for everything else.
    pub fn new() -> Self {
        Self {
            mongo_uri: None,
            mongo_host: None,
            mongo_port: 27017,
            mongo_user: None,
            mongo_user_password: None,
            mongo_auth_source: None,
            mongo_database: None,
            migrations_collection: "migrations".into(),
            do_mongo_dump: false,
            mongo_dump_directory: "mongodumps".into(),
            local_server: false,
            mongo_uri_source: variables::MONGO_URI.into(),
            is_uri_from_variable: false,
            is_uri_empty: false,
            database_from: DatabaseFrom::Code,
            remarks: Vec::new(),
            dotenv: Arc::default(),
            invalid_dotenv: None,
            invalid: Vec::new(),
            invalid_port: None,
        }
    }

    /// Returns a configuration with only what the environment sets.
    ///
    /// To let the environment win over settings in the code, call `.from_env()` on a value. That method belongs to the trait
    /// [`FromEnv`](crate::FromEnv), which the [prelude](crate::prelude) brings into scope.
    pub fn from_env() -> Self {
        FromEnv::from_env(Self::new())
    }

    /// Lets what the environment and a file `.env` set win over what was set before: as `from_env`, with the file's variables where
    /// the environment does not set them. Variables that environments of the command line name are looked up in it too.
    ///
    /// The file is the nearest one, upwards from the workspace's root. (With `cargo run` the search starts in the package's folder,
    /// and without cargo in the working folder.) It need not exist. Its lines are `NAME=value`; `$NAME` in a value stands for
    /// another variable, except between single quotes. A file that cannot be read is an error before anything runs. The process's
    /// environment is not changed.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// let config = Config::new().mongo_database("blog").dotenv();
    /// ```
    #[must_use]
    pub fn dotenv(mut self) -> Self {
        match DotEnv::nearest() {
            Ok(dotenv) => self.dotenv = Arc::new(dotenv),
            Err(problem) => self.invalid_dotenv = Some(problem),
        }
        self.from_env()
    }

    /// The value of an environment variable, or of one in the file `.env`.
    ///
    /// # Errors
    /// The file or the value cannot be used.
    pub(crate) fn variable(&self, name: &str) -> Result<Option<String>, Error> {
        let invalid = |problem: Remark| Error::of_remarks(ErrorKind::Usage, [problem]);
        if let Some(problem) = self.invalid_dotenv.as_ref().filter(|_| std::env::var_os(name).is_none()) {
            return Err(invalid(problem.clone()));
        }
        Ok(self.dotenv.variable(name).map(|value| clean(name, value)).transpose().map_err(invalid)?.flatten())
    }

    /// Sets the connection string (`mongodb://…`, and with the feature `srv` also `mongodb+srv://…`).
    #[must_use]
    pub fn mongo_uri(mut self, uri: impl Into<String>) -> Self {
        self.mongo_uri = Some(uri.into());
        self.is_uri_from_variable = false;
        self
    }

    /// Sets the server's host name, with or without a port.
    #[must_use]
    pub fn mongo_host(mut self, host: impl Into<String>) -> Self {
        self.mongo_host = Some(host.into());
        self
    }

    /// Sets the server's port, for a host name without one.
    #[must_use]
    pub fn mongo_port(mut self, port: u16) -> Self {
        self.mongo_port = port;
        self.invalid_port = None;
        self
    }

    /// Sets the user to log in as.
    #[must_use]
    pub fn mongo_user(mut self, user: impl Into<String>) -> Self {
        self.mongo_user = Some(user.into());
        self
    }

    /// Sets the user's password.
    #[must_use]
    pub fn mongo_user_password(mut self, password: impl Into<String>) -> Self {
        self.mongo_user_password = Some(password.into());
        self
    }

    /// Sets the database in which the server looks the user up.
    #[must_use]
    pub fn mongo_auth_source(mut self, database: impl Into<String>) -> Self {
        self.mongo_auth_source = Some(database.into());
        self
    }

    /// Sets the database's name. The path of a connection string that comes from the environment wins over it.
    #[must_use]
    pub fn mongo_database(mut self, database: impl Into<String>) -> Self {
        self.mongo_database = Some(database.into());
        self.database_from = DatabaseFrom::Code;
        self
    }

    /// Sets the database that an environment chooses: nothing else changes it.
    pub(crate) fn for_database(mut self, database: &str) -> Self {
        self.mongo_database = Some(database.to_owned());
        self.database_from = DatabaseFrom::Environment;
        self
    }

    /// Sets the name of the registry's collection.
    #[must_use]
    pub fn migrations_collection(mut self, collection: impl Into<String>) -> Self {
        self.migrations_collection = collection.into();
        self
    }

    /// Sets whether `execute` and `rollback` dump the database first.
    #[must_use]
    pub fn do_mongo_dump(mut self, dump: bool) -> Self {
        self.do_mongo_dump = dump;
        self
    }

    /// Sets the directory for dumps.
    #[must_use]
    pub fn mongo_dump_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.mongo_dump_directory = directory.into();
        self
    }

    /// Allows a local development server where neither a connection string nor a host is set.
    ///
    /// It is a real `mongod` on a free loopback port, with its data in cargo's target directory. A development build that
    /// runs through cargo starts it when needed, and it runs until `cargo migrations mongod:stop`. A release build never
    /// starts one.
    #[must_use]
    pub fn or_local_server(mut self) -> Self {
        self.local_server = true;
        self
    }

    /// Whether a connection string or a host is set.
    pub(crate) fn names_a_server(&self) -> bool {
        self.mongo_uri.is_some() || self.mongo_host.is_some()
    }

    /// Returns an error if a setting cannot be used, or `from_env` found variables that it could not read.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let name @ ("migrations_log" | "migrations_lock") = self.migrations_collection.as_str() {
            let kept = name.trim_start_matches("migrations_");
            return Err(Error::usage(format!(
                "the collection `{name}` cannot be the registry, because it holds the {kept}"
            ))
            .with_hint("set MIGRATIONS_COLLECTION to another name"));
        }
        // Kubernetes sets MONGO_PORT to an address if there is a service called `mongo`. With a connection string it is not used.
        let invalid_port = self.invalid_port.iter().filter(|_| self.mongo_uri.is_none());
        let invalid: Vec<Remark> = self.invalid_dotenv.iter().chain(invalid_port).chain(&self.invalid).cloned().collect();
        if invalid.is_empty() { Ok(()) } else { Err(Error::of_remarks(ErrorKind::Usage, invalid)) }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Leaves out all passwords, because people print their configuration.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |value: &Option<String>| value.as_ref().map(|_| "***");
        f.debug_struct("Config")
            .field("mongo_uri", &hidden(&self.mongo_uri))
            .field("mongo_host", &self.mongo_host)
            .field("mongo_port", &self.mongo_port)
            .field("mongo_user", &self.mongo_user)
            .field("mongo_user_password", &hidden(&self.mongo_user_password))
            .field("mongo_auth_source", &self.mongo_auth_source)
            .field("mongo_database", &self.mongo_database)
            .field("migrations_collection", &self.migrations_collection)
            .field("do_mongo_dump", &self.do_mongo_dump)
            .field("mongo_dump_directory", &self.mongo_dump_directory)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

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
    fn white_space_at_the_ends_is_removed_and_control_characters_are_refused() {
        let config =
            with(&[("MONGO_DATABASE", "blog\r"), ("MONGO_URI", " mongodb://h/\n"), ("MONGO_USER_PASSWORD", "hush\n")]);
        assert_eq!(config.mongo_database.as_deref(), Some("blog"));
        assert_eq!(config.mongo_uri.as_deref(), Some("mongodb://h/"));
        assert_eq!(config.mongo_user_password.as_deref(), Some("hush"));
        assert_eq!(config.remarks.len(), 1, "the password's is reported");
        let error = with(&[("MONGO_DATABASE", "bl\nog")]).check().unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().as_str()), (2, "MONGO_DATABASE contains a control character"));
    }

    #[test]
    fn a_port_that_is_not_used_may_be_anything() {
        let port = ("MONGO_PORT", "tcp://10.0.0.5:27017");
        assert!(with(&[port, ("MONGO_URI", "mongodb://h/")]).check().is_ok());
        assert!(with(&[port, ("MONGO_HOST", "h")]).check().is_err());
    }

    #[test]
    fn invalid_variables_are_reported_by_name() {
        let error = with(&[("MONGO_PORT", "x"), ("DO_MONGO_DUMP", "maybe")]).check().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(
            error.to_string(),
            "MONGO_PORT is `x`, which is not a port number\nDO_MONGO_DUMP is `maybe`, which is neither true nor false"
        );
        assert_eq!(error.hint(), Some("set MONGO_PORT to a number from 1 to 65535\nset DO_MONGO_DUMP to true or false"));
    }

    #[test]
    #[cfg(unix)]
    fn a_value_that_is_not_utf_8_does_not_count_as_not_set() {
        use std::os::unix::ffi::OsStringExt as _;
        let config = Config::new()
            .with_variables(|name| (name == "MONGO_URI").then(|| OsString::from_vec(b"mongodb://caf\xe9".to_vec())));
        assert_eq!(config.check().unwrap_err().to_string(), "MONGO_URI is not valid UTF-8");
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
