//! The code that the build script generates: it compiles in any manager, and what is wrong with a migration's functions is
//! reported at their own file.

use snapbox::{IntoData as _, assert_data_eq, str};

use super::support::{TestDatabase, Workspace, assert_has};

/// What `check` and `execute` say in a workspace whose files are wrong. Nothing runs.
fn refused(workspace: &Workspace) -> String {
    let database = TestDatabase::new();
    let execute = workspace.run("execute", &database).exits(2).stderr;
    // What the compiler says before that is about the bodies of the functions.
    let execute = &execute[execute.find("error: ").unwrap()..];
    let check = workspace.line(["check"]).run().exits(2);
    for line in execute.lines().filter_map(|line| line.strip_prefix("hint: ")) {
        assert_has(&check.stderr, &[line]);
    }
    assert!(database.collections().is_empty());
    execute.replace(workspace.root().canonicalize().unwrap().to_str().unwrap(), "WORKSPACE")
}

#[test]
fn a_manager_of_an_old_edition_and_rust_version() {
    let workspace = Workspace::new();
    let manifest = workspace.read("xtask/Cargo.toml");
    workspace.tracing_migration("0001_a.rs");
    for (edition, rust) in [("2018", "1.56"), ("2021", "1.70")] {
        let old = manifest.replace("edition = \"2024\"", &format!("edition = {edition:?}\nrust-version = {rust:?}"));
        assert_ne!(old, manifest);
        workspace.write("xtask/Cargo.toml", &old);
        let database = TestDatabase::new();
        workspace.run("execute", &database).exits(0);
        assert_eq!(database.trace(), ["up 0001"]);
    }
}

#[test]
fn a_manager_that_depends_on_this_crate_under_another_name() {
    let workspace = Workspace::new();
    let manifest = workspace.read("xtask/Cargo.toml");
    let renamed = manifest.replace("cargo-migrations = { ", "migr-ations = { package = \"cargo-migrations\", ");
    assert_ne!(renamed, manifest);
    workspace.write("xtask/Cargo.toml", &renamed);
    for file in ["xtask/build.rs", "xtask/src/main.rs"] {
        workspace.write(file, &workspace.read(file).replace("cargo_migrations", "migr_ations"));
    }
    workspace.tracing_migration("0001_a.rs");
    let path = "mongomigrations/0001_a.rs";
    workspace.write(path, &workspace.read(path).replace("cargo_migrations", "migr_ations"));
    workspace.migration(
        "0002_takes_a_transaction.rs",
        "use migr_ations::prelude::*;\n\npub async fn up(_: &mut Transaction) -> migr_ations::mongodb::error::Result<()> {\n    \
         Ok(())\n}\n",
    );
    workspace.line(["new:third"]).run().exits(0);
    let database = TestDatabase::new();
    workspace.run("execute", &database).exits(0);
    assert_eq!(database.registered(), ["0001_a.rs", "0002_takes_a_transaction.rs", "0003_third.rs"]);
}

#[test]
fn another_crate_of_the_workspace_turns_on_bson_3() {
    let workspace = Workspace::new();
    workspace.write(
        "models/Cargo.toml",
        "[package]\nname = \"models\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         mongodb = { version = \"3\", default-features = false, features = [\"bson-3\", \"compat-3-3-0\", \"rustls-tls\"] }\n",
    );
    workspace.write(
        "models/src/lib.rs",
        "pub fn pattern() -> mongodb::bson::Regex {\n    \
         mongodb::bson::Regex { pattern: mongodb::bson::cstr!(\"^a\").to_owned(), options: mongodb::bson::cstr!(\"i\").to_owned() }\n}\n",
    );
    workspace.write("Cargo.toml", &workspace.read("Cargo.toml").replace("[\"xtask\"]", "[\"xtask\", \"models\"]"));
    let manifest = workspace.read("xtask/Cargo.toml");
    workspace.write(
        "xtask/Cargo.toml",
        &manifest.replace("[dependencies]\n", "[dependencies]\nmodels = { path = \"../models\" }\n"),
    );
    workspace.tracing_migration("0001_a.rs");
    workspace.migration(
        "0002_pattern.rs",
        "use cargo_migrations::prelude::*;\n\npub async fn up(db: &Db) -> Result<()> {\n    \
         db.collection::<Document>(\"patterns\").insert_one(doc! { \"pattern\": models::pattern() }).await?;\n    Ok(())\n}\n",
    );
    let database = TestDatabase::new();
    workspace.run("execute", &database).exits(0);
    // What goes through JSON: the log's events, and the metadata of a dump.
    let events = workspace.run("history --format json", &database).exits(0);
    assert_has(&events.stdout, &["\"migration_ended\"", "0002_pattern"]);
    workspace.run("dbdump", &database).exits(0);
    let before = database.documents("patterns");
    workspace.run("rollback:1 restore:latest --yes", &database).exits(0);
    assert_eq!((database.documents("patterns"), database.registered().len()), (before, 2));
}

