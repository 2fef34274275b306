//! Every error that a line can meet, in one file that people can read: snapshots/errors.txt.

use cargo_migrations::mongodb::bson::doc;
use snapbox::{assert_data_eq, file};

use super::support::{Line, TestDatabase, blog, plugin, server_uri, simple};

#[test]
fn each_error_and_its_exit_code() {
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    database.insert("migrations", [doc! { "name": "0002_kinds.rs" }, doc! { "name": "0003_own_error.rs" }]);
    database.insert("migrations", [doc! { "name": "0004_no_down.rs" }]);
    let uri = server_uri();
    let simple_lines: [(&str, &[(&str, &str)]); 34] = [
        ("execut", &[]),
        ("qqq", &[]),
        ("help:qqq", &[]),
        ("execute 0002_b", &[]),
        ("execute:", &[]),
        (":x", &[]),
        ("dbdump:=v", &[]),
        ("execute:1,2", &[]),
        ("execute:to=x", &[]),
        ("execute:0002_bb", &[]),
        ("execute:77", &[]),
        ("execute:1", &[]),
        ("ignore:1", &[]),
        ("rollback", &[]),
        ("rollback:2", &[]),
        ("dbdump:gzip=maybe", &[]),
        ("dbdump:keep=0", &[]),
        ("dbdump:verify=a,prove=b", &[]),
        ("restore", &[]),
        ("restore:latest", &[]),
        ("restore:nope", &[]),
        ("execute --wait soon", &[]),
        ("show_status --strict", &[]),
        ("history:77", &[]),
        ("execute --check", &[]),
        ("--check", &[]),
        ("new:x execute", &[]),
        ("init:x", &[]),
        ("", &[("MONGO_URI", "")]),
        ("", &[("MONGO_URI", "localhost")]),
        ("", &[("MONGO_URI", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")]),
        ("", &[("MONGO_DATABASE", "")]),
        ("", &[("MONGO_DATABASE", "a b")]),
        ("", &[("DO_MONGO_DUMP", "maybe")]),
    ];
    let blog_lines: [(&str, &[(&str, &str)]); 8] = [
        ("rollback:4", &[]),
        ("rollback:3", &[]),
        ("execute:5", &[("PANIC", "1")]),
        ("fail", &[]),
        ("panic", &[]),
        ("refuse", &[]),
        ("leak", &[]),
        ("mytask", &[("FAIL_AT", "mytask")]),
    ];
    let mut all = String::new();
    let lines = simple_lines.map(|line| (simple(), line)).into_iter().chain(blog_lines.map(|line| (blog(), line)));
    for (workspace, (words, variables)) in lines {
        let mut line = Line::new(plugin(), workspace.root()).args(words.split_whitespace()).on(&database);
        for (name, value) in variables {
            line = line.env(name, value);
        }
        let outcome = line.run();
        let set: String = variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let stderr =
            outcome.stderr_of(&database).replace(uri, "SERVER").replace(&*workspace.root().to_string_lossy(), "WORKSPACE");
        all.push_str(&format!("$ {set}cargo migrations {words}\n{stderr}[exit {}]\n\n", outcome.code));
    }
    assert_data_eq!(all, file!["snapshots/errors.txt"].raw());
}
