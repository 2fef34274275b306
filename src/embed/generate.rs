//! Generates the items of the module that `embedded!` declares.

use std::fmt::Write as _;
use std::path::Path;

use super::DEBUG;
use super::files::{File, Found, Problem};
use super::rerun::RERUN;
use super::signature::{Function, Takes};
use crate::model::sources::Sources;

/// This crate's name in the generated code. `embedded!` imports it: a manager may depend on this crate under any name.
const OURS: &str = "__cargo_migrations";

/// The package that the migrations are compiled into.
pub(super) struct Manager<'m> {
    pub(super) folder: &'m Path,
    pub(super) package: &'m str,
    /// The profile of the build, as cargo names it to build scripts.
    pub(super) profile: &'m str,
    /// Whether it forbids the lint that generated code would allow.
    pub(super) forbids: bool,
    /// The git commit, if there is one.
    pub(super) sources: Option<&'m Sources>,
}

/// Returns the generated file: a module for each migration file, and the function `found`, which returns all migrations.
///
/// Each migration file becomes a real `mod` item with a `#[path]`, so that compile errors point at the user's file. `super` in
/// a migration file is then the module that `embedded!` declares, which imports everything from the module around it.
///
/// The functions of a migration are boxed in a second module next to its own. The compiler makes a codegen unit of each module
/// and does not compile an unchanged unit again, which is what keeps a build after one edit short.
///
/// The code must compile without a warning under any lint that a team may forbid: `#[allow]` would be an error then. What cannot do
/// without one stands in this crate's macros, where most lints do not look.
///
/// The program compares the manager's folder with the one that it is started in.
pub(super) fn code(found: &Found, manager: &Manager<'_>) -> String {
    let Manager { folder, package, profile, forbids, sources } = manager;
    let module = if *forbids { "@module" } else { "@file" };
    let (mut modules, mut list, mut problems) = (String::new(), String::new(), String::new());
    for (index, file) in found.files.iter().enumerate() {
        let name = module_name(index, &file.name);
        let condition = file.condition();
        if let Some(condition) = &condition {
            // No build may leave a migration out without a word: others would run it, and in another order.
            let _ = writeln!(problems, "        #[cfg(not({condition}))] {},", problem(&left_out(file, condition)));
        }
        let condition = condition.map(|condition| format!("#[cfg({condition})]\n")).unwrap_or_default();
        let migration = migration(&format!("super::{name}"), file);
        let _ = write!(
            modules,
            "{OURS}::embedded! {{ {module} {:?} {name} }}\n\
             {condition}mod of{index} {{\n    pub(super) fn migration() -> super::{OURS}::Migration {{\n{migration}    }}\n}}\n",
            file.path
        );
        let _ = writeln!(list, "        {}of{index}::migration,", condition.replace('\n', " "));
    }
    for found in &found.problems {
        let _ = writeln!(problems, "        {},", problem(found));
    }
    let first_line = super::first_line(folder);
    // The real path: a link may lead to another checkout by the time the program runs. A path that a string literal cannot hold is
    // not compared.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let found_by = folder.to_str().map(|folder| format!(".found_by({package:?}, {folder:?})")).unwrap_or_default();
    let checked_in = folder.to_str().filter(|_| *profile == DEBUG);
    let built_from = sources.map(|sources| built_from(sources, checked_in)).unwrap_or_default();
    format!(
        "{first_line}\n\
         {modules}\
         const MIGRATIONS: &[fn() -> {OURS}::Migration] = &[\n{list}];\n\
         const PROBLEMS: &[(&str, &str)] = &[\n{problems}];\n\
         fn found() -> {OURS}::Embedded {{\n    \
         {OURS}::Embedded::from_build_script({profile:?}, MIGRATIONS, PROBLEMS){found_by}{built_from}\n}}\n"
    )
}

/// Returns the call that says which commit the sources are of. A development build looks into the folder whether that is still so.
fn built_from(sources: &Sources, folder: Option<&str>) -> String {
    let option = |value: Option<String>| match value {
        Some(value) => format!("::core::option::Option::Some({value})"),
        None => "::core::option::Option::None".to_owned(),
    };
    let is_dirty = option(sources.is_dirty.map(|is_dirty| is_dirty.to_string()));
    format!(".built_from({:?}, {is_dirty}, {})", sources.commit, option(folder.map(|folder| format!("{folder:?}"))))
}

