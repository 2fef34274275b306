//! What a user's manager can do.

use std::path::Path;

use snapbox::{assert_data_eq, str};

use super::support::{CRATE, Line, TestDatabase, Workspace, assert_has, blog, fixture};

#[test]
fn a_built_in_can_be_overridden_and_reached_as_super() {
    let database = TestDatabase::new();
    blog().line(["execute:1"]).on(&database).env("AROUND", "1").run().exits(0);
    assert_eq!(database.trace(), ["before execute", "up 0001", "after execute"]);
}

#[test]
fn custom_subtasks_are_methods_and_closures_and_may_be_synchronous() {
    let database = TestDatabase::new();
    let outcome = blog().run("mytask:x closure:y sync", &database).exits(0);
    assert_eq!(database.trace(), [r#"mytask Some("x")"#, r#"closure Some("y")"#]);
    assert_eq!(outcome.stdout, "synchronous\n");
}

#[test]
fn errors_of_custom_subtasks_are_told_with_their_exit_code() {
    let database = TestDatabase::new();
    for (task, code, expected) in [
        ("fail", 1, "error: paper jam\n"),
        ("panic", 1, "error: the subtask panic panicked: out of ink (at xtask/src/main.rs:"),
        ("refuse", 3, "error: not on a Friday\n"),
    ] {
        let outcome = blog().run(task, &database).exits(code);
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
}

#[test]
fn another_default_subtask() {
    let database = TestDatabase::new();
    blog().line([]).on(&database).env("OTHER_DEFAULT", "1").run().exits(0);
    assert_eq!(database.trace(), ["mytask None"]);
    let help = blog().line(["help"]).on(&database).env("OTHER_DEFAULT", "1").run().exits(0);
    assert_has(&help.stdout, &["Note what it was given (default)"]);
}

#[test]
fn the_hook_runs_before_every_subtask_and_can_stop_the_run() {
    let database = TestDatabase::new();
    blog().line(["mytask:x", "closure"]).on(&database).env("HOOKED", "1").run().exits(0);
    assert_eq!(database.trace(), [r#"hook mytask Some("x")"#, r#"mytask Some("x")"#, "hook closure None", "closure None"]);
    let database = TestDatabase::new();
    blog().line(["mytask", "closure", "mytask"]).on(&database).env("STOP_AT", "closure").run().exits(0);
    assert_eq!(database.trace(), ["mytask None"], "the run ended at the second task, with success");
    let outcome = blog().line(["mytask"]).on(&database).env("FAIL_AT", "mytask").run().exits(1);
    assert_has(&outcome.stderr, &["error: the hook said no"]);
    assert_eq!(database.trace().len(), 1);
}

#[test]
fn the_cargo_command_survives_a_shell() {
    let database = TestDatabase::new();
    let printed = blog().line([r"command:it's a\,b"]).on(&database).run().exits(0).stdout;
    // What it printed is run by a real shell, with a `cargo` that is the plugin.
    let script = printed.trim().replacen("cargo migrations", r#""$PLUGIN""#, 1);
    let line = Line::new("sh", blog().root()).args(["-c", &script]).env("PLUGIN", super::support::plugin());
    line.on(&database).run().exits(0);
    assert_eq!(database.trace(), [r#"mytask Some("it's a,b")"#], "from {printed}");
}

#[test]
fn help_lists_built_in_and_custom_subtasks_in_columns() {
    let database = TestDatabase::new();
    let outcome = blog().run("help", &database).exits(0);
    assert_data_eq!(
        outcome.stdout,
        str![[r#"
Usage: cargo migrations [FLAGS] [TASK...]

Tasks, run from left to right:

Run migrations:
  execute[:MIGRATION|to=…]    Run the unregistered migrations, or one
  rollback:…                  Undo registered migrations, and unregister them
  to:MIGRATION                Bring the database to a migration, up or down
  redo:MIGRATION              Undo a migration, and run it again

Look:
  show_status                 Show which migrations are registered (default)
  plan[:TASK]                 Show what a task would do: `plan:rollback,to=0004`
  check                       Check the migration files and the manager, without a server
  history[:MIGRATION]         Show the log: what was run, by whom, and how it ended
  backfill[:…]                Show the backfills that are under way, and steer them
  doctor                      Look for what may keep runs from working
  help[:SUBTASK]              List the subtasks, or describe one

Correct the registry and the lock:
  ignore[:MIGRATION]          Register the unregistered migrations, or one, without running
  baseline:MIGRATION          Register migrations up to a number without running
  accept:MIGRATION            Register a file's new code, or its new name
  forget:MIGRATION            Take a migration without a file out of the registry
  adopt:…[,from=…]            Register what another tool's records say is done
  unlock[:restore]            Show who has the lock, and free it

Dump and restore:
  dbdump[:…]                  Dump the database
  restore:DUMP[,…]            Put a dump back, in place of what the database holds
  dumps[:keep=…]              List the dumps

Develop:
  mongod[:start|stop]         The local development server: where it is, `start`, `stop`
  completions:bash|zsh|fish   Print the script with which a shell completes the line
  init                        Set up a manager and a migrations directory in this workspace
  new:NAME                    Write the next migration file

Your own:
  mytask[:VALUE]              Note what it was given
  closure[:VALUE]             An async closure
  copy[:VALUE][,to=…][,as=…]  Takes more than one value
  sync[:VALUE]                Works without awaiting
  panic[:VALUE]               Panics
  fail[:VALUE]                Returns an error
  refuse[:VALUE]              Returns an error of ours
  leak[:VALUE]                Returns an error with a connection string
  command[:VALUE]             Prints its own command line

A migration is named by file name, stem or number. `cargo migrations help:NAME`
describes a task. `cargo migrations --help` lists the flags.

"#]]
    );
    assert_eq!(outcome.stderr, "");
    let outcome = blog().run("help:mytask", &database).exits(0);
    assert_data_eq!(
        outcome.stdout,
        str![[r#"
cargo migrations mytask[:VALUE]

Note what it was given

And more, which the list does not show.

"#]]
    );
    assert!(database.collections().is_empty(), "help needs no database");
}

#[test]
fn help_needs_no_server() {
    blog().line(["help"]).env("MONGO_URI", "mongodb://127.0.0.1:1").run().exits(0);
    blog().line(["help"]).run().exits(0);
}

#[test]
fn wrong_subtasks_of_a_manager_are_told() {
    let workspace = Workspace::new();
    let with = |calls: &str| {
        let source = fixture("wrong_subtasks/xtask/src/main.rs");
        workspace.manager_source(&source.replace("        subtasks\n", &format!("        subtasks{calls}\n")));
        workspace.line(["help"]).run().exits(2).stderr
    };
    assert_has(&with(r#".add("execute", "Mine", Self::nothing)"#), &["two subtasks named `execute`", "override its method"]);
    assert_has(
        &with(r#".add("a b", "Mine", Self::nothing)"#),
        &["a subtask named `a b`, which cannot be written on the line"],
    );
    assert_has(&with(r#".default("missing")"#), &["default subtask `missing` does not exist"]);
}

#[test]
fn the_module_of_the_migrations_takes_attributes_and_a_visibility_and_another_form_is_explained() {
    let workspace = Workspace::new();
    let plain = workspace.read("xtask/src/main.rs");
    let source = plain
        .replace("use cargo_migrations::prelude", "#![deny(unreachable_pub)]\n\nuse cargo_migrations::prelude")
        .replace(
            "(mod migrations)",
            "(\n    /// The migrations.\n    #[allow(non_snake_case)]\n    pub(crate) mod migrations\n)",
        );
    workspace.manager_source(&source);
    workspace.tracing_migration("0001_a.rs");
    workspace.line(["help"]).run().exits(0);

    workspace.manager_source(&plain.replace(", migrations::embedded()", ", cargo_migrations::embedded!()"));
    let outcome = workspace.line(["help"]).run().exits(101);
    assert_has(
        &outcome.stderr,
        &[
            "write `cargo_migrations::embedded!(mod migrations);` at the top of main.rs, and `migrations::embedded()` in main",
        ],
    );
}

#[test]
fn do_mongo_dump_dumps_first_and_only_when_there_is_something_to_do() {
    let database = TestDatabase::new();
    let line = |task: &str| blog().line([task]).on(&database).env("DO_MONGO_DUMP", "1").env("OWN_DUMP", "1");
    line("execute:1").run().exits(0);
    line("rollback:1").run().exits(0);
    assert_eq!(database.trace(), ["dump", "up 0001", "dump", "down 0001"]);
    blog().run("ignore", &database).exits(0);
    line("execute").run().exits(0);
    assert_eq!(database.trace().len(), 4);
}

#[test]
fn the_repositorys_own_manager_runs_the_sample_migrations_and_back() {
    let database = TestDatabase::new();
    let run = |task: &str| {
        let line = Line::new(super::support::plugin(), Path::new(CRATE)).args(task.split_whitespace());
        line.on(&database).run().exits(0)
    };
    run("execute");
    let posts = database.documents("posts");
    assert_eq!(posts.len(), 3);
    assert_eq!(posts[0].get_document("author").unwrap().get_str("last").ok(), Some("Lovelace"));
    assert_eq!(posts[1].get_str("slug").ok(), Some("why-we-moved-to-rust"));
    assert!(posts.iter().all(|post| post.get_i64("minutes").unwrap() == 1), "{posts:?}");
    assert_has(&run("count:posts").stdout, &["posts: 3"]);
    run("rollback:5 rollback:4 rollback:3");
    let posts = database.documents("posts");
    assert_eq!(posts[0].get_str("author").ok(), Some("Ada Lovelace"));
    assert!(!posts[0].contains_key("slug") && !posts[0].contains_key("minutes"));
    run("rollback:2 rollback:1");
    assert_eq!(database.collections(), ["migrations", "migrations_backfill", "migrations_lock", "migrations_log"]);
    assert!(database.documents("migrations_backfill").is_empty());
    assert!(database.registered().is_empty());
}
