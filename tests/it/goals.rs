//! Where to: `execute:to=`, `rollback:to=`, `steps=` and `run=last`, `to`, `redo` and `baseline`. Each is one plan, and one run.

use cargo_migrations::mongodb::bson::{DateTime, Document, doc};

use super::corrections::{edited, logged};
use super::support::{
    Line, Outcome, Scene, TestDatabase, assert_has, blog, crash, places, pty, server_uri, simple, standalone_server,
};

/// What the log says of the runs of a subtask: `execute:to=2: 2 planned, done`.
fn runs(database: &TestDatabase, subtask: &str) -> Vec<String> {
    let mut log = database.documents("migrations_log");
    log.sort_by_key(|event| (event.get_i64("fence").unwrap(), event.get_i64("seq").unwrap()));
    let is = |event: &Document, kind: &str| {
        event.get_str("event").unwrap() == kind && event.get_str("subtask").unwrap() == subtask
    };
    let starts: Vec<&Document> = log.iter().filter(|event| is(event, "run_started")).collect();
    let of = |start: &&Document| {
        let end = log.iter().find(|event| is(event, "run_ended") && event.get("run") == start.get("run"));
        let outcome = end.map_or("no end", |end| end.get_str("outcome").unwrap());
        format!("{}: {} planned, {outcome}", start.get_str("command").unwrap(), start.get_i64("migrations").unwrap())
    };
    starts.iter().map(of).collect()
}

/// All that is stored, to be compared.
fn stored(database: &TestDatabase) -> Vec<Document> {
    ["migrations", "migrations_log", "migrations_lock", "trace"].iter().flat_map(|name| database.documents(name)).collect()
}

/// The line changes nothing, and ends with that exit code.
#[track_caller]
fn refused(database: &TestDatabase, line: &str, code: i32, parts: &[&str]) -> Outcome {
    let before = stored(database);
    let outcome = simple().run(line, database).exits(code);
    assert_has(&outcome.stderr, parts);
    assert_eq!(stored(database), before, "{line}");
    outcome
}

#[test]
fn execute_up_to_a_migration() {
    let database = TestDatabase::new();
    let outcome = simple().run("execute:to=0002", &database).exits(0);
    assert_has(&outcome.stderr, &["2 migrations executed on"]);
    assert_eq!(database.trace(), ["up 0001", "up 0002"]);
    assert_eq!(runs(&database, "execute"), ["execute:to=0002: 2 planned, done"]);
    assert_has(&refused(&database, "execute:to=2", 0, &[]).stderr, &["all migrations up to 2 are registered on"]);
    refused(&database, "execute:to=0001_a.rs", 0, &["all migrations up to 0001_a are registered on"]);
    // A number that is mistyped would run too much, or too little.
    for word in ["to=20", "to=0", "to=3"] {
        refused(&database, &format!("execute:{word}"), 2, &["error: there is no migration `", "hint: "]);
    }
    refused(&database, "execute:10,to=10", 2, &["error: execute takes one value, not several", "execute[:MIGRATION|to=…]"]);
    refused(&database, "execute:10,1", 2, &["error: execute takes one value at most, and `1` is a second one"]);
    refused(&database, "execute:to=", 2, &["there is no migration ``"]);
    simple().run("execute:to=10", &database).exits(0);
    assert_eq!(database.registered().len(), 3);
}

#[test]
fn roll_back_to_a_migration_the_newest_first() {
    let database = TestDatabase::new();
    simple().run("execute", &database).exits(0);
    let events = simple().run("rollback:to=0001 --format json", &database).exits(0).json_lines();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let step = ["migration_started", "migration_rolled_back"];
    assert_eq!(names, [&["run_started"], &step[..], &step[..], &["run_ended"]].concat());
    assert_eq!((&events[0]["subtask"], &events[0]["migrations"]), (&"rollback".into(), &2.into()));
    assert_eq!(database.trace()[3..], ["down 0010", "down 0002"]);
    assert_eq!(database.registered(), ["0001_a.rs"]);
    assert_eq!(runs(&database, "rollback"), ["rollback:to=0001: 2 planned, done"]);
    refused(&database, "rollback:to=1", 0, &["no migration above 1 is registered on", "nothing to roll back"]);
    refused(&database, "rollback:to=0010_c", 0, &["no migration above 0010_c is registered on"]);
    simple().run("rollback:to=0", &database).exits(0);
    assert!(database.registered().is_empty());
    refused(&database, "rollback:to=0", 0, &["no migration is registered on"]);
    // It still warns of nothing, as nothing above stays.
    simple().run("execute rollback:to=2 --strict", &database).exits(0);
}

