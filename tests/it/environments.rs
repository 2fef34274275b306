//! Environments: named before a task, they change what it talks to.

use super::support::{Line, TestDatabase, assert_has, places, pty_with, server_uri};

/// The server's connection string with that database as its path.
fn uri(database: &TestDatabase) -> String {
    format!(
        "{}/{}",
        server_uri().split_once('?').map_or(server_uri(), |(uri, _)| uri).trim_end_matches('/'),
        database.name()
    ) + &server_uri().split_once('?').map(|(_, options)| format!("?{options}")).unwrap_or_default()
}

fn line(args: &str) -> Line {
    Line::new(places().path("manager"), places().root()).args(args.split_whitespace())
}

/// A line with a database of its own, and another as `staging`.
fn with_staging(args: &str, own: &TestDatabase, staging: &TestDatabase) -> Line {
    line(args).env("MONGO_URI", uri(own)).env("STAGING_MONGO_URI", uri(staging))
}

#[test]
fn the_word_ahead_of_a_task_changes_what_the_tasks_after_it_talk_to() {
    let (own, staging) = (TestDatabase::new(), TestDatabase::new());
    let outcome = with_staging("mytask:a staging execute mytask:b", &own, &staging).run().exits(0);
    let said = format!("None {} Some(\"a\")\nSome(\"staging\") {} Some(\"b\")\n", own.name(), staging.name());
    assert_eq!(outcome.stdout, said);
    assert_has(&outcome.stderr, &["Environment staging: 127.0.0.1:", &format!("database {}", staging.name())]);
    assert_eq!((own.registered().len(), staging.registered().len()), (0, 3));
}

#[test]
fn what_is_touched_is_told_first() {
    let (own, staging) = (TestDatabase::new(), TestDatabase::new());
    let outcome = with_staging("staging execute", &own, &staging).run().exits(0);
    assert!(outcome.stderr.lines().next().unwrap().contains("Environment staging: 127.0.0.1:"), "{}", outcome.stderr);
    let outcome = with_staging("execute", &own, &staging).run().exits(0);
    let first = outcome.stderr.lines().next().unwrap();
    assert!(first.contains(&format!("Database {} on 127.0.0.1:", own.name())), "{}", outcome.stderr);
    assert_eq!(with_staging("staging -q", &own, &staging).run().exits(0).stderr, "");
}

#[test]
fn the_flag_names_it_as_well_and_without_a_task_the_default_one_runs() {
    let (own, staging) = (TestDatabase::new(), TestDatabase::new());
    with_staging("--env staging execute:1", &own, &staging).run().exits(0);
    assert_eq!((own.registered().len(), staging.registered().len()), (0, 1));
    for args in ["staging --format json", "--env=staging --format json", "execute:1 staging show_status --format json"] {
        let outcome = with_staging(args, &own, &staging).run().exits(0);
        let last = outcome.json_lines().pop().unwrap();
        assert_eq!((last["database"].as_str(), last["unregistered"].as_i64()), (Some(staging.name()), Some(2)), "{args}");
    }
    let outcome = with_staging("staging --check", &own, &staging).run().exits(4);
    assert_has(&outcome.stderr, &["Environment staging"]);
}

