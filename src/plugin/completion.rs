//! Shell completion in the plugin: `completions:SHELL`, and the answer for a script. It reads a few files. Cargo is not called,
//! because it may take longer than a person waits, and rustup may fetch a toolchain for it.

use std::ffi::OsString;

use super::{manifest, target_dir, workspace};
use crate::completion::{self, COMPLETE, Named, Names, Shell, Subtask, Values, Vocabulary, cache};
use crate::embed;
use crate::error::Error;
use crate::line::{Task, TaskOption};
use crate::model::{PLUGIN_SUBTASKS, PluginSubtask};

/// Returns the script for the shell that the task names.
pub(super) fn script(task: &Task) -> Result<String, Error> {
    match &task.options[..] {
        [] => Shell::needed(None),
        [TaskOption::Plain(shell)] => Shell::needed(Some(shell)),
        _ => Err(Error::usage(format!("{} takes exactly one shell", task.name))
            .with_hint(format!("write `cargo migrations {}:bash`", task.name))),
    }
    .map(completion::script)
}

/// Returns the answer, if a shell's script asks what can be at the cursor. `words` has the program's name first.
pub(super) fn answer(words: &[OsString]) -> Option<String> {
    match words {
        [_, word, text] if word == COMPLETE => {
            let text = text.to_string_lossy();
            let (vocabulary, migrations) = names(&text).unwrap_or_default();
            Some(completion::answer(&text, &Names::new(vocabulary, own(), migrations)))
        }
        _ => None,
    }
}

/// Returns what the manager of the line's workspace has left, and the migrations. `None` if there is no workspace, or if its
/// manifest cannot be read: then cargo says why when a command runs.
fn names(text: &str) -> Option<(Vocabulary, Vec<String>)> {
    let here = std::env::current_dir().ok()?;
    let folder = match completion::value_of("--manifest-path", text) {
        Some(path) => here.join(path).parent()?.to_owned(),
        None => here.clone(),
    };
    let (root, manifest) = manifest::workspace_root(&folder)?;
    let directory = manifest::setting(&manifest, "directory").unwrap_or(workspace::DIRECTORY);
    let vocabulary = cache::read(&target_dir::find(&here, root), root).unwrap_or_default();
    Some((vocabulary, embed::stems(&root.join(directory))))
}

/// The plugin's own subtasks.
fn own() -> Vec<Subtask> {
    let subtask = |subtask: &PluginSubtask| Subtask {
        named: Named { name: subtask.name.to_owned(), help: subtask.help.to_owned() },
        values: if subtask.value.is_some() { Values::Unknown } else { Values::Nothing },
        needs_value: subtask.value.is_some(),
        options: Vec::new(),
        flags: subtask.flags.iter().map(|flag| (*flag).to_owned()).collect(),
    };
    PLUGIN_SUBTASKS.iter().map(subtask).collect()
}