#[test]
fn roll_back_that_many() {
    let database = TestDatabase::new();
    simple().run("execute:to=2", &database).exits(0);
    for word in ["0", "two", "-1", "1.5"] {
        refused(&database, &format!("rollback:steps={word}"), 2, &["is not a valid value for `steps=`", "at least 1"]);
    }
    refused(&database, "rollback", 2, &["error: rollback needs a migration, `to=`, `steps=` or `run=`"]);
    refused(&database, "rollback:run=first", 2, &["`first` is not a valid value for `run=`", "write `run=last`"]);
    refused(&database, "rollback:steps=1,to=1", 2, &["rollback takes one value, not several"]);
    simple().run("rollback:steps=1", &database).exits(0);
    assert_eq!(database.registered(), ["0001_a.rs"]);
    simple().run("execute rollback:steps=2", &database).exits(0);
    assert_eq!(database.trace()[5..], ["down 0010", "down 0002"]);
    simple().run("rollback:steps=9", &database).exits(0);
    assert!(database.registered().is_empty());
}

#[test]
fn roll_back_what_the_last_run_registered() {
    let database = TestDatabase::new();
    refused(&database, "rollback:run=last", 0, &["no migration of the last run is registered on"]);
    simple().run("execute:1", &database).exits(0);
    simple().run("execute", &database).exits(0);
    // A later run that only accepts new code has registered nothing.
    edited(&database, "0001_a.rs");
    edited(&database, "0002_b.rs");
    simple().run("accept:1 accept:2 --yes", &database).exits(0);
    database.insert("migrations", [doc! { "name": "0012_gone.rs", "run": "other" }]);
    simple().run("forget:12 --yes", &database).exits(0);
    simple().run("rollback:run=last", &database).exits(0);
    assert_eq!(database.trace()[3..], ["down 0010", "down 0002"]);
    assert_eq!(database.registered(), ["0001_a.rs"]);
    // Said twice, it undoes no more.
    refused(&database, "rollback:run=last", 0, &["no migration of the last run is registered on", "nothing to roll back"]);
    simple().run("execute:10", &database).exits(0);
    simple().run("redo:1", &database).exits(0);
    simple().run("rollback:run=last", &database).exits(0);
    assert_eq!(database.registered(), ["0010_c.rs"], "the last run was the redo");
}

#[test]
fn if_one_step_cannot_be_undone_none_is() {
    let database = TestDatabase::new();
    blog().run("execute:to=4", &database).exits(0);
    let before = stored(&database);
    for line in ["rollback:to=1", "rollback:steps=3", "rollback:run=last", "to:0001 --yes", "redo:4", "to:0 --yes"] {
        let outcome = blog().run(line, &database).exits(2);
        assert_has(
            &outcome.stderr,
            &[
                "error: 0004_no_down cannot be rolled back: it has no `pub async fn down`",
                "hint: write one in 0004_no_down.rs",
            ],
        );
        assert_eq!(stored(&database), before, "{line}");
    }
    // A migration that is registered, and whose file is gone.
    let database = TestDatabase::new();
    simple().run("execute", &database).exits(0);
    database.insert("migrations", [doc! { "name": "0012_gone.rs", "run": "other" }]);
    for line in ["rollback:to=1", "rollback:steps=1", "to:2 --yes", "rollback:to=0"] {
        refused(
            &database,
            line,
            2,
            &["error: 0012_gone cannot be rolled back: it is registered, but its file is gone", "forget:0012_gone"],
        );
    }
    // Those of several are one error.
    database.insert("migrations", [doc! { "name": "0013_gone.rs" }]);
    let several = "error: `0012_gone`, `0013_gone` cannot be rolled back: they are registered, but their files are gone";
    refused(&database, "rollback:to=2", 2, &[several, "If they were removed for good, `cargo migrations forget:NAME`"]);
    simple().run("forget:13 --yes", &database).exits(0);
    refused(&database, "rollback:to=12", 2, &["0012_gone is registered on", "but its file is gone"]);
    refused(&database, "redo:12", 2, &["0012_gone is registered on", "but its file is gone"]);
    // It is in the way of nothing else.
    simple().run("to:2 --yes forget:12", &database).exits(2);
    simple().run("forget:12 --yes", &database).exits(0);
    simple().run("to:2 --yes", &database).exits(0);
    assert_eq!(database.registered(), ["0001_a.rs", "0002_b.rs"]);
}