/// Lints that a team may forbid in its manager, other than `unreachable_pub`.
const FORBIDDEN: &str = "warnings, future_incompatible, keyword_idents, let_underscore, nonstandard_style, rust_2018_idioms, \
                         rust_2024_compatibility, unused, absolute_paths_not_starting_with_crate, elided_lifetimes_in_paths, \
                         explicit_outlives_requirements, macro_use_extern_crate, meta_variable_misuse, \
                         missing_copy_implementations, missing_debug_implementations, missing_docs, non_ascii_idents, \
                         redundant_lifetimes, single_use_lifetimes, trivial_casts, trivial_numeric_casts, unit_bindings, \
                         unnameable_types, unsafe_code, unused_import_braces, unused_lifetimes, unused_qualifications, \
                         unused_results, variant_size_differences";

#[test]
fn a_manager_that_forbids_lints() {
    let workspace = Workspace::new();
    let migrations = |visibility: &str| {
        for (name, argument, returned) in [
            ("0001_a.rs", "&Db", "Result<()>"),
            ("0002__two__.rs", "&mut Transaction", "Result<()>"),
            ("0003_c.rs", "&Database", "Result<(), std::io::Error>"),
        ] {
            let function = |name| format!("{visibility} async fn {name}(_: {argument}) -> {returned} {{\n    Ok(())\n}}\n");
            let rerun = format!("{visibility} const RERUN: Rerun = Rerun::Safe;\n");
            let text = format!("use cargo_migrations::prelude::*;\n\n{rerun}\n{}\n{}", function("up"), function("down"));
            workspace.migration(name, &text);
        }
    };
    let source = workspace.read("xtask/src/main.rs");
    let manifest = workspace.read("xtask/Cargo.toml");
    let compiles = |declared: &str, forbidden: &str, lints: &str| {
        let source = source.replace("mod migrations", declared);
        workspace.manager_source(&source.replacen('\n', &format!("\n#![forbid({forbidden})]\n"), 1));
        workspace.write("xtask/Cargo.toml", &format!("{manifest}\n{lints}"));
        let outcome = workspace.line(["check"]).run().exits(0);
        assert!(!outcome.stderr.contains("warning"), "{}", outcome.stderr);
    };
    migrations("pub");
    compiles("mod migrations", FORBIDDEN, "");
    compiles("pub(crate) mod migrations", FORBIDDEN, "");
    // With this one, the team's own functions cannot be `pub`.
    migrations("pub(super)");
    compiles("mod migrations", &format!("{FORBIDDEN}, unreachable_pub"), "");
    compiles("mod migrations", FORBIDDEN, "[lints.rust]\nunreachable_pub = \"forbid\"\n");
}

