//! Sentences of `help:NAME` that several subtasks share: what they write, which rights they need, and how they end.

/// What is written.
pub(crate) const NOTHING: &str = "nothing";
pub(crate) const MIGRATIONS: &str = "the registry, the log and the lock, in addition to what the migrations write";
pub(crate) const REGISTRY: &str = "the registry, the log and the lock";

/// Which rights are needed.
pub(crate) const NONE: &str = "none";
pub(crate) const READ: &str = "find on `migrations`, `migrations_log` and `migrations_lock`, as in the role read";
pub(crate) const REGISTER: &str =
    "find, insert, update and createIndex on `migrations`, `migrations_log` and `migrations_lock`, as in the role readWrite";
pub(crate) const UNREGISTER: &str = "find, insert, update and createIndex on `migrations`, `migrations_log` and \
     `migrations_lock`, and remove on `migrations`, as in the role readWrite";
pub(crate) const RUN: &str = "find, insert, update and createIndex on `migrations`, `migrations_log` and `migrations_lock`, as in the role \
     readWrite, in addition to what the migrations need";
pub(crate) const UNDO: &str = "find, insert, update and createIndex on `migrations`, `migrations_log` and `migrations_lock`, and remove on \
     `migrations`, as in the role readWrite, in addition to what the migrations need";

/// The meaning of exit code 130.
pub(crate) const STOPPED: &str = "stopped by Ctrl-C or another signal";
