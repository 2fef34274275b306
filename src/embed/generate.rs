//! The code that `embedded!()` includes.

use std::fmt::Write as _;
use std::path::Path;

use super::files::{File, Found};
use super::source::Takes;

/// What is written, in the two forms that `embedded!` has.
pub(super) struct Code {
    /// A block expression.
    pub(super) expression: String,
    /// The items of a module, with a function `embedded`.
    pub(super) items: String,
}

/// A module for each file, and the value.
///
/// The compiler takes the user's files as real `mod` items, by `#[path]`, so that it points there, and `super` in a file is the
/// manager. Each has a function beside it that boxes its own: in the items' form that is in a module too, since the compiler
/// makes one unit of each module, and leaves alone those that did not change. (Modules within a function are all one to it.)
pub(super) fn code(manager: &Path, found: &Found, profile: &str) -> Code {
    let (mut expression, mut items) = (String::new(), String::new());
    let (mut functions, mut entries) = (String::new(), String::new());
    for (index, file) in found.files.iter().enumerate() {
        let name = module_name(index, &file.name);
        let module = format!("#[path = {:?}]\nmod {name};\n", file.path);
        for out in [&mut expression, &mut items] {
            let _ = write!(out, "#[allow({MANAGERS_LINTS})]\n{module}");
        }
        let _ = writeln!(expression, "fn of{index}() -> ::cargo_migrations::Migration {{\n{}\n}}", migration(&name, file));
        let super_name = format!("super::{name}");
        let _ = writeln!(
            items,
            "mod of{index} {{\n    pub(super) fn migration() -> ::cargo_migrations::Migration {{\n{}\n    }}\n}}",
            migration(&super_name, file)
        );
        let _ = writeln!(functions, "    of{index}(),");
        let _ = writeln!(entries, "    of{index}::migration(),");
    }
    let first = super::first_line(manager);
    let value =
        |list: &str| format!("::cargo_migrations::Embedded::new({profile:?}, ::std::vec![\n{list}], &{:?})", found.problems);
    Code {
        expression: format!("{first}\n{{\n{expression}{}\n}}\n", value(&functions)),
        items: format!(
            "#[allow(unused_imports, reason = \"`super` in a file is this module\")]\nuse super::*;\n{items}\
             /// The migrations, in the order in which they run.\n\
             pub(crate) fn embedded() -> ::cargo_migrations::Embedded {{\n{}\n}}\n",
            value(&entries)
        ),
    }
}

/// What a manager may deny, and its migrations may do.
const MANAGERS_LINTS: &str = "missing_docs, unreachable_pub, reason = \"the manager's own lints are not meant for them\"";

/// The value of one file; `module` is the path to it.
fn migration(module: &str, file: &File) -> String {
    let source = &file.source;
    let action = |function, takes| action(module, function, takes, source.has_our_result);
    let up = action("up", source.up.unwrap_or(Takes::Unknown));
    let down = source.down.map_or("::core::option::Option::None".to_owned(), |takes| {
        format!("::core::option::Option::Some({})", action("down", takes))
    });
    format!(
        "        ::cargo_migrations::Migration::of([{:?}, {:?}, {:?}], {:?}, {up}, {down})",
        file.name, file.number, source.checksum, source.description
    )
}

/// The expression that makes an action of the file's function. What it takes is told apart by type, unless it is plain to see:
/// the compiler has much less to do then.
fn action(module: &str, function: &str, takes: Takes, has_our_result: bool) -> String {
    let (constructor, plain) = match takes {
        Takes::Unknown => return format!("::cargo_migrations::IntoAction::into_action({module}::{function})"),
        Takes::Database { plain } => ("on_database", plain),
        Takes::Transaction { plain } => ("in_transaction", plain),
    };
    let call = format!("{module}::{function}(it)");
    let future = if plain && has_our_result {
        call
    } else {
        format!("async move {{ ::cargo_migrations::Action::ended({call}.await) }}")
    };
    format!("::cargo_migrations::Action::{constructor}(|it| ::std::boxed::Box::pin({future}))")
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
