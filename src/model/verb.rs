//! What a run does with migrations.

/// What a run does with a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Execute,
    Ignore,
    Rollback,
}

impl Verb {
    /// The subtask's name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Ignore => "ignore",
            Self::Rollback => "rollback",
        }
    }
}
