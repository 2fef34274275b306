//! The names that a line can have: those that the manager knows, and those that are looked up in folders.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::PARTIAL;

/// What a manager knows without a database. The last manager that the plugin started has left it for the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vocabulary {
    pub(crate) subtasks: Vec<Subtask>,
    pub(crate) environments: Vec<Named>,
    /// The folder of the dumps.
    pub(crate) dumps: Option<PathBuf>,
}

/// A name, and what it stands for in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) help: String,
}

/// A subtask, and what follows its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subtask {
    pub(crate) named: Named,
    /// What its first plain value is.
    pub(crate) values: Values,
    /// Whether that has to be given.
    pub(crate) needs_value: bool,
    /// Further values, by name.
    pub(crate) options: Vec<String>,
    /// The flags that go with it and not with every subtask.
    pub(crate) flags: Vec<String>,
}

/// What a subtask's first plain value is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Values {
    Nothing,
    /// Something of which no list is at hand.
    Unknown,
    Migrations,
    Dumps,
    Subtasks,
    Words(Vec<String>),
}

/// All names that a line can have.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(super) vocabulary: Vocabulary,
    /// Subtasks that have to be the only one on the line.
    pub(super) alone: Vec<Subtask>,
    pub(super) migrations: Vec<String>,
    pub(super) dumps: Vec<String>,
}

impl Names {
    /// `alone` has the subtasks that have to be the only one on the line. The migrations are named without the file's ending.
    pub(crate) fn new(vocabulary: Vocabulary, alone: Vec<Subtask>, migrations: Vec<String>) -> Self {
        let dumps = vocabulary.dumps.as_deref().map(dumps).unwrap_or_default();
        Self { vocabulary, alone, migrations, dumps }
    }
}

/// Returns the names of the complete dumps in a folder, and `latest` if there are any.
fn dumps(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(PARTIAL) && !name.starts_with('.')).collect();
    names.sort();
    if !names.is_empty() {
        names.push("latest".into());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_dumps_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(dumps(folder.path()), Vec::<String>::new());
        assert_eq!(dumps(&folder.path().join("absent")), Vec::<String>::new());
        for name in ["2026-02-03_04_05_06_789", "2026-02-03_04_05_06_790.partial", "before_release", ".trash"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("notes.txt"), "").unwrap();
        assert_eq!(dumps(folder.path()), ["2026-02-03_04_05_06_789", "before_release", "latest"]);
    }
}
