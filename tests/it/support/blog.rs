//! Workspaces that many tests share. Each is built once.

use std::sync::OnceLock;

use super::Workspace;

/// A workspace with a plain manager and three migrations that leave a trace. Tests must not change its files.
pub(crate) fn simple() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::kept("it-simple");
        for name in ["0001_a.rs", "0002_b.rs", "0010_c.rs"] {
            workspace.tracing_migration(name);
        }
        workspace.built_manager();
        workspace
    })
}

/// A workspace whose manager overrides built-in subtasks and adds its own, with migrations of every kind. Environment variables
/// control what they do.
pub(crate) fn blog() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::kept("it-blog");
        workspace.copy_fixture("blog");
        workspace.tracing_migration("0001_first.rs");
        workspace.built_manager();
        workspace
    })
}
