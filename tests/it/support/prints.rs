//! A workspace with a migration that prints.

use std::sync::OnceLock;

use super::Workspace;

/// A workspace with a migration that prints to stdout and stderr while a bar is drawn, and ends in the way that `ENDS` names.
pub(crate) fn prints() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::kept("it-prints");
        workspace.copy_fixture("prints");
        workspace.built_manager();
        workspace
    })
}
