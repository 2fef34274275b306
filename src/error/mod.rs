//! The library's own error: one message, a kind that decides the exit code, and what caused it.

#[cfg(feature = "manager")]
pub(crate) mod describe;

use std::error::Error as StdError;
use std::fmt;

/// What migrations and subtasks return, so that `?` takes any error.
///
/// The library's own calls return [`Error`], which converts into it.
pub type Result<T, E = Box<dyn StdError + Send + Sync>> = std::result::Result<T, E>;

/// An error of this library: what went wrong, and what to do next.
///
/// ```
/// use cargo_migrations::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Refused, "not on a Friday");
/// assert_eq!(error.exit_code(), 3);
/// assert_eq!(error.to_string(), "not on a Friday");
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of thing went wrong; it decides the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A task failed: a migration returned an error or panicked, or the server did. Exit code 1.
    Failed,
    /// The line, the configuration or the migration files are wrong; the task touched nothing. Exit code 2.
    Usage,
    /// The tool, or a person who was asked, said no. Exit code 3.
    Refused,
    /// `--check` found migrations that are not registered. Exit code 4.
    Unregistered,
    /// The manager did not compile; cargo has told why. Exit code 101, cargo's own.
    Build,
    /// Ctrl-C, or a request to end. Exit code 130.
    Interrupted,
}

impl Error {
    /// An error of the given kind. The message is lower case, names what is concerned, and says what to do next.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    #[cfg(feature = "_line")]
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    #[cfg(feature = "_line")]
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// The same error with what caused it, told below it as `Caused by:`.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The exit code of a process that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Failed => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Refused => 3,
            ErrorKind::Unregistered => 4,
            ErrorKind::Build => 101,
            ErrorKind::Interrupted => 130,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// The exit code that an error of any type stands for: that of the first [`Error`] in its chain, else 1.
#[cfg(feature = "manager")]
pub(crate) fn exit_code_of(error: &(dyn StdError + 'static)) -> u8 {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref::<Error>())
        .map_or(1, Error::exit_code)
}

#[cfg(all(test, feature = "manager"))]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrapper(Error);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }

    impl StdError for Wrapper {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_exit_code_survives_wrapping() {
        assert_eq!(exit_code_of(&Wrapper(Error::usage("no"))), 2);
        assert_eq!(exit_code_of(&fmt::Error), 1);
    }
}
