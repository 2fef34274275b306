//! Dumps of a part of a database: `only=` and `except=`.

use cargo_migrations::mongodb::bson::doc;

use super::support::{DumpStage as Stage, assert_has};

/// A database with three collections, a view and a registered migration.
fn filled() -> Stage {
    let stage = Stage::new();
    for name in ["comments", "posts", "users"] {
        stage.database.insert(name, (0..3).map(|id| doc! { "_id": id, "of": name }));
    }
    stage.command(doc! { "create": "a_view", "viewOn": "posts", "pipeline": [] });
    stage.run("execute:1").exits(0);
    stage
}

/// The collections that the latest dump has files of.
fn files(stage: &Stage) -> Vec<String> {
    let entries = std::fs::read_dir(stage.file("")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter_map(|name| name.strip_suffix(".metadata.json").map(str::to_owned)).collect();
    names.sort();
    names
}

#[test]
fn a_dump_has_what_is_named_and_a_restore_of_it_leaves_the_rest() {
    let parts = [
        ("only=posts+a_view", vec!["a_view", "posts"]),
        ("except=comments+users+migrations+migrations_lock+migrations_log", vec!["a_view", "posts", "trace"]),
    ];
    for (option, expected) in parts {
        let stage = filled();
        let registered = stage.database.registered();
        stage.run(&format!("dbdump:gzip=no,{option}")).exits(0);
        let expected: Vec<&str> =
            expected.into_iter().filter(|name| stage.database.collections().iter().any(|there| there == name)).collect();
        assert_eq!(files(&stage), expected);
        let name = stage.dumps().pop().unwrap();
        stage.run(&format!("dbdump:verify={name} dbdump:prove={name}")).exits(0);

        let before = stage.hashes();
        stage.database.insert("posts", [doc! { "_id": "later" }]);
        stage.database.insert("users", [doc! { "_id": "later" }]);
        stage.database.insert("new", [doc! { "_id": 1 }]);
        stage.command(doc! { "drop": "a_view" });
        let outcome = stage.run(&format!("restore:{name} --yes")).exits(0);
        assert!(!outcome.stderr.contains("Dropping"), "{}", outcome.stderr);
        assert_eq!(stage.hashes()["posts"], before["posts"], "it is as it was");
        assert_eq!(stage.database.documents("a_view").len(), 3, "the view is there again");
        assert_eq!(stage.database.documents("users").len(), 4, "what the dump does not have stays");
        assert_eq!(stage.hashes()["comments"], before["comments"]);
        assert_eq!(stage.database.documents("new").len(), 1);
        assert_eq!(stage.database.registered(), registered);
        stage.run("--check").exits(4);
    }
}

#[test]
fn the_latest_dump_is_a_complete_one() {
    let stage = filled();
    stage.run("dbdump:only=users").exits(0);
    let partial = stage.dumps().pop().unwrap();
    let outcome = stage.run("restore:latest --yes").exits(2);
    assert_has(
        &outcome.stderr,
        &["there is no dump of all of ", "`latest` is never one that was limited", &format!("name that dump: `{partial}`")],
    );
    stage.run("dbdump").exits(0);
    let complete = stage.dumps().pop().unwrap();
    stage.run("dbdump:except=users").exits(0);
    let outcome = stage.run("dbdump:verify=latest").exits(0);
    assert_has(&outcome.stderr, &[&format!("Verified {complete}: ")]);
    // They are listed as what they are, and `keep=` neither removes nor counts them.
    let listed = stage.run("dumps").exits(0).stdout;
    assert_has(&listed, &["only `users`", "all except `users`"]);
    let json = stage.run("dumps --format json").exits(0).json();
    let limits: Vec<_> = json["dumps"].as_array().unwrap().iter().map(|dump| (&dump["only"], &dump["except"])).collect();
    let (users, none) = (&serde_json::json!(["users"]), &serde_json::Value::Null);
    assert_eq!(limits, [(users, none), (none, none), (none, users)]);
    stage.run("dumps:keep=1").exits(0);
    assert_eq!(stage.dumps().len(), 3);
}

#[test]
fn names_that_no_collection_has_are_refused_before_anything_is_written() {
    let stage = filled();
    let lines = [
        ("dbdump:only=post", "has no collection `post`", "hint: the nearest: `posts`"),
        ("dbdump:except=posts+nothing", "has no collection `nothing`", "hint: "),
        ("dbdump:only=posts+", "`only=posts+` has an empty name", "hint: write the names of collections"),
        ("dbdump:only=posts,except=users", "`only=` and `except=` cannot be combined", "hint: name either"),
        ("dbdump:only=posts,keep=1", "`keep=` cannot be combined with `only=` and `except=`", "hint: "),
        ("dbdump:only=posts,verify=latest", "cannot be combined with other options", ""),
    ];
    for (line, error, hint) in lines {
        let outcome = stage.run(line).exits(2);
        assert_has(&outcome.stderr, &["error: ", error, hint]);
        assert!(stage.dumps().is_empty(), "{line}");
    }
}
