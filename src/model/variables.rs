//! The environment variables that this crate reads or sets, each by name in this one file.
//!
//! The plugin and the manager are two processes: some of these variables are how the first talks to the second.

/// The `cargo` to call. Cargo sets it for what it runs, and the plugin for the manager: a manager without it is a deployed
/// one.
#[cfg(any(feature = "cli", feature = "manager"))]
pub(crate) const CARGO: &str = "CARGO";

/// Where cargo keeps what it has downloaded, and configuration that applies in every folder.
#[cfg(feature = "cli")]
pub(crate) const CARGO_HOME: &str = "CARGO_HOME";

/// Cargo's own setting for the machine to build for, in place of `build.target` in its configuration.
#[cfg(feature = "cli")]
pub(crate) const CARGO_BUILD_TARGET: &str = "CARGO_BUILD_TARGET";

/// The flags for rustc, as cargo passes them to build scripts.
pub(crate) const CARGO_ENCODED_RUSTFLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";

/// Cargo's own settings for the directory in which it builds, the first before the second.
#[cfg(feature = "cli")]
pub(crate) const CARGO_TARGET_DIRS: [&str; 2] = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"];

/// The name of the package that `cargo run` runs. Cargo sets it for the program.
#[cfg(feature = "manager")]
pub(crate) const CARGO_PACKAGE: &str = "CARGO_PKG_NAME";

/// The folder of the package that `cargo run` runs. Cargo sets it for the program.
#[cfg(feature = "manager")]
pub(crate) const CARGO_PACKAGE_DIR: &str = "CARGO_MANIFEST_DIR";

/// Cargo's own setting for colors, used where `--color` is not given.
#[cfg(any(feature = "cli", feature = "manager"))]
pub(crate) const CARGO_TERM_COLOR: &str = "CARGO_TERM_COLOR";

/// Cargo's own setting for progress: `auto`, `always` or `never`.
#[cfg(feature = "manager")]
pub(crate) const CARGO_TERM_PROGRESS_WHEN: &str = "CARGO_TERM_PROGRESS_WHEN";

/// The kind of the terminal. `dumb` stands for one that cannot move its cursor.
#[cfg(feature = "manager")]
pub(crate) const TERM: &str = "TERM";

/// Set by continuous integration for its jobs: their output is kept as text, and a setting that is empty by mistake is an error.
#[cfg(feature = "manager")]
pub(crate) const CI: &str = "CI";

/// Cargo's target directory. The plugin sets it for the manager, which keeps the local server's data there.
#[cfg(any(feature = "cli", feature = "manager"))]
pub(crate) const TARGET_DIR: &str = "CARGO_MIGRATIONS_TARGET_DIR";

/// The workspace's root. The plugin sets it for the manager, which resolves a relative dump directory against it.
#[cfg(any(feature = "cli", feature = "manager"))]
pub(crate) const WORKSPACE_ROOT: &str = "CARGO_MIGRATIONS_WORKSPACE_ROOT";

/// The state of the sources when the plugin had the manager built; see `model::sources` for its form. The plugin sets it for the
/// manager, so that a development build need not be built again after every commit.
#[cfg(any(feature = "cli", feature = "manager"))]
pub(crate) const SOURCES: &str = "CARGO_MIGRATIONS_SOURCES";

/// Folders into which git, and so the search for a repository, does not go up.
pub(crate) const GIT_CEILING: &str = "GIT_CEILING_DIRECTORIES";

/// Variables that name a repository to git, whatever folder it is started in.
pub(crate) const GIT_OWN: [&str; 3] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"];

/// The folder of the manager that is built.
///
/// Two workspaces that share a target directory, and have a package of the same name in the same place, are one to cargo.
/// When it has taken the other workspace's build for this one's, the plugin sets this variable for a second build: its
/// change makes the build script run again.
pub(crate) const MANAGER_DIR: &str = "CARGO_MIGRATIONS_MANAGER_DIR";

/// Set where another machine has sent the line over ssh; see `terminal::hop` for its values.
#[cfg(feature = "manager")]
pub(crate) const ON_HOST: &str = "CARGO_MIGRATIONS_ON_HOST";

/// The width of the terminal on the machine that has sent the line over ssh, if bars can be drawn there.
#[cfg(feature = "manager")]
pub(crate) const COLUMNS: &str = "CARGO_MIGRATIONS_COLUMNS";

/// The `mongod` binary for local servers. It is preferred to the one on PATH.
#[cfg(feature = "manager")]
pub(crate) const MONGOD: &str = "CARGO_MIGRATIONS_MONGOD";

/// For tests: the crash point at which the process kills or stops itself, as `KILL:n` or `STOP:n`.
#[cfg(all(feature = "manager", feature = "_crash-points"))]
pub(crate) const CRASH_AT: &str = "CARGO_MIGRATIONS_CRASH_AT";

/// For tests: the file to which the name of each crash point is appended when it is reached.
#[cfg(all(feature = "manager", feature = "_crash-points"))]
pub(crate) const CRASH_TRACE: &str = "CARGO_MIGRATIONS_CRASH_TRACE";

/// For tests: how long a lease lasts, in milliseconds.
#[cfg(all(feature = "manager", feature = "_crash-points"))]
pub(crate) const LEASE_MS: &str = "CARGO_MIGRATIONS_LEASE_MS";

/// For tests: how many documents a range of a backfill has.
#[cfg(all(feature = "manager", feature = "_crash-points"))]
pub(crate) const RANGE: &str = "CARGO_MIGRATIONS_RANGE";

/// The connection string. It wins over `MONGO_HOST` and the other parts.
#[cfg(any(feature = "cli", feature = "manager"))]
pub(crate) const MONGO_URI: &str = "MONGO_URI";

/// The server's host name, with or without a port.
#[cfg(feature = "manager")]
pub(crate) const MONGO_HOST: &str = "MONGO_HOST";

/// The server's port.
#[cfg(feature = "manager")]
pub(crate) const MONGO_PORT: &str = "MONGO_PORT";

/// The user to log in as.
#[cfg(feature = "manager")]
pub(crate) const MONGO_USER: &str = "MONGO_USER";

/// The user's password.
#[cfg(feature = "manager")]
pub(crate) const MONGO_USER_PASSWORD: &str = "MONGO_USER_PASSWORD";

/// The database's name.
#[cfg(feature = "manager")]
pub(crate) const MONGO_DATABASE: &str = "MONGO_DATABASE";

/// The name of the registry's collection.
#[cfg(feature = "manager")]
pub(crate) const MIGRATIONS_COLLECTION: &str = "MIGRATIONS_COLLECTION";

/// Whether `execute` and `rollback` dump the database first: `true` or `false`.
#[cfg(feature = "manager")]
pub(crate) const DO_MONGO_DUMP: &str = "DO_MONGO_DUMP";

/// The directory for dumps.
#[cfg(feature = "manager")]
pub(crate) const MONGO_DUMP_DIRECTORY: &str = "MONGO_DUMP_DIRECTORY";

/// Where the user's login name is looked up, in this order.
#[cfg(feature = "manager")]
pub(crate) const USER_NAMES: [&str; 3] = ["USER", "LOGNAME", "USERNAME"];

/// Where this machine's name is looked up, in this order, if the kernel does not give it.
#[cfg(feature = "manager")]
pub(crate) const HOST_NAMES: [&str; 2] = ["HOSTNAME", "COMPUTERNAME"];

/// The database in which the server looks the user up.
#[cfg(feature = "manager")]
pub(crate) const MONGO_AUTH_SOURCE: &str = "MONGO_AUTH_SOURCE";
