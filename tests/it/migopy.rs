//! Every behaviour that migopy's README describes, each in a test named after it.

use cargo_migrations::mongodb::bson::doc;

use super::support::{TestDatabase, Workspace, assert_has, blog, simple};

#[test]
fn fab_migrations_returns_status_of_migrations_registered_or_not() {
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    let outcome = simple().run("", &database).exits(0);
    let line = |name: &str| outcome.stdout.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert_has(&line("0001_a"), &[" registered "]);
    assert_has(&line("0002_b"), &[" unregistered "]);
}

#[test]
fn fab_migrations_execute_executes_not_registered_migrations() {
    let database = TestDatabase::new();
    database.insert("migrations", [doc! { "name": "0002_b.rs" }]);
    simple().run("execute", &database).exits(0);
    assert_eq!(database.trace(), ["up 0001", "up 0010"]);
}

#[test]
fn each_migration_is_a_separate_file_localized_in_mongomigrations_directory() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    workspace.tracing_migration("1_one.rs");
    workspace.tracing_migration("2_two.rs");
    workspace.run("execute", &database).exits(0);
    assert_eq!(database.trace(), ["up 1", "up 2"]);
}

#[test]
fn information_which_migrations_are_registered_is_stored_in_migrations_collection() {
    let database = TestDatabase::new();
    simple().run("execute", &database).exits(0);
    let names: Vec<_> =
        database.documents("migrations").iter().map(|entry| entry.get_str("name").unwrap().to_owned()).collect();
    assert_eq!(names, ["0001_a.rs", "0002_b.rs", "0010_c.rs"]);
}

#[test]
fn fab_migrations_ignore_registers_unregistered_migrations_without_executing_them() {
    let database = TestDatabase::new();
    simple().run("ignore", &database).exits(0);
    assert_eq!(database.registered().len(), 3);
    assert!(database.trace().is_empty());
}

#[test]
fn fab_migrations_help_shows_help_about_the_commands() {
    let outcome = simple().line(["help"]).run().exits(0);
    for subtask in ["show_status", "execute", "ignore", "rollback", "dbdump", "help"] {
        assert_has(&outcome.stdout, &[subtask]);
    }
}

#[test]
fn fab_migrations_execute_with_a_file_executes_the_specific_migration() {
    let database = TestDatabase::new();
    simple().run("execute,0002_b.rs", &database).exits(0);
    assert_eq!(database.trace(), ["up 0002"]);
}

#[test]
fn fab_migrations_rollback_with_a_file_does_the_down_function() {
    let database = TestDatabase::new();
    simple().run("execute rollback,0002_b.rs", &database).exits(0);
    assert_eq!(database.trace().last().unwrap(), "down 0002");
    assert_eq!(database.registered(), ["0001_a.rs", "0010_c.rs"]);
}

#[test]
fn fab_migrations_ignore_with_a_file_ignores_the_specific_migration() {
    let database = TestDatabase::new();
    simple().run("ignore,0002_b.rs", &database).exits(0);
    assert_eq!(database.registered(), ["0002_b.rs"]);
    assert!(database.trace().is_empty());
}

#[test]
fn the_up_function_is_given_the_drivers_database_object() {
    // The fixtures' `up(db: &Database)` writes through it, into the database that the configuration names.
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    assert_eq!(database.trace(), ["up 0001"]);
}

#[test]
fn handling_different_environments_with_task_hook_and_fab_command() {
    // The hook runs `cargo_command` elsewhere and stops: here it only notes the subtask, and `execute` does not run.
    let database = TestDatabase::new();
    blog().line(["execute:1"]).on(&database).env("HOOKED", "1").env("STOP_AT", "execute").run().exits(0);
    assert_eq!(database.trace(), [r#"hook execute Some("1")"#]);
    assert!(database.registered().is_empty());
    let command = blog().run("command:some_option", &database).exits(0).stdout;
    assert_eq!(command, "cargo migrations mytask:some_option\n");
}

#[test]
fn you_can_import_your_own_models_in_a_migration_file() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    workspace.copy_fixture("models");
    workspace.write("Cargo.toml", &workspace.read("Cargo.toml").replace("[\"xtask\"]", "[\"xtask\", \"models\"]"));
    workspace.write(
        "xtask/Cargo.toml",
        &workspace
            .read("xtask/Cargo.toml")
            .replace("[dependencies]\n", "[dependencies]\nmodels = { path = \"../models\" }\n"),
    );
    workspace.run("execute", &database).exits(0);
    assert_eq!(database.documents("notes")[0].get_str("content").ok(), Some("test"));
}

#[test]
fn migrations_directory_and_migrations_file_pattern_can_be_set() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    workspace.write(
        "xtask/build.rs",
        "fn main() {\n    cargo_migrations::build::embed(\"../changes\").pattern(r\"m-(?P<migr_nr>[0-9]+)\\.rs\");\n}\n",
    );
    workspace.tracing_migration("1_not_there.rs");
    std::fs::create_dir(workspace.path("changes")).unwrap();
    std::fs::rename(workspace.path("mongomigrations/1_not_there.rs"), workspace.path("changes/m-7.rs")).unwrap();
    workspace.run("execute:7", &database).exits(0);
    assert_eq!(database.registered(), ["m-7.rs"]);
    assert_eq!(database.trace(), ["up 1"]);
}

#[test]
fn do_mongo_dump_does_a_dump_before_migrations_execution() {
    let database = TestDatabase::new();
    blog().line(["execute:1"]).on(&database).env("DO_MONGO_DUMP", "true").env("OWN_DUMP", "1").run().exits(0);
    assert_eq!(database.trace(), ["dump", "up 0001"]);
}

#[test]
fn you_can_override_selected_methods() {
    let database = TestDatabase::new();
    blog().line(["execute:1", "dbdump"]).on(&database).env("AROUND", "1").env("OWN_DUMP", "1").run().exits(0);
    assert_eq!(database.trace(), ["before execute", "up 0001", "after execute", "dump"]);
}

#[test]
fn you_can_add_additional_migrations_subtasks_with_an_option() {
    let database = TestDatabase::new();
    blog().run("mytask mytask,some_option", &database).exits(0);
    assert_eq!(database.trace(), ["mytask None", r#"mytask Some("some_option")"#]);
    let help = blog().line(["help"]).run().exits(0);
    assert_has(&help.stdout, &["mytask[:VALUE]", "Note what it was given"]);
}