#[test]
fn a_function_that_cannot_be_a_migrations_is_named_with_its_line_and_with_what_to_write() {
    let workspace = Workspace::new();
    let ok = "pub async fn up(db: &Database) -> Result<()> { Ok(()) }";
    for (name, text) in [
        ("0001_returns_a_number.rs", "pub async fn up(db: &Database) -> Result<u64> { Ok(1) }"),
        ("0002_boxes.rs", "use std::error::Error;\npub async fn up(db: &Database) -> Result<(), Box<dyn Error>> { Ok(()) }"),
        ("0003_private.rs", "struct Own;\n\npub async fn up(db: &Database) -> Result<(), Own> { Ok(()) }"),
        ("0004_not_async.rs", "pub fn up(db: &Database) -> Result<()> { Ok(()) }"),
        ("0005_returns_nothing.rs", "pub async fn up(db: &Database) {}"),
        ("0006_takes_nothing.rs", "pub async fn up() -> Result<()> { Ok(()) }"),
        ("0007_takes_a_value.rs", "pub async fn up(db: Database) -> Result<()> { Ok(()) }"),
        ("0008_takes_mut.rs", "pub async fn up(db: &mut Db) -> Result<()> { Ok(()) }"),
        ("0009_takes_a_shared_one.rs", "pub async fn up(tx: &Transaction) -> Result<()> { Ok(()) }"),
        ("0010_down.rs", &format!("{ok}\n\n/// Back.\npub async fn down(db: &Database) -> Result<bool> {{ Ok(true) }}")),
    ] {
        workspace.migration(name, &format!("use cargo_migrations::prelude::*;\n\n{text}\n"));
    }
    assert_data_eq!(refused(&workspace), str![[r#"
error: `down` in WORKSPACE/mongomigrations/0010_down.rs:6 returns `Result<bool>`
       `up` in WORKSPACE/mongomigrations/0001_returns_a_number.rs:3 returns `Result<u64>`
       `up` in WORKSPACE/mongomigrations/0002_boxes.rs:4 returns `Result<(), Box<dyn Error>>`, whose error cannot be sent between threads
       `up` in WORKSPACE/mongomigrations/0003_private.rs:5 returns `Own`, which is private to the file
       `up` in WORKSPACE/mongomigrations/0004_not_async.rs:3 is not `async`
       `up` in WORKSPACE/mongomigrations/0005_returns_nothing.rs:3 returns nothing
       `up` in WORKSPACE/mongomigrations/0006_takes_nothing.rs:3 takes nothing
       `up` in WORKSPACE/mongomigrations/0007_takes_a_value.rs:3 takes `Database`
       `up` in WORKSPACE/mongomigrations/0008_takes_mut.rs:3 takes `&mut Db`
       `up` in WORKSPACE/mongomigrations/0009_takes_a_shared_one.rs:3 takes `&Transaction`
hint: in 0010_down.rs, return `Result<()>`
      in 0001_returns_a_number.rs, return `Result<()>`
      in 0002_boxes.rs, return `Result<()>`, or `Box<dyn Error + Send + Sync>` as the error
      in 0003_private.rs, write `pub` before the definition of `Own`
      in 0004_not_async.rs, write `pub async fn`
      in 0005_returns_nothing.rs, return `Result<()>`
      in 0006_takes_nothing.rs, take `&Database`, `&Db` or `&mut Transaction`
      in 0007_takes_a_value.rs, take `&Database`, `&Db` or `&mut Transaction`
      in 0008_takes_mut.rs, take `&Database`, `&Db` or `&mut Transaction`
      in 0009_takes_a_shared_one.rs, take `&Database`, `&Db` or `&mut Transaction`

"#]].raw());
}

#[test]
fn what_only_the_compiler_can_tell_is_told_with_the_file_and_with_what_is_allowed() {
    let workspace = Workspace::new();
    let alias = "type Result<T> = std::result::Result<T, std::io::Error>;";
    for (name, text) in [
        ("0001_alias.rs", &*format!("{alias}\n\npub async fn up(_: &Database) -> Result<u64> {{ Ok(1) }}")),
        ("0002_no_error.rs", "pub struct Own;\n\npub async fn up(_: &Database) -> Result<(), Own> { Ok(()) }"),
    ] {
        workspace.migration(name, &format!("use cargo_migrations::prelude::*;\n\n{text}\n"));
    }
    let outcome = workspace.line(["check"]).run().exits(101);
    for (file, returned) in [("0001_alias", "Result<u64, std::io::Error>"), ("0002_no_error", "Result<(), Own>")] {
        let path = workspace.path("mongomigrations").canonicalize().unwrap().join(format!("{file}.rs"));
        assert_has(&outcome.stderr, &[&format!("`up` in {path:?}"), &format!("cannot return `std::result::{returned}`")]);
    }
    assert_has(
        &outcome.stderr,
        &["has to return `Result<()>`, or a `Result<(), E>`", "E has to be `pub`, and an error that"],
    );
    assert!(!outcome.stderr.contains("Into<"), "in our words alone: {}", outcome.stderr);
}

#[test]
fn no_migration_vanishes_by_a_condition() {
    let workspace = Workspace::new();
    let up = "pub async fn up(_: &Database) -> Result<()> { Ok(()) }";
    let down = "pub async fn down(_: &Database) -> Result<()> { Ok(()) }";
    let files = [
        ("0001_file.rs", "#![cfg(windows)]", up.to_owned()),
        ("0002_up.rs", "", format!("#[cfg(all(unix, feature = \"search\"))]\n{up}\n\n{down}")),
        ("0003_imported.rs", "", "#[cfg(not(unix))]\npub use crate::up;".to_owned()),
        ("0004_one_of_two.rs", "", format!("#[cfg(unix)]\n{up}\n\n#[cfg(not(unix))]\n{up}")),
        ("0005_down.rs", "", format!("{up}\n\n#[cfg(windows)]\n{down}")),
        ("0006_attribute.rs", "", format!("#[cfg_attr(unix, cfg(windows))]\n{up}")),
    ];
    for (name, attribute, text) in &files {
        let path = format!("mongomigrations/{name}");
        workspace.write(&path, &format!("{attribute}\nuse cargo_migrations::prelude::*;\n\n{text}\n"));
    }
    let manifest = workspace.read("xtask/Cargo.toml");
    workspace.write("xtask/Cargo.toml", &format!("{manifest}\n[features]\nsearch = []\n"));
    assert_data_eq!(refused(&workspace), str![[r#"
error: the migration WORKSPACE/mongomigrations/0001_file.rs is not in this build, which does not meet its `#[cfg(windows)]`
       the migration WORKSPACE/mongomigrations/0002_up.rs is not in this build, which does not meet its `#[cfg(all(unix, feature = "search"))]`
       the migration WORKSPACE/mongomigrations/0003_imported.rs is not in this build, which does not meet its `#[cfg(not(unix))]`
       the migration WORKSPACE/mongomigrations/0006_attribute.rs is not in this build, which does not meet its `#[cfg(any(not(unix), windows))]`
hint: in 0001_file.rs, move the condition into `up`, as in `if cfg!(windows) { … }`
      in 0002_up.rs, move the condition into `up`, as in `if cfg!(all(unix, feature = "search")) { … }`
      in 0003_imported.rs, move the condition into `up`, as in `if cfg!(not(unix)) { … }`
      in 0006_attribute.rs, move the condition into `up`, as in `if cfg!(any(not(unix), windows)) { … }`

"#]].raw());

    // Where every condition is met, all of them are there; a `down` may be missing.
    for name in ["0001_file.rs", "0003_imported.rs", "0006_attribute.rs"] {
        std::fs::remove_file(workspace.path("mongomigrations").join(name)).unwrap();
    }
    workspace.write("xtask/Cargo.toml", &format!("{manifest}\n[features]\ndefault = [\"search\"]\nsearch = []\n"));
    let database = TestDatabase::new();
    workspace.run("execute", &database).exits(0);
    assert_eq!(database.registered(), ["0002_up.rs", "0004_one_of_two.rs", "0005_down.rs"]);
    assert_has(&workspace.run("rollback:5", &database).exits(2).stderr, &["0005_down"]);
    workspace.run("rollback:2", &database).exits(0);
}

#[test]
fn what_is_wrong_with_the_constant_is_said_at_its_line() {
    let workspace = Workspace::new();
    let up = "pub async fn up(_: &Db) -> Result<()> {\n    Ok(())\n}\n";
    for (name, rerun) in [
        ("0001_right.rs", "pub const RERUN: Rerun = Rerun::Safe;"),
        ("0002_private.rs", "const RERUN: Rerun = Rerun::Safe;"),
        ("0003_type.rs", "pub const RERUN: bool = true;"),
        ("0004_value.rs", "pub const RERUN: Rerun = Rerun::Save;"),
        ("0005_cfg.rs", "#[cfg(unix)]\npub const RERUN: Rerun = Rerun::Safe;"),
        ("0006_imported.rs", "pub use super::shared::RERUN;"),
    ] {
        workspace.migration(name, &format!("use cargo_migrations::prelude::*;\n\n{rerun}\n\n{up}"));
    }
    assert_data_eq!(
        refused(&workspace),
        str![[r#"
error: `RERUN` in WORKSPACE/mongomigrations/0002_private.rs:3 is not `pub`
       `RERUN` in WORKSPACE/mongomigrations/0003_type.rs:3 is of type `bool`
       `RERUN` in WORKSPACE/mongomigrations/0004_value.rs:3 is `Rerun::Save`, and neither `Rerun::Safe` nor `Rerun::Unknown`
       `RERUN` in WORKSPACE/mongomigrations/0005_cfg.rs:4 stands under `#[cfg(unix)]`
       `RERUN` in WORKSPACE/mongomigrations/0006_imported.rs:3 is imported
hint: in 0002_private.rs, write `pub const RERUN: Rerun = Rerun::Safe;`, or remove it
      in 0003_type.rs, write `pub const RERUN: Rerun = Rerun::Safe;`, or remove it
      in 0004_value.rs, write `pub const RERUN: Rerun = Rerun::Safe;`, or remove it
      in 0005_cfg.rs, remove the condition from `RERUN`: it has to hold in every build
      in 0006_imported.rs, write `pub const RERUN: Rerun = Rerun::Safe;`, or remove it

"#]]
        .raw()
    );
    for name in ["0002_private.rs", "0003_type.rs", "0004_value.rs", "0005_cfg.rs", "0006_imported.rs"] {
        std::fs::remove_file(workspace.path("mongomigrations").join(name)).unwrap();
    }
    let database = TestDatabase::new();
    workspace.run("execute", &database).exits(0);
    assert_eq!(database.registered(), ["0001_right.rs"]);
}
