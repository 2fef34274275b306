//! How it ended that a process helped with a backfill.

/// How it ended, and how many documents the process has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// All of the backfill is done.
    Done { read: u64 },
    /// The run that it belongs to is dead, or a later run has it.
    OwnerGone { read: u64 },
    /// This process was asked to stop.
    Stopped { read: u64 },
    /// The backfill of this program is another one.
    Differs,
}

impl Joined {
    /// The word in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::OwnerGone { .. } => "owner_gone",
            Self::Stopped { .. } => "stopped",
            Self::Differs => "differs",
        }
    }

    /// How many documents this process has read.
    pub(crate) fn read(self) -> u64 {
        match self {
            Self::Done { read } | Self::OwnerGone { read } | Self::Stopped { read } => read,
            Self::Differs => 0,
        }
    }
}
