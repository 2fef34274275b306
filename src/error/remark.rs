//! Something that a person should know, and what to do about it: a warning, or a part of an error.

use std::collections::HashSet;

use super::{Error, ErrorKind};

/// Something that a person should know, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Remark {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Error> for Remark {
    fn from(error: Error) -> Self {
        Self { message: error.message, hint: error.hint }
    }
}

impl Error {
    /// One error that says all of these, a line each. Its hint has a line for each different one, so hints name what they concern.
    pub(crate) fn of_remarks(kind: ErrorKind, remarks: impl IntoIterator<Item = Remark>) -> Self {
        let (messages, hints): (Vec<String>, Vec<Option<String>>) =
            remarks.into_iter().map(|remark| (remark.message, remark.hint)).unzip();
        let error = Self::new(kind, messages.join("\n"));
        // Several problems often have the same remedy.
        let mut seen = HashSet::new();
        let hints: Vec<String> = hints.into_iter().flatten().filter(|hint| seen.insert(hint.clone())).collect();
        if hints.is_empty() { error } else { error.with_hint(hints.join("\n")) }
    }
}