/// The log has the start of a migration, and not its end.
fn interrupt(database: &TestDatabase, name: &str) {
    database.insert(
        "migrations_log",
        [doc! {
            "registry": "migrations", "event": "migration_started", "run": "killed", "fence": 1_i64, "seq": 99_i64,
            "at": DateTime::from_millis(1_770_000_000_000), "subtask": "execute", "name": name, "direction": "up",
            "transactional": false, "was_registered": false, "before": "unregistered", "who": "deploy", "where": "web-2",
        }],
    );
}

#[test]
fn while_one_is_interrupted_no_plan_of_several_runs() {
    let database = TestDatabase::new();
    interrupt(&database, "0002_b.rs");
    for line in
        ["execute:to=1", "rollback:to=1", "rollback:steps=1", "rollback:run=last", "to:1", "to:10 --yes", "baseline:1"]
    {
        refused(&database, line, 3, &["error: 0002_b was interrupted (up, by deploy@web-2, 2026-02-02", "execute:0002_b"]);
    }
    // One that is named is redone: that is a decision.
    simple().run("redo:2", &database).exits(0);
    assert_eq!(database.trace(), ["down 0002", "up 0002"]);
    simple().run("to:10 --strict", &database).exits(3);
    simple().run("to:10", &database).exits(0);
    assert_eq!(database.registered().len(), 3);
}

#[test]
fn a_standalone_server_runs_no_plan_with_a_transactional_step() {
    let scene = Scene::new(crash(), &standalone_server().uri());
    for line in ["execute:to=3", "to:3", "to:4 --yes"] {
        let outcome = scene.run(line).exits(2);
        assert_has(&outcome.stderr, &["error: 0002_tx is transactional (`up` takes `&mut Transaction`)"]);
        assert!(scene.database.collections().is_empty() && scene.witness().is_empty(), "{line}");
    }
    scene.run("execute:to=1").exits(0);
    scene.database.insert("migrations", [doc! { "name": "0002_tx.rs" }]);
    for line in ["rollback:to=0", "redo:2", "rollback:steps=2", "to:1 --yes"] {
        assert_has(&scene.run(line).exits(2).stderr, &["error: 0002_tx is transactional (`down` takes `&mut Transaction`)"]);
        assert_eq!(scene.witnessed("begin down 0001"), 0, "{line}");
    }
    scene.run("redo:1").exits(0);
}

