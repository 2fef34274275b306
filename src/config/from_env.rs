//! What the environment sets.

use std::cell::RefCell;
use std::ffi::OsString;
use std::sync::Arc;

use super::{Config, DatabaseFrom, dotenv};
use crate::error::Remark;
use crate::model::variables;

/// Provides `config.from_env()` in addition to `Config::from_env()`.
///
/// It is a trait because a type cannot have a method and an associated function of the same name. The
/// [prelude](crate::prelude) brings it into scope.
///
/// ```
/// use cargo_migrations::prelude::*;
///
/// // MONGO_DATABASE wins over `blog`, if it is set.
/// let config = Config::new().mongo_database("blog").from_env();
/// ```
pub trait FromEnv: sealed::Sealed + Sized {
    /// Lets what the environment sets win over what was set before.
    #[must_use]
    #[expect(clippy::wrong_self_convention, reason = "it reads as `mongo_database` and the other setters do")]
    fn from_env(self) -> Self;
}

/// [`FromEnv`] is only for [`Config`].
mod sealed {
    pub trait Sealed {}

    impl Sealed for crate::config::Config {}
}

impl FromEnv for Config {
    fn from_env(self) -> Self {
        let dotenv = Arc::clone(&self.dotenv);
        self.with_variables(|name| dotenv.variable(name))
    }
}

impl Config {
    pub(super) fn with_variables(mut self, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // An earlier call has read the same variables.
        self.invalid.clear();
        self.remarks.clear();
        let invalid = RefCell::new(Vec::new());
        let note = |message: String, hint: String| invalid.borrow_mut().push(Remark::new(message).with_hint(hint));
        let is_set = |name: &str| variable(name).is_some();
        let is_trimmed =
            |name: &str| variable(name).and_then(|value| value.into_string().ok()).is_some_and(|v| v.trim() != v);
        let variable = |name: &str| {
            clean(name, variable(name)?).unwrap_or_else(|problem| {
                // Treated as not set, it would lead to another server or database.
                invalid.borrow_mut().push(problem);
                None
            })
        };
        let set = |field: &mut Option<String>, name: &str| {
            if let Some(value) = variable(name) {
                *field = Some(value);
            }
        };
        if let Some(uri) = variable(variables::MONGO_URI) {
            self.mongo_uri = Some(uri);
            self.is_uri_from_variable = true;
            if self.dotenv.sets(variables::MONGO_URI) {
                self.mongo_uri_source = format!("{} in {}", variables::MONGO_URI, dotenv::FILE);
            }
        } else {
            self.is_uri_empty = is_set(variables::MONGO_URI);
        }
        set(&mut self.mongo_host, variables::MONGO_HOST);
        set(&mut self.mongo_user, variables::MONGO_USER);
        set(&mut self.mongo_user_password, variables::MONGO_USER_PASSWORD);
        if is_trimmed(variables::MONGO_USER_PASSWORD) {
            self.remarks.push(Remark::new("MONGO_USER_PASSWORD begins or ends with white space, which is removed"));
        }
        set(&mut self.mongo_auth_source, variables::MONGO_AUTH_SOURCE);
        if let Some(database) = variable(variables::MONGO_DATABASE) {
            self.mongo_database = Some(database);
            self.database_from = DatabaseFrom::Variable;
        }
        if let Some(port) = variable(variables::MONGO_PORT) {
            match port.parse() {
                Ok(port) => self.mongo_port = port,
                Err(_) => {
                    let problem = Remark::new(format!("MONGO_PORT is `{port}`, which is not a port number"));
                    self.invalid_port = Some(problem.with_hint("set MONGO_PORT to a number from 1 to 65535"));
                }
            }
        }
        if let Some(collection) = variable(variables::MIGRATIONS_COLLECTION) {
            self.migrations_collection = collection;
        }
        if let Some(dump) = variable(variables::DO_MONGO_DUMP) {
            match dump.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => self.do_mongo_dump = true,
                "0" | "false" | "no" | "off" => self.do_mongo_dump = false,
                _ => note(
                    format!("DO_MONGO_DUMP is `{dump}`, which is neither true nor false"),
                    "set DO_MONGO_DUMP to true or false".into(),
                ),
            }
        }
        if let Some(directory) = variable(variables::MONGO_DUMP_DIRECTORY) {
            self.mongo_dump_directory = directory.into();
        }
        self.invalid.append(&mut invalid.into_inner());
        self
    }
}

/// The value of an environment variable, without white space at its ends: files with secrets often end in a line break. `None` if
/// nothing is left. An error says why the value cannot be used.
pub(super) fn clean(name: &str, value: OsString) -> Result<Option<String>, Remark> {
    let invalid = |why: &str| Remark::new(format!("{name} {why}")).with_hint(format!("set {name} again"));
    let value = value.into_string().map_err(|_| invalid("is not valid UTF-8"))?;
    let value = value.trim();
    if value.contains(char::is_control) {
        return Err(invalid("contains a control character"));
    }
    Ok(Some(value).filter(|value| !value.is_empty()).map(str::to_owned))
}
