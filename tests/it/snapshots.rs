//! What every subtask prints, in two files that people can read: snapshots/output.txt if it succeeds, and snapshots/errors.txt
//! if it does not. A changed word shows in review.

use cargo_migrations::mongodb::bson::{DateTime, doc};
use regex::Regex;
use snapbox::{assert_data_eq, file};

use super::support::{Line, Outcome, TestDatabase, blog, places, plugin, server_uri, simple};

#[test]
fn each_error_and_its_exit_code() {
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    database.insert("migrations", [doc! { "name": "0002_kinds.rs" }, doc! { "name": "0003_own_error.rs" }]);
    database.insert("migrations", [doc! { "name": "0004_no_down.rs" }]);
    let uri = server_uri();
    let simple_lines: [(&str, &[(&str, &str)]); 50] = [
        ("execut", &[]),
        ("qqq", &[]),
        ("help:qqq", &[]),
        ("execute 0002_b", &[]),
        ("execute:", &[]),
        (":x", &[]),
        ("dbdump:=v", &[]),
        ("execute:1,2", &[]),
        ("execute:to=x", &[]),
        ("execute:1,to=2", &[]),
        ("rollback:steps=0", &[]),
        ("rollback:run=first", &[]),
        ("to", &[]),
        ("to:0", &[]),
        ("redo:2", &[]),
        ("baseline", &[]),
        ("plan:dbdump", &[]),
        ("plan:to=3", &[]),
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
        ("backfill:stop", &[]),
        ("backfill:throttle=0", &[]),
        ("backfill:throttle=fast", &[]),
        ("backfill:pause,throttle=5", &[]),
        ("backfill:pause", &[]),
        ("backfill:only=2", &[]),
        ("backfill:", &[]),
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
    let blog_lines: [(&str, &[(&str, &str)]); 9] = [
        ("rollback:4", &[]),
        ("rollback:to=1", &[]),
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

/// What differs from run to run, and what stands for it in the snapshot.
fn redact(text: &str, names: &[(&str, String)]) -> String {
    const PATTERNS: [(&str, &str); 11] = [
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        // Which collection is dumped last differs.
        (r"(Progress [^(]*\(100%\)) .*", "$1 …"),
        (r"\d{4}-\d\d-\d\d_\d\d_\d\d_\d\d_\d{3}", "DUMP"),
        (r"\b[0-9a-f]{24}\b", "ID"),
        (r"\b(v2:)?sha256:[0-9a-f]{64}\b", "CHECKSUM"),
        (r#""(pid|bytes|duration_ms)":\d+"#, r#""$1":N"#),
        (r"\bpid \d+", "pid N"),
        (r"\b\d+(\.\d)? (B|kB|MB)\b", "SIZE"),
        (r"\b\d+ s\b", "N s"),
        // Columns are as wide as the names in them, and those differ.
        (r"(\S)  +(\S)", "$1  $2"),
        (r"(\S)  +(\S)", "$1  $2"),
    ];
    let mut text = text.to_owned();
    for (placeholder, value) in names {
        text = text.replace(value.as_str(), placeholder);
    }
    for (pattern, placeholder) in PATTERNS {
        text = Regex::new(pattern).unwrap().replace_all(&text, placeholder).into_owned();
    }
    text
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}

/// The lines of a text in order of the alphabet: several databases are worked on at the same time.
fn sorted(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    lines.sort();
    lines.concat()
}

#[test]
fn each_subtask_that_succeeds() {
    let (database, other) = (TestDatabase::new(), TestDatabase::new());
    let mut all = String::new();
    let mut show = |line: Line, words: &str, names: &[(&str, String)], is_sorted: bool| {
        let outcome: Outcome = line.run();
        let [stdout, stderr] = [outcome.stdout_of(&database), outcome.stderr_of(&database)].map(|text| {
            let text = redact(&text, names);
            if is_sorted { sorted(&text) } else { text }
        });
        all.push_str(&format!("$ cargo migrations {words}\n{stdout}{stderr}[exit {}]\n\n", outcome.code));
    };
    let dumps = tempfile::tempdir().unwrap();
    let names = [
        ("HOST", host()),
        ("DUMPS", dumps.path().display().to_string()),
        ("WORKSPACE", simple().root().display().to_string()),
        ("WORKSPACE", blog().root().display().to_string()),
    ];
    for words in [
        "",
        "check",
        "execute:1",
        "ignore:2",
        "show_status",
        "show_status --format json",
        "execute",
        "execute",
        "execute --format json",
        "show_status",
        "rollback:2",
        "execute:2 --format json",
        "rollback:2 --format json",
        "history",
        "history:1 --format json",
        "dumps",
        "dbdump",
        "dumps",
        "dumps --format json",
        "dbdump:verify=latest",
        "restore:latest --yes",
        "plan",
        "plan:to,2 --format json",
        "plan:execute --check",
        "to:2 --yes",
        "redo:1",
        "execute:to=10",
        "rollback:to=2",
        "rollback:run=last",
        "rollback:steps=2",
        "rollback:steps=2",
        "baseline:2",
        "unlock",
        "backfill",
        "backfill --format json",
        "help",
        "help:execute",
        "help:rollback",
        "help:to",
        "help:plan",
        "help:dbdump",
        "help:restore",
        "help:backfill",
    ] {
        let line = Line::new(plugin(), simple().root()).args(words.split_whitespace()).on(&database);
        show(line.env("MONGO_DUMP_DIRECTORY", dumps.path()), words, &names, false);
    }
    // The states that need more than a line: failed, interrupted, missing, changed and out of order.
    blog().line(["execute:3"]).on(&other).env("NO_CHEESE", "1").run().exits(1);
    blog().run("execute:4", &other).exits(0);
    let changed = doc! { "$set": { "checksum": "of another text" } };
    super::support::block_on(async { other.collection("migrations").update_one(doc! {}, changed).await.unwrap() });
    other.insert("migrations", [doc! { "name": "0099_gone.py" }]);
    let at = DateTime::from_millis(1_770_000_000_000);
    other.insert(
        "migrations_log",
        [doc! {
            "registry": "migrations", "event": "migration_started", "run": "r", "fence": 2_i64, "seq": 9_i64, "at": at,
            "subtask": "execute", "name": "0006_slow.rs", "direction": "up", "transactional": false, "was_registered": false,
            "before": "unregistered", "who": "deploy", "where": "web-2",
        }],
    );
    let of_blog = [("DATABASE", other.name().to_owned()), ("HOST", host())];
    for words in
        ["show_status", "show_status --check", "show_status --format json", "execute", "ignore:6", "execute --strict"]
    {
        show(Line::new(plugin(), blog().root()).args(words.split_whitespace()).on(&other), words, &of_blog, false);
    }
    let tenants = [TestDatabase::new(), TestDatabase::new()];
    let listed = tenants.each_ref().map(TestDatabase::name).join(",");
    let of_tenants = [("TENANT_1", tenants[0].name().to_owned()), ("TENANT_2", tenants[1].name().to_owned())];
    for words in ["listed execute", "listed show_status", "listed rollback:3 --format json"] {
        let line = Line::new(plugin(), places().root()).args(words.split_whitespace());
        show(line.env("MONGO_URI", server_uri()).env("LISTED", &listed), words, &of_tenants, true);
    }
    assert_data_eq!(all, file!["snapshots/output.txt"].raw());
}