#[test]
fn the_whole_line_is_checked_environments_too_before_anything_runs() {
    let own = TestDatabase::new();
    let wrong = [
        ("execute staging execute", "takes its server from STAGING_MONGO_URI, which is not set"),
        ("execute stagign execute", "did you mean `staging`?"),
        ("execute --env nowhere", "no environment is named `nowhere`; there are `staging`, `production`"),
        ("execute staging:x execute", "`staging` is an environment, which takes no options"),
        ("execute staging production execute", "there is no task between the environments `staging` and `production`"),
        ("execute --env staging production execute", "the line names two environments"),
        (
            "execute staging",
            "the line ends with the environment `staging`, which has no task after it. Nothing has run\n\
             hint: write it before its tasks (`manager staging execute`), or name a task after it",
        ),
        ("production mytask:a execute:1 staging", "(`manager staging mytask:a execute:1`)"),
        ("execute staging execute:0009_x", "no migration `0009_x`"),
        ("execute computed execute", "the environment `computed` could not be configured"),
    ];
    for (args, message) in wrong {
        let outcome = line(args).env("MONGO_URI", uri(&own)).run().exits(2);
        assert_has(&outcome.stderr, &[message]);
        assert_eq!(own.collections(), [""; 0], "{args}");
    }
    let bad = line("staging").env("STAGING_MONGO_URI", "mongodb://u:hu@sh@h/x").run().exits(2);
    assert_has(&bad.stderr, &["STAGING_MONGO_URI has a user name or password that cannot be read"]);
    let unreachable = line("staging").env("STAGING_MONGO_URI", "mongodb://127.0.0.1:9/x").run().exits(1);
    assert_has(&unreachable.stderr, &["hint: check the host and port in STAGING_MONGO_URI,"]);
    // Help needs no server.
    line("staging help").run().exits(0);
}

#[test]
fn a_configuration_is_computed_for_the_environment_that_is_named_and_wins() {
    let own = TestDatabase::new();
    let store = tempfile::NamedTempFile::new().unwrap();
    let host = server_uri().strip_prefix("mongodb://").unwrap().split(['/', '?']).next().unwrap();
    std::fs::write(store.path(), format!("{host}\n")).unwrap();
    // The host that the environment names wins over a connection string from elsewhere.
    let computed = |args: &str| {
        let elsewhere = line(args).env("MONGO_URI", "mongodb://127.0.0.1:9/elsewhere").env("MONGO_DATABASE", own.name());
        elsewhere.env("SECRET_STORE", store.path())
    };
    let outcome = computed("computed execute").run().exits(0);
    assert_has(&outcome.stderr, &[&format!("Environment computed: {host}, database {}", own.name())]);
    assert_eq!(own.registered().len(), 3);
    computed("").run().exits(1);
    // It does not run if it is not named, so a missing store does no harm.
    line("").env("MONGO_URI", uri(&own)).env("SECRET_STORE", "/nowhere").run().exits(0);
}

#[test]
fn help_lists_them() {
    let help = line("help").run().exits(0).stdout;
    assert_has(
        &help,
        &["Environments, written before the tasks", "  staging     The staging cluster\n", "  production  The real one\n"],
    );
    assert_has(&line("help:production").run().exits(0).stdout, &["manager production TASK\n\nThe real one\n\nMore of it."]);
}

#[test]
fn one_that_asks_shows_the_plan_and_refuses_without_a_terminal() {
    let (own, staging) = (TestDatabase::new(), TestDatabase::new());
    let dumps = tempfile::tempdir().unwrap();
    let run = |args: &str| with_staging(args, &own, &staging).env("MONGO_DUMP_DIRECTORY", dumps.path()).run();
    for args in [
        "production execute",
        "production ignore",
        "production execute:1",
        "production mytask",
        "production dumps:keep=1",
        "production dbdump:keep=1",
        "--env production execute",
    ] {
        let outcome = run(args).exits(3);
        assert_has(&outcome.stderr, &["Environment production: ", "confirmation is needed, but there is no terminal"]);
    }
    assert_has(&run("production execute").stderr, &["Plan execute 0001_a  Leave a trace of 0001.\n", "Plan execute 0003_c"]);
    assert_eq!(staging.collections(), [""; 0]);
    // A person who is asked sees what it is about, even with `--quiet`.
    assert_has(&run("production execute -q").exits(3).stderr, &["Environment production: ", "Plan execute 0001_a"]);
    // What only shows something asks nothing.
    run("production").exits(0);
    for task in ["history", "check", "dumps"] {
        run(&format!("production {task}")).exits(0);
    }
    let outcome = run("production execute --yes").exits(0);
    assert_has(&outcome.stderr, &["Plan execute 0001_a"]);
    run("production execute").exits(0);
    let later = "`0001_a` is rolled back, but `0002_slow`, `0003_c` have a higher number and stay registered";
    assert_has(&run("production rollback:1").exits(3).stderr, &["Plan roll back 0001_a", later]);
    assert_eq!(staging.registered().len(), 3);
    run("production rollback:1 --yes").exits(0);
    assert_eq!(staging.registered().len(), 2);
    assert_eq!(own.collections(), [""; 0]);
}

