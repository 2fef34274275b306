//! The code that `embedded!()` includes.

use std::fmt::Write as _;
use std::path::Path;

use super::files::Found;

/// A block expression: real `mod` items whose `#[path]` is the user's file, so that the compiler points there, and the value.
pub(super) fn code(manager: &Path, found: &Found, profile: &str) -> String {
    let mut modules = String::new();
    let mut entries = String::new();
    for (index, file) in found.files.iter().enumerate() {
        let module = module_name(index, &file.name);
        let _ = writeln!(
            modules,
            "    #[allow(missing_docs, unreachable_pub, reason = \"the manager's own lints are not meant for them\")] #[path = {:?}] mod {module};",
            file.path
        );
        let description = &file.source.description;
        let _ = write!(
            entries,
            "        ::cargo_migrations::Migration::new({:?}, {:?}, {description:?}, {:?}, {module}::up)",
            file.name, file.number, file.source.checksum
        );
        if file.source.has_down {
            let _ = write!(entries, ".with_down({module}::down)");
        }
        entries.push_str(",\n");
    }
    format!(
        "{}\n{{\n{modules}    ::cargo_migrations::Embedded::new({profile:?}, ::std::vec![\n{entries}    ], &{:?})\n}}\n",
        super::first_line(manager),
        found.problems
    )
}

/// A module's name: the file's, with what Rust allows, made unique by its place.
fn module_name(index: usize, file: &str) -> String {
    let stem: String = file
        .strip_suffix(".rs")
        .unwrap_or(file)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    format!("m{index}_{stem}")
}
