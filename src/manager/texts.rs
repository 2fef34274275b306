//! Sentences of `help:NAME` that several subtasks share: what they write, and how they end.

/// What is written.
pub(crate) const NOTHING: &str = "nothing";
pub(crate) const MIGRATIONS: &str = "the registry, the log and the lock, in addition to what the migrations write";
pub(crate) const REGISTRY: &str = "the registry, the log and the lock";

/// The meaning of exit code 130.
pub(crate) const STOPPED: &str = "stopped by Ctrl-C or another signal";
