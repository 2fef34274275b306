//! The rights on the server that a subtask needs.

/// What a right is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// The collection of the registry.
    Registry,
    /// The collection of the log.
    Log,
    /// The collection of the lock.
    Lock,
    /// The collection of the backfills.
    Backfills,
    /// The database, and every collection in it.
    Database,
}

/// Actions that a user must be allowed to do. Their names are the server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) on: On,
    pub(crate) actions: &'static [&'static str],
    /// Whether only a standalone server asks for it.
    pub(crate) is_for_standalone: bool,
}

const fn right(on: On, actions: &'static [&'static str]) -> Right {
    Right { on, actions, is_for_standalone: false }
}

const LOG_OF_STANDALONE: Right = Right { on: On::Log, actions: &["update"], is_for_standalone: true };

/// To read what is known about the migrations.
pub(crate) const LOOKS: &[Right] = &[right(On::Registry, &["find"]), right(On::Log, &["find"]), right(On::Lock, &["find"])];

/// To register migrations.
pub(crate) const REGISTERS: &[Right] = &[
    right(On::Registry, &["find", "insert", "update", "createIndex"]),
    right(On::Log, &["find", "insert", "createIndex"]),
    LOG_OF_STANDALONE,
    right(On::Lock, &["find", "insert", "update"]),
];

/// To take migrations out of the registry.
pub(crate) const UNREGISTERS: &[Right] = &[
    right(On::Registry, &["find", "remove"]),
    right(On::Log, &["find", "insert", "createIndex"]),
    LOG_OF_STANDALONE,
    right(On::Lock, &["find", "insert", "update"]),
];

/// To take migrations out of the registry, and to register them.
pub(crate) const MOVES: &[Right] = &[
    right(On::Registry, &["find", "insert", "update", "remove", "createIndex"]),
    right(On::Log, &["find", "insert", "createIndex"]),
    LOG_OF_STANDALONE,
    right(On::Lock, &["find", "insert", "update"]),
];

/// To free the lock.
pub(crate) const UNLOCKS: &[Right] = &[right(On::Log, &["find"]), right(On::Lock, &["find", "insert", "update"])];

/// To look at backfills, and to steer them.
pub(crate) const STEERS: &[Right] = &[right(On::Backfills, &["find", "update"])];

/// To dump the database.
pub(crate) const DUMPS: &[Right] = &[right(On::Database, &["find", "listCollections", "listIndexes"])];

/// To replace what the database holds.
pub(crate) const RESTORES: &[Right] = &[right(
    On::Database,
    &["find", "insert", "update", "listCollections", "createCollection", "createIndex", "dropCollection"],
)];

/// A subtask that sends nothing to a server, or only what every user may.
pub(crate) const NONE: &[Right] = &[];

/// The server's own role for a database that has all of these.
pub(crate) fn role(rights: &[Right]) -> &'static str {
    let has_only = |set: &[&str]| rights.iter().flat_map(|right| right.actions).all(|action| set.contains(action));
    if has_only(&["find", "listCollections", "listIndexes"]) {
        return "read";
    }
    "readWrite"
}
