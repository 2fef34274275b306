//! Generates the items of the module that `embedded!` declares.

use std::fmt::Write as _;
use std::path::Path;

use super::files::{File, Found};
use super::source::Takes;

/// Returns the generated file: a module for each migration file, and the function `embedded` that returns all migrations.
///
/// Each migration file becomes a real `mod` item with a `#[path]`, so that compile errors point at the user's file. `super` in
/// a migration file is then the generated module, which imports everything from the module around it.
///
/// The functions of a migration are boxed in a second module next to its own. The compiler makes a codegen unit of each module
/// and does not compile an unchanged unit again, which is what keeps a build after one edit short.
///
/// `package` is the name of the manager's package. The program compares its folder with the one that it is started in.
pub(super) fn code(manager: &Path, package: &str, found: &Found, profile: &str) -> String {
    let (mut modules, mut list) = (String::new(), String::new());
    for (index, file) in found.files.iter().enumerate() {
        let name = module_name(index, &file.name);
        let migration = migration(&format!("super::{name}"), file);
        let _ = write!(
            modules,
            "#[allow({MIGRATION_LINTS})]\n#[path = {:?}]\nmod {name};\n\
             mod of{index} {{\n    pub(super) fn migration() -> ::cargo_migrations::Migration {{\n{migration}\n    }}\n}}\n",
            file.path
        );
        let _ = writeln!(list, "        of{index}::migration(),");
    }
    let problems: Vec<_> = found.problems.iter().map(|problem| (&problem.message, &problem.hint)).collect();
    let first_line = super::first_line(manager);
    // The real path: a link may lead to another checkout by the time the program runs. A path that a string literal cannot hold is
    // not compared.
    let folder = manager.canonicalize().unwrap_or_else(|_| manager.to_owned());
    let found_by = folder.to_str().map(|folder| format!(".found_by({package:?}, {folder:?})")).unwrap_or_default();
    format!(
        "{first_line}\n\
         #[allow(unused_imports, reason = \"`super` in a migration file is this module\")]\nuse super::*;\n\
         {modules}\
         /// Returns the migrations, in the order in which they run.\n\
         #[allow(unreachable_pub, reason = \"the module may be private or public\")]\n\
         #[must_use]\n\
         pub fn embedded() -> ::cargo_migrations::Embedded {{\n    \
         ::cargo_migrations::Embedded::from_build_script({profile:?}, ::std::vec![\n{list}    ], &{problems:?}){found_by}\n}}\n"
    )
}

/// The lints that a manager's crate may enable, but that make no sense for its migration files.
const MIGRATION_LINTS: &str =
    "missing_docs, unreachable_pub, reason = \"the manager's lints are not meant for migration files\"";

/// Returns the expression that makes the migration of a file. `module` is the path to the file's module.
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

/// Returns the expression that makes an action of one of the file's functions.
///
/// Where the text shows what the function takes, it is boxed right here. Otherwise `IntoAction` finds out by type, which costs
/// the compiler much more time.
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

/// Returns a module name made of the characters of the file's name that Rust allows. The index makes it unique.
fn module_name(index: usize, file: &str) -> String {
    let stem: String = file
        .strip_suffix(".rs")
        .unwrap_or(file)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    format!("m{index}_{stem}")
}
