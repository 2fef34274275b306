//! A workspace whose manager has environments of every kind. Environment variables say where each of them is.

use std::sync::OnceLock;

use super::Workspace;

/// A workspace with these environments, two migrations that leave a trace, and one that is slow when `SLOW_MS` is set.
pub(crate) fn places() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::kept("it-places");
        workspace.copy_fixture("places");
        workspace.tracing_migration("0001_a.rs");
        workspace.tracing_migration("0003_c.rs");
        workspace.built_manager();
        workspace
    })
}