#[test]
fn what_is_typed_before_the_question_does_not_answer_it() {
    let staging = TestDatabase::new();
    let uri = uri(&staging);
    let typed = |args: &[&str], answers: &[(&str, &str)]| {
        let variables = [("STAGING_MONGO_URI", uri.as_str())];
        pty_with(&places().path("manager"), places().root(), args, &variables, answers)
    };
    let (screen, code) = typed(&["production", "execute"], &[("", "y\ny\n"), ("[y/N]", "n\n")]);
    assert_eq!(code, 3, "{screen}");
    assert_has(&screen, &["not confirmed. Nothing was changed"]);
    assert!(staging.registered().is_empty());
    // Nor does more than one line that is typed as an answer to the first question answer the second.
    let answers = [("[y/N]", "y\ny\n"), ("[y/N]", "n\n")];
    assert_eq!(typed(&["production", "mytask", "mytask"], &answers).1, 3);
}

#[test]
fn on_a_terminal_it_asks_and_wants_the_name_for_what_cannot_be_taken_back() {
    let staging = TestDatabase::new();
    let folder = tempfile::tempdir().unwrap();
    let uri = uri(&staging);
    let dumps = folder.path().to_str().unwrap();
    let typed = |args: &str, answers: &[(&str, &str)]| {
        let args: Vec<&str> = args.split_whitespace().collect();
        let variables = [("STAGING_MONGO_URI", uri.as_str()), ("MONGO_DUMP_DIRECTORY", dumps)];
        pty_with(&places().path("manager"), places().root(), &args, &variables, answers)
    };
    let by_name = |answer| [("Type `production` to go on:", answer)];
    let (screen, code) = typed("production execute", &[("[y/N]", "n\n")]);
    assert_eq!(code, 3, "{screen}");
    assert_has(&screen, &[&format!("Execute 3 migrations on {} (production)? [y/N]", staging.name()), "not confirmed"]);
    assert_eq!(typed("production execute", &[("[y/N]", "y\n")]).1, 0);
    assert_eq!(staging.registered().len(), 3);
    // `yes` is not the name.
    let (screen, code) = typed("production rollback:3", &by_name("yes\n"));
    assert_eq!(code, 3, "{screen}");
    assert_has(&screen, &["Type `production` to go on:"]);
    assert_eq!(staging.registered().len(), 3);
    assert_eq!(typed("production rollback:3", &by_name("production\n")).1, 0);
    assert_eq!(staging.registered().len(), 2);

    assert_eq!(typed("production dbdump", &[]).1, 0);
    assert_eq!(typed("production restore:latest", &by_name("y\n")).1, 3);
    let (screen, code) = typed("production restore:latest", &by_name("production\n"));
    assert_eq!(code, 0, "{screen}");
    let (screen, code) = typed("production dumps:keep=1", &[("[y/N]", "n\n")]);
    assert_eq!(code, 3, "{screen}");
    assert_has(&screen, &[&format!("Run dumps:keep=1 on {} (production)? [y/N]", staging.name())]);
    // Two questions on one line are answered one after the other.
    let (screen, code) = typed("production mytask mytask", &[("[y/N]", "y\n"), ("[y/N]", "n\n")]);
    assert_eq!(code, 3, "{screen}");
    assert_eq!(screen.matches("[y/N]").count(), 2, "{screen}");
}