/// Returns the expression for a problem: its message and its hint.
fn problem(problem: &Problem) -> String {
    format!("({:?}, {:?})", problem.message, problem.hint)
}

/// Returns what is wrong where a file's condition is not met.
fn left_out(file: &File, condition: &str) -> Problem {
    let shown = file.path.display();
    Problem {
        message: format!("the migration {shown} is not in this build, which does not meet its `#[cfg({condition})]`"),
        hint: format!("in {}, move the condition into `up`, as in `if cfg!({condition}) {{ … }}`", file.name),
    }
}

/// Returns the body of the function that makes the migration of a file. `module` is the path to the file's module.
fn migration(module: &str, file: &File) -> String {
    const NONE: &str = "::core::option::Option::None";
    let source = &file.source;
    let action = |name: &str, function: &Function| {
        // The compiler prints this line where the function cannot be called.
        let line = |call: &str| format!("\n            {module}::{name}{call} // `{name}` in {:?}\n        ", file.path);
        action(function.takes, source.has_our_result, line)
    };
    let up = source.up.as_ref().map(|up| format!("let up = {};", action("up", up))).unwrap_or_default();
    let down = match &source.down {
        None => format!("        let down = {NONE};\n"),
        Some(down) => {
            let some = format!("let down = ::core::option::Option::Some({});", action("down", down));
            match &down.cfg {
                None => format!("        {some}\n"),
                Some(condition) => format!(
                    "        #[cfg({condition})]\n        {some}\n        \
                     #[cfg(not({condition}))]\n        let down = {NONE};\n"
                ),
            }
        }
    };
    // The constant itself: if it is not what its text seems to say, the build fails.
    let rerun = source.rerun.as_ref().map(|_| format!(".with_rerun({module}::{RERUN})")).unwrap_or_default();
    let checksums = format!("[{:?}, {:?}]", source.checksum, source.former_checksum);
    format!(
        "        {up}\n{down}        \
         super::{OURS}::Migration::of([{:?}, {:?}], {checksums}, {:?}, up, down){rerun}\n",
        file.name, file.number, source.description
    )
}

/// Returns the expression that makes an action of one of the file's functions. `line` is the line that names it, with what follows
/// its name.
///
/// Where the text shows what the function takes, it is boxed right here. Otherwise `IntoAction` finds out by type, which costs
/// the compiler much more time.
fn action(takes: Takes, has_our_result: bool, line: impl Fn(&str) -> String) -> String {
    let (constructor, plain) = match takes {
        Takes::Unknown => return format!("super::{OURS}::IntoAction::into_action({})", line("")),
        Takes::Database { plain } => ("on_database", plain),
        Takes::Transaction { plain } => ("in_transaction", plain),
    };
    let future = if plain && has_our_result {
        line("(it)")
    } else {
        format!("async move {{ super::{OURS}::Action::ended({}) }}", line("(it).await"))
    };
    format!("super::{OURS}::Action::{constructor}(|it| ::std::boxed::Box::pin({future}))")
}

/// Returns a module name made of the characters of the file's name that Rust allows. The index makes it unique.
fn module_name(index: usize, file: &str) -> String {
    let mut name = format!("m{index}_");
    for c in file.strip_suffix(".rs").unwrap_or(file).chars() {
        let c = if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        // Two in a row are not snake case.
        if c != '_' || !name.ends_with('_') {
            name.push(c);
        }
    }
    name.trim_end_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_development_build_looks_again_whether_the_commit_is_that_one() {
        let of = |is_dirty, folder| built_from(&Sources { commit: "1a".into(), is_dirty }, folder);
        let some = |value: &str| format!("::core::option::Option::Some({value})");
        assert_eq!(of(Some(true), None), format!(".built_from(\"1a\", {}, ::core::option::Option::None)", some("true")));
        let folder = some("\"/work\"");
        assert_eq!(of(None, Some("/work")), format!(".built_from(\"1a\", ::core::option::Option::None, {folder})"));
    }
}