#[test]
fn to_a_migration_either_way() {
    let database = TestDatabase::new();
    simple().run("execute:1 execute:10", &database).exits(0);
    let outcome =
        refused(&database, "to:0002", 3, &["Plan roll back 0010_c", "Plan execute 0002_b", "there is no terminal"]);
    assert_has(&outcome.stderr, &["hint: pass `--yes` if you are sure"]);
    let outcome = simple().run("to:0002 --yes", &database).exits(0);
    assert_has(&outcome.stderr, &["1 migration rolled back, 1 executed on"]);
    assert_eq!(database.trace()[2..], ["down 0010", "up 0002"]);
    assert_eq!(database.registered(), ["0001_a.rs", "0002_b.rs"]);
    assert_eq!(runs(&database, "to"), ["to:0002: 2 planned, done"]);
    assert_eq!(
        logged(&database, "to"),
        [
            "migration_started 0010_c.rs down",
            "migration_ended 0010_c.rs down done",
            "migration_started 0002_b.rs up",
            "migration_ended 0002_b.rs up done"
        ]
    );
    refused(&database, "to:2", 0, &["all migrations up to 2 are registered on", "and none above: nothing to do"]);
    // Forwards it asks nothing.
    simple().run("to:10", &database).exits(0);
    refused(&database, "to:2", 3, &["Plan roll back 0010_c"]);
    for line in ["to", "to:11", "to:1,2", "to:"] {
        refused(&database, line, 2, &["error: "]);
    }
    simple().run("to:0 --yes", &database).exits(0);
    assert!(database.registered().is_empty());
    refused(&database, "to:0", 0, &["no migration is registered on"]);
}

