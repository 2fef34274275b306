//! What the tests run: workspaces, servers, processes and the databases they work on.

mod blog;
mod checker;
mod crash;
mod database;
mod dump_stage;
mod places;
mod prints;
mod proxy;
pub(crate) mod recover;
mod replica_set;
mod run;
mod screen;
mod sshd;
mod workspace;

pub(crate) use blog::{blog, simple};
pub(crate) use checker::{Truth, check};
pub(crate) use crash::{
    STEMS, Scene, backfilling, blocked, crash, crash_plain, crash_rerun, fifty, is_rerun_safe, is_transactional, undoing,
};
pub(crate) use database::{TestDatabase, block_on, faulty_server, server_uri, standalone_server};
pub(crate) use dump_stage::DumpStage;
pub(crate) use places::places;
pub(crate) use prints::prints;
pub(crate) use proxy::{Proxy, Then, UPKEEP};
pub(crate) use replica_set::ReplicaSet;
pub(crate) use run::{Line, Outcome, manager, plugin, pty, pty_with, signal, signal_group, wait_for_trace};
pub(crate) use screen::screen;
pub(crate) use sshd::{Sshd, children, command};
pub(crate) use workspace::{CRATE, Workspace, clean, fixture, target};

/// Asserts that the text contains all of the parts, and shows the text if it does not.
#[track_caller]
pub(crate) fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}
