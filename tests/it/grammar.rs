//! The line, as the manager understands it.

use super::support::{TestDatabase, blog, simple};

#[test]
fn options_reach_the_task_unescaped() {
    let database = TestDatabase::new();
    blog().line([r"mytask:a\,b\=c\:d\\e"]).on(&database).run().exits(0);
    blog().run("mytask,plain mytask", &database).exits(0);
    assert_eq!(
        database.trace(),
        [r#"mytask Some("a,b=c:d\\e")"#, r#"mytask Some("plain")"#, "mytask None"],
        "the colon and the comma are alike, and a task without an option gets none"
    );
}

#[test]
fn keys_and_places_name_the_values_that_a_task_takes() {
    let database = TestDatabase::new();
    blog().run("copy:a,to=b copy:a,b,c copy:as=x", &database).exits(0);
    assert_eq!(
        database.trace(),
        [
            r#"copy Some("a") to Some("b") as None"#,
            r#"copy Some("a") to Some("b") as Some("c")"#,
            r#"copy None to None as Some("x")"#,
        ]
    );
}

#[test]
fn options_that_a_task_does_not_take_are_refused_with_what_it_takes() {
    let database = TestDatabase::new();
    for (word, expected) in [
        ("mytask:a,b", "mytask takes one value at most, and `b` is a second one\nhint: its usage is `mytask[:VALUE]`"),
        (
            "execute:1,2",
            "execute takes one value at most, and `2` is a second one\nhint: its usage is `execute[:MIGRATION|to=…]`",
        ),
        ("execute:by=b", "execute takes no option `by`\nhint: its usage is `execute[:MIGRATION|to=…]`"),
        ("show_status:x", "show_status takes no value, and `x` is one\nhint: its usage is `show_status`"),
        (
            "copy:a,b,c,d",
            "copy takes 3 values at most, and `d` is one more\nhint: its usage is `copy[:VALUE][,to=…][,as=…]`",
        ),
        ("copy:a,to=b,to=c", "copy takes `to` once, not twice"),
        ("execute:a,to=b", "execute takes one value, not several\nhint: its usage is `execute[:MIGRATION|to=…]`"),
        ("restore:latest,copy", "restore takes one value at most, and `copy` is a second one"),
        ("dbdump:yes", "dbdump takes no value, and `yes` is one"),
        ("mongod:destroy", "`destroy` is not a valid value for mongod\nhint: its usage is `mongod[:start|stop]`"),
    ] {
        // A valid task comes first: the complete line is checked before it runs.
        let outcome = blog().line(["mytask", word]).on(&database).run().exits(2);
        assert!(outcome.stderr.contains(expected), "{word}: {}", outcome.stderr);
    }
    assert!(database.collections().is_empty(), "nothing has run");
}

#[test]
fn words_that_are_no_tasks_are_refused() {
    let database = TestDatabase::new();
    for (word, expected) in [
        ("execute:", "error: `execute:` has an empty option\nhint: drop the `:` or put a value after it\n"),
        (":x", "error: `:x` does not start with the name of a task\nhint: write the name first"),
        ("mytask:=v", "error: `mytask:=v` has an option that starts with `=`\nhint: write `key=value`"),
        ("excute", "there is no subtask or environment named `excute`\nhint: did you mean `execute`?"),
        ("qqq", "there is no subtask or environment named `qqq`\nhint: `cargo migrations help` lists them"),
        ("migrate", "there is no subtask or environment named `migrate`\nhint: did you mean `execute`?"),
        ("undo:2", "did you mean `rollback`?"),
        ("create:add_users", "did you mean `new`?"),
        ("help:rolback", "there is no subtask or environment named `rolback`\nhint: did you mean `rollback`?"),
        (
            "rollback",
            "rollback needs a migration, `to=`, `steps=` or `run=`\nhint: write `cargo migrations rollback:0002_x`",
        ),
    ] {
        let outcome = blog().line(["mytask", word]).on(&database).run().exits(2);
        assert!(outcome.stderr.contains(expected), "{word}: {}", outcome.stderr);
    }
    assert!(database.collections().is_empty(), "nothing has run");
}

#[test]
fn a_migration_in_a_tasks_place_is_met_with_the_right_spelling() {
    let database = TestDatabase::new();
    for (line, expected) in [
        ("execute 0002_b", "`0002_b` is a migration, not a subtask. Nothing has run\nhint: write `execute:0002_b`"),
        ("rollback:1 0002_b.rs", "write `rollback:0002_b.rs`"),
        ("2", "write `execute:2`"),
    ] {
        let outcome = simple().run(line, &database).exits(2);
        assert!(outcome.stderr.contains(expected), "{line}: {}", outcome.stderr);
    }
    assert!(database.collections().is_empty(), "nothing has run");
    // Only the database knows whether there was such a file. Without an answer, that is said.
    let uri = "mongodb://127.0.0.1:1/blog?serverSelectionTimeoutMS=100";
    let outcome = simple().line(["ignore:0003_x"]).on(&database).env("MONGO_URI", uri).run().exits(2);
    let expected = "If `0003_x` is registered and its file is gone, `cargo migrations show_status` lists it as missing";
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
}

#[test]
fn a_migration_is_named_by_file_name_stem_or_number() {
    let database = TestDatabase::new();
    for (line, names) in [
        ("execute:0001_a.rs", vec!["0001_a.rs"]),
        ("execute:0002_b", vec!["0001_a.rs", "0002_b.rs"]),
        ("execute:10", vec!["0001_a.rs", "0002_b.rs", "0010_c.rs"]),
        ("rollback:000002", vec!["0001_a.rs", "0010_c.rs"]),
    ] {
        simple().run(line, &database).exits(0);
        assert_eq!(database.registered(), names, "{line}");
    }
}

#[test]
fn an_unknown_migration_is_met_with_the_nearest_before_anything_runs() {
    let database = TestDatabase::new();
    for (line, expected) in [
        ("execute:0001_a execute:0002_bb", "no migration `0002_bb`\nhint: did you mean `0002_b`?"),
        ("execute ignore:77", "no migration `77`\nhint: the last migrations are `0001_a`, `0002_b`, `0010_c`"),
        ("rollback:0003_x", "no migration `0003_x`\nhint: the last migrations are `0001_a`, `0002_b`, `0010_c`\n"),
    ] {
        let outcome = simple().run(line, &database).exits(2);
        assert!(outcome.stderr.contains(expected), "{line}: {}", outcome.stderr);
    }
    assert!(database.collections().is_empty(), "nothing has run");
}

#[test]
fn tasks_run_left_to_right_and_stop_at_the_first_that_fails() {
    let database = TestDatabase::new();
    let outcome = blog().run("mytask:1 fail mytask:2", &database).exits(1);
    assert!(outcome.stderr.contains("error: paper jam"), "{}", outcome.stderr);
    assert_eq!(database.trace(), [r#"mytask Some("1")"#]);
}

#[test]
fn flags_stand_anywhere_and_unknown_ones_are_refused() {
    let database = TestDatabase::new();
    simple().run("show_status --format json -q", &database).exits(0).json();
    simple().run("--format json show_status", &database).exits(0).json();
    simple().run("execute --forse", &database).exits(2);
    let outcome = simple().run("execute --check", &database).exits(2);
    assert!(outcome.stderr.contains("`--check` can only be used with show_status"), "{}", outcome.stderr);
    let outcome = simple().run("execute --path .", &database).exits(2);
    assert!(outcome.stderr.contains("`--path` can only be used with init"), "{}", outcome.stderr);
    assert!(database.collections().is_empty(), "nothing has run");
}