#[test]
fn to_asks_on_a_terminal_whenever_it_undoes_something() {
    let database = TestDatabase::new();
    simple().run("execute:1 execute:10", &database).exits(0);
    let ask =
        |args: &[&str], answers: &[(&str, &str)]| pty(&simple().path("manager"), simple().root(), args, &database, answers);
    let question = "Roll back 1 migration, execute 1 on ";
    let (shown, code) = ask(&["to:2"], &[(question, "n\n")]);
    assert_eq!(code, 3, "{shown}");
    assert_has(&shown, &["roll back 0010_c", "execute 0002_b", "not confirmed. Nothing was changed"]);
    assert_eq!(database.trace().len(), 2);
    let (shown, code) = ask(&["to:2"], &[(question, "y\n")]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(database.registered(), ["0001_a.rs", "0002_b.rs"]);
    let (shown, code) = ask(&["to:10"], &[]);
    assert_eq!(code, 0, "{shown}");
}

#[test]
fn redo_is_one_run_of_two_steps() {
    let database = TestDatabase::new();
    simple().run("execute", &database).exits(0);
    let events = simple().run("redo:10 --format json", &database).exits(0).json_lines();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    let both = [
        "run_started",
        "migration_started",
        "migration_rolled_back",
        "migration_started",
        "migration_executed",
        "run_ended",
    ];
    assert_eq!(names, both);
    assert_eq!((&events[0]["migrations"], &events[5]["migrations"]), (&2.into(), &2.into()));
    assert_eq!(database.trace()[3..], ["down 0010", "up 0010"]);
    assert_eq!(runs(&database, "redo"), ["redo:0010_c: 2 planned, done"]);
    // Later ones stay, and it says so.
    let later = "out of order: `0001_a` is rolled back, but `0002_b`, `0010_c` have a higher number and stay registered";
    refused(&database, "redo:1 --strict", 3, &[later, "refused because of `--strict`"]);
    assert_has(&simple().run("redo:1", &database).exits(0).stderr, &[later]);
    assert_eq!(database.registered().len(), 3);
    simple().run("rollback:10", &database).exits(0);
    refused(&database, "redo:10", 2, &["0010_c is not registered: there is nothing to roll back", "execute:0010_c"]);
    refused(&database, "redo", 2, &["error: redo needs a migration"]);
    // What was edited since is run with its new code, and needs no `accept`.
    edited(&database, "0002_b.rs");
    simple().run("redo:2", &database).exits(0);
    simple().run("execute --strict", &database).exits(0);
}

fn on_places(args: &str, database: &TestDatabase) -> Outcome {
    Line::new(places().path("manager"), places().root()).args(args.split_whitespace()).on(database).run()
}

#[test]
fn what_fails_names_the_line_that_does_the_rest() {
    let database = TestDatabase::new();
    on_places("execute:2", &database).exits(0);
    database.insert("stumbling_block", [doc! {}]);
    let outcome = on_places("redo:2", &database).exits(1);
    assert_has(
        &outcome.stderr,
        &[
            "Failed after 1 migration was rolled back on",
            "error: the migration 0002_slow failed and was not registered",
            "hint: fix it and run `manager execute:0002_slow` again",
        ],
    );
    assert_eq!((database.trace().as_slice(), database.registered().len()), (&["up 0002".into(), "down 0002".into()][..], 0));
    let outcome = on_places("execute:to=2", &database).exits(1);
    assert_has(&outcome.stderr, &["hint: fix it and run `manager execute:to=2` again"]);
    let outcome = on_places("to:3", &database).exits(1);
    assert_has(&outcome.stderr, &["hint: fix it and run `manager to:3` again"]);
    assert_has(&on_places("execute", &database).exits(1).stderr, &["hint: fix it and run `manager execute` again"]);
    // What failed above is left alone, and that is said.
    let outcome = on_places("rollback:to=0", &database).exits(0);
    assert_has(
        &outcome.stderr,
        &["warning: `0002_slow` failed and is not registered, so it is not rolled back", "`manager rollback:0002_slow`"],
    );
    // A `down` that fails, of several.
    let database = TestDatabase::new();
    blog().run("execute:to=3", &database).exits(0);
    let outcome = blog().run("rollback:to=1", &database).exits(1);
    assert_has(&outcome.stderr, &["nothing goes back", "fix its `down` and run `cargo migrations rollback:to=1` again"]);
    let outcome = blog().run("rollback:steps=2", &database).exits(1);
    assert_has(&outcome.stderr, &["fix its `down` and run `cargo migrations rollback:steps=2` again"]);
    assert_eq!(database.registered().len(), 3);
}

#[test]
fn a_baseline_registers_without_running() {
    let database = TestDatabase::new();
    for (line, part) in [("baseline", "baseline needs a migration's number"), ("baseline:7", "no migration `7`")] {
        refused(&database, line, 2, &[part]);
    }
    let outcome = simple().run("baseline:0002", &database).exits(0);
    assert_has(&outcome.stderr, &["Ignored 0001_a", "Ignored 0002_b", "2 migrations ignored on"]);
    assert_eq!(database.registered(), ["0001_a.rs", "0002_b.rs"]);
    assert!(database.documents("migrations").iter().all(|entry| entry.get_str("state").unwrap() == "ignored"));
    assert_eq!(runs(&database, "baseline"), ["baseline:0002: 2 planned, done"]);
    refused(&database, "baseline:2", 0, &["all migrations up to 2 are registered on", "nothing to register"]);
    simple().run("execute", &database).exits(0);
    assert_eq!(database.trace(), ["up 0010"]);
    // What never ran is rolled back like any other, but not without a word.
    let warning = "warning: `0001_a`, `0002_b` were registered without running, and their `down` runs all the same";
    refused(&database, "rollback:to=0 --strict", 3, &[]);
    assert_has(&simple().run("rollback:to=0", &database).exits(0).stderr, &[warning]);
}

#[test]
fn where_an_environment_asks_each_of_them_does() {
    let staging = TestDatabase::new();
    let uri = server_uri().replace("/?", &format!("/{}?", staging.name()));
    let run = |args: &str| {
        let line = Line::new(places().path("manager"), places().root()).args(args.split_whitespace());
        line.env("STAGING_MONGO_URI", &uri).run()
    };
    run("staging execute:1").exits(0);
    for (task, step) in [
        ("execute:to=2", "Plan execute 0002_slow"),
        ("to:2", "Plan execute 0002_slow"),
        ("baseline:2", "Plan ignore 0002_slow"),
        ("rollback:to=0", "Plan roll back 0001_a"),
        ("rollback:steps=1", "Plan roll back 0001_a"),
        ("rollback:run=last", "Plan roll back 0001_a"),
        ("redo:1", "Plan execute 0001_a"),
        ("to:0", "Plan roll back 0001_a"),
    ] {
        let before = stored(&staging);
        let outcome = run(&format!("production {task}")).exits(3);
        assert_has(&outcome.stderr, &[step, "confirmation is needed, but there is no terminal"]);
        assert_eq!(stored(&staging), before, "{task}");
        run(&format!("production {task} --yes")).exits(0);
        run("staging to:1 --yes").exits(0);
    }
    run("production plan:to,0").exits(0);
}

#[test]
fn what_an_environment_asks_about_an_undoing_has_to_be_answered_with_its_name() {
    let staging = TestDatabase::new();
    let uri = server_uri().replace("/?", &format!("/{}?", staging.name()));
    let variables = [("STAGING_MONGO_URI", uri.as_str())];
    let typed = |task: &str, answers: &[(&str, &str)]| {
        super::support::pty_with(&places().path("manager"), places().root(), &["production", task], &variables, answers)
    };
    assert_eq!(typed("to:1", &[("Execute 1 migration on ", "y\n")]).1, 0);
    for task in ["redo:1", "to:0", "rollback:to=0"] {
        let (screen, code) = typed(task, &[("Type `production` to go on:", "y\n")]);
        assert_eq!(code, 3, "{screen}");
    }
    let (screen, code) = typed("redo:1", &[("Roll back 1 migration, execute 1 on ", "production\n")]);
    assert_eq!(code, 0, "{screen}");
    assert_eq!(staging.trace(), ["up 0001", "down 0001", "up 0001"]);
}

#[test]
fn several_databases_each_have_a_plan_and_one_question() {
    let tenants: Vec<_> = (0..3).map(|_| TestDatabase::new()).collect();
    let names = tenants.iter().map(TestDatabase::name).collect::<Vec<_>>().join(",");
    let run = |args: &str| {
        let line = Line::new(places().path("manager"), places().root()).args(args.split_whitespace());
        line.env("MONGO_URI", server_uri()).env("LISTED", &names).run()
    };
    let all = |count: usize| assert!(tenants.iter().all(|tenant| tenant.registered().len() == count), "{count}");
    run("listed baseline:1").exits(0);
    all(1);
    run("listed execute:to=2").exits(0);
    all(2);
    // One of them is further.
    on_places("execute", &tenants[1]).exits(0);
    let outcome = run("listed to:2").exits(3);
    assert_has(
        &outcome.stderr,
        &[
            &format!("Plan {}: nothing to do", tenants[0].name()),
            &format!("Plan {}: roll back 0003_c", tenants[1].name()),
            "there is no terminal",
        ],
    );
    run("listed to:3").exits(0);
    all(3);
    run("listed to:2 --yes").exits(0);
    all(2);
    run("listed execute rollback:run=last").exits(0);
    all(2);
    run("listed redo:2").exits(0);
    assert_eq!(tenants[2].trace().iter().filter(|did| *did == "up 0002").count(), 2);
    run("listed rollback:steps=2").exits(0);
    all(0);
    let plans = run("listed plan --format json").exits(0).json_lines();
    assert_eq!(plans.iter().filter(|plan| plan["steps"].as_array().is_some_and(|steps| steps.len() == 3)).count(), 3);
    run("listed plan --check").exits(4);
    all(0);
}

#[test]
fn a_run_of_several_steps_takes_one_dump_before_them() {
    let database = TestDatabase::new();
    let dumps = tempfile::tempdir().unwrap();
    let run = |args: &str| {
        let line = Line::new(simple().path("manager"), simple().root()).args(args.split_whitespace()).on(&database);
        line.env("DO_MONGO_DUMP", "1").env("MONGO_DUMP_DIRECTORY", dumps.path()).run().exits(0)
    };
    let is_dump = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("20");
    let count = || std::fs::read_dir(dumps.path()).unwrap().filter(|entry| is_dump(entry.as_ref().unwrap())).count();
    simple().run("execute", &database).exits(0);
    for (index, line) in ["redo:10", "to:1 --yes", "execute:to=2", "rollback:to=0"].into_iter().enumerate() {
        run(line);
        assert_eq!(count(), index + 1, "{line}");
    }
    for line in ["baseline:10", "plan:to,0", "rollback:run=first-no"] {
        let _ =
            Line::new(simple().path("manager"), simple().root()).args([line]).on(&database).env("DO_MONGO_DUMP", "1").run();
        assert_eq!(count(), 4, "{line}");
    }
}
