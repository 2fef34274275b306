//! What a run works with. The command line's Context makes one, and so does a service's Runner.

use std::time::Duration;

use super::lock::Locks;
use crate::migration::Migration;
use crate::process::stop::Stop;
use crate::report::Reporter;
use crate::store::Store;

/// The database, the migrations, and how to report, stop and wait.
#[derive(Clone, Debug)]
pub(crate) struct Scope<'s> {
    pub(crate) store: Store,
    /// In the order in which they run.
    pub(crate) migrations: &'s [Migration],
    pub(crate) reporter: Reporter,
    pub(crate) stop: Stop,
    /// How long to wait for the lock if another run has it.
    pub(crate) wait: Option<Duration>,
    /// How a person asks for that: a flag, or the method that a service calls.
    pub(crate) how_to_wait: &'static str,
    /// Where locks are noted while they are held.
    pub(crate) locks: Locks,
}

impl Scope<'_> {
    /// The name of the database.
    pub(crate) fn database(&self) -> &str {
        self.store.database().name()
    }
}
