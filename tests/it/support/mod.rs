//! What tests start, and end.

mod blog;
mod database;
mod run;
mod workspace;

pub(crate) use blog::{blog, simple};
pub(crate) use database::{TestDatabase, block_on, server_uri};
pub(crate) use run::{Line, Outcome, manager, plugin, pty};
pub(crate) use workspace::{CRATE, Workspace, clean, target};

/// Whether the text holds all of these; the whole text if not.
#[track_caller]
pub(crate) fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}
