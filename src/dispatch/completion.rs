//! Shell completion in the manager: it leaves its names for the plugin, and a deployed one answers for itself.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::completion::{self, COMPLETE, Names, cache};
use crate::config::Config;
use crate::context::dump_folder;
use crate::manager::{MigrationsManager, Subtasks};
use crate::migration::{Embedded, Migration};
use crate::model::variables;

/// Returns the text before the cursor, if a shell's script asks what can be there.
pub(super) fn asked(mut args: impl Iterator<Item = OsString>) -> Option<String> {
    args.nth(1).filter(|word| word == COMPLETE)?;
    Some(args.next()?.to_string_lossy().into_owned())
}

/// Returns the answer for the script. It is empty if the manager's subtasks are not valid: a command then says why.
pub(super) fn answer<M: MigrationsManager>(text: &str, manager: &M, embedded: &Embedded) -> String {
    let Ok(subtasks) = Subtasks::<M>::of() else { return String::new() };
    let migrations = embedded.migrations.iter().map(Migration::stem).map(str::to_owned).collect();
    let vocabulary = subtasks.vocabulary(dump_folder(&manager.config()));
    completion::answer(text, &Names::new(vocabulary, Vec::new(), migrations))
}

/// Leaves the names of the subtasks and environments for the plugin, if it has started this manager.
pub(super) fn leave_names<M: MigrationsManager>(subtasks: &Subtasks<M>, config: &Config) {
    let folder = |variable| std::env::var_os(variable).map(PathBuf::from);
    if let (Some(target), Some(root)) = (folder(variables::TARGET_DIR), folder(variables::WORKSPACE_ROOT)) {
        // Without them completion offers less, and everything else works.
        let _ = cache::write(&target, &root, &subtasks.vocabulary(dump_folder(config)));
    }
}
