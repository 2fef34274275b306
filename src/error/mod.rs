//! The library's own error: one message, a kind that decides the exit code, and what caused it.

#[cfg(feature = "_line")]
pub(crate) mod causes;
#[cfg(feature = "manager")]
pub(crate) mod chain;
#[cfg(feature = "manager")]
pub(crate) mod codes;
#[cfg(feature = "manager")]
pub(crate) mod describe;
#[cfg(feature = "manager")]
mod hidden;
#[cfg(feature = "manager")]
mod remark;
#[cfg(feature = "manager")]
mod rights;

use std::error::Error as StdError;
use std::fmt;

#[cfg(feature = "manager")]
pub(crate) use remark::Remark;
#[cfg(feature = "manager")]
pub(crate) use rights::privilege;

/// What migrations and subtasks return, so that `?` takes any error.
///
/// The library's own calls return [`Error`], which converts into it.
pub type Result<T, E = Box<dyn StdError + Send + Sync>> = std::result::Result<T, E>;

/// An error of this library: what went wrong, what to do next, and what caused it.
///
/// Its [`Display`](fmt::Display) is the message alone. The command line prints the [hint](Error::hint) on a line of its own.
///
/// ```
/// use cargo_migrations::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Refused, "not on a Friday").with_hint("try again on Monday");
/// assert_eq!(error.exit_code(), 3);
/// assert_eq!(error.to_string(), "not on a Friday");
/// assert_eq!(error.hint(), Some("try again on Monday"));
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    #[cfg(feature = "manager")]
    executed: Vec<String>,
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
    /// A person who was asked, or a flag such as `--strict`, said no. Exit code 3.
    Refused,
    /// Another run has the lock, or a majority of the replica set does not confirm it: try again later, or wait for it. Exit code
    /// 3.
    Locked,
    /// Something was interrupted, and a person has to decide how to go on. Exit code 3.
    Undecided,
    /// A check found something to do, or something wrong. Exit code 4.
    Check,
    /// Ctrl-C, or another signal that asks the process to end. Exit code 130.
    Interrupted,
}

impl ErrorKind {
    /// The exit code of a process that ends with such an error.
    fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused | Self::Locked | Self::Undecided => 3,
            Self::Check => 4,
            Self::Interrupted => 130,
        }
    }

    /// The word that stands for it in JSON.
    #[cfg(feature = "_line")]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Refused => "refused",
            Self::Locked => "locked",
            Self::Undecided => "undecided",
            Self::Check => "check",
            Self::Interrupted => "interrupted",
        }
    }
}

impl Error {
    /// An error of the given kind. The message is one lower-case sentence that names what is concerned.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            #[cfg(feature = "manager")]
            executed: Vec::new(),
            source: None,
        }
    }

    #[cfg(feature = "_line")]
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    #[cfg(feature = "_line")]
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// Adds what to do next. It is printed on a line of its own, as `hint: …`.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a line to the hint.
    #[cfg(feature = "manager")]
    pub(crate) fn with_further_hint(self, hint: String) -> Self {
        let hint = self.hint.iter().map(|before| format!("{before}\n")).collect::<String>() + &hint;
        self.with_hint(hint)
    }

    /// Adds what caused it. It is printed below the message, as `Caused by: …`.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do next, if there is something to say.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The migrations that [`Runner::execute`](crate::Runner::execute) executed before it failed, in order: `0002_slugs`.
    #[cfg(feature = "manager")]
    pub fn executed(&self) -> &[String] {
        &self.executed
    }

    #[cfg(feature = "manager")]
    pub(crate) fn after_executing(mut self, executed: Vec<String>) -> Self {
        self.executed = executed;
        self
    }

    /// The exit code of a process that ends with this error.
    pub fn exit_code(&self) -> u8 {
        self.kind.exit_code()
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

/// What to do next, as the outermost [`Error`] in the chain that has a hint says.
#[cfg(feature = "_line")]
pub(crate) fn hint_of<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e str> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref::<Error>().and_then(Error::hint))
}

/// The exit code that an error of any type stands for.
#[cfg(feature = "_line")]
pub(crate) fn exit_code_of(error: &(dyn StdError + 'static)) -> u8 {
    kind_of(error).exit_code()
}

/// The kind of an error of any type: that of the first [`Error`] in its chain, otherwise `Failed`.
#[cfg(feature = "_line")]
pub(crate) fn kind_of(error: &(dyn StdError + 'static)) -> ErrorKind {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref::<Error>())
        .map_or(ErrorKind::Failed, Error::kind)
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
