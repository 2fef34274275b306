//! One line on several databases of a server.

use cargo_migrations::mongodb::bson::doc;

use super::support::{Line, TestDatabase, assert_has, places, server_uri};

fn line(args: &str) -> Line {
    Line::new(places().path("manager"), places().root()).args(args.split_whitespace()).env("MONGO_URI", server_uri())
}

/// Ten databases that are there, and the pattern that they match and no other does.
fn ten() -> (Vec<TestDatabase>, String) {
    let tenants: Vec<_> = (0..10).map(|_| TestDatabase::new()).collect();
    tenants.iter().for_each(|tenant| tenant.insert("customers", [doc! { "name": "A" }]));
    let names: Vec<_> = tenants.iter().map(TestDatabase::name).collect();
    let pattern = names.join("|");
    (tenants, pattern)
}

#[test]
fn one_broken_of_ten_stops_no_other() {
    let (tenants, pattern) = ten();
    let outcome = line("tenants show_status --check").env("TENANTS", &pattern).run().exits(4);
    assert_has(&outcome.stderr, &["error: show_status found something to do on 10 of 10 databases: `"]);
    assert!(!outcome.stderr.contains("run the same line again"), "{}", outcome.stderr);
    tenants[3].insert("stumbling_block", [doc! {}]);
    let outcome = line("tenants execute").env("TENANTS", &pattern).run().exits(1);
    for (index, tenant) in tenants.iter().enumerate() {
        assert_eq!(tenant.registered().len(), if index == 3 { 1 } else { 3 }, "{index}");
    }
    let broken = tenants[3].name();
    assert_has(
        &outcome.stderr,
        &[
            "10 databases: `",
            &format!("error: {broken}: the migration 0002_slow failed"),
            "stumbled",
            &format!("execute failed on 1 of 10 databases: `{broken}`"),
        ],
    );
    // The summary is a table on stdout, in order.
    let rows: Vec<Vec<&str>> = outcome.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["DATABASE", "OUTCOME", "TOOK", "ERROR"]);
    let mut names: Vec<_> = tenants.iter().map(TestDatabase::name).collect();
    names.sort_unstable();
    for (row, name) in rows[1..].iter().zip(&names) {
        assert_eq!((row[0], row[1]), (*name, if *name == broken { "failed" } else { "done" }));
    }
    assert_eq!(rows.len(), 11);

    // Mended, the same line goes on with what is left.
    tenants[3].collection("stumbling_block");
    super::support::block_on(tenants[3].collection("stumbling_block").drop().into_future()).unwrap();
    line("tenants execute").env("TENANTS", &pattern).run().exits(0);
    assert_eq!(tenants[3].registered().len(), 3);
    assert_eq!(tenants[0].trace().len(), 2 + 1);
}

#[test]
fn programs_read_which_database_an_event_is_about() {
    let (tenants, pattern) = ten();
    tenants[7].insert("stumbling_block", [doc! {}]);
    let outcome = line("tenants execute --format json").env("TENANTS", &pattern).run().exits(1);
    let events = outcome.json_lines();
    for tenant in &tenants {
        let of = |event: &serde_json::Value| event["database"] == tenant.name();
        let names: Vec<_> = events.iter().filter(|event| of(event)).map(|event| event["event"].as_str().unwrap()).collect();
        assert_eq!((names[0], *names.last().unwrap()), ("run_started", "run_ended"), "{names:?}");
    }
    let [.., summary, error] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&summary["event"], &error["event"]), (&"databases".into(), &"error".into()));
    let failed: Vec<_> =
        summary["databases"].as_array().unwrap().iter().filter(|database| database["outcome"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["database"], tenants[7].name());

    let outcome = line("tenants --format json --check").env("TENANTS", &pattern).run().exits(4);
    let documents = outcome.json_lines();
    let of_seven = documents.iter().find(|document| document["database"] == tenants[7].name()).unwrap();
    assert_eq!(of_seven["unregistered"], 2);
    assert_eq!(documents.len(), 11, "one for each, and the summary");
}

#[test]
fn results_come_in_the_order_of_the_databases() {
    let (tenants, pattern) = ten();
    // The first has most to read, so that its result is there last.
    let mut names: Vec<&str> = tenants.iter().map(TestDatabase::name).collect();
    names.sort_unstable();
    let first = tenants.iter().find(|tenant| tenant.name() == names[0]).unwrap();
    first.insert("migrations", (0..3000).map(|number| doc! { "name": format!("{number}_gone.rs") }));
    let outcome = line("tenants show_status").env("TENANTS", &pattern).run().exits(0);
    let found: Vec<&str> = outcome.stdout.lines().filter(|line| names.contains(line)).collect();
    assert_eq!(found, names);
    let outcome = line("tenants show_status --format json").env("TENANTS", &pattern).run().exits(0);
    let mut found: Vec<String> =
        outcome.json_lines().iter().map(|line| line["database"].as_str().unwrap_or("databases").to_owned()).collect();
    assert_eq!(found.pop().unwrap(), "databases");
    assert_eq!(found, names);
}

#[test]
fn a_list_need_not_be_there_yet_and_may_stop_at_the_first_failure() {
    let (a, b) = (TestDatabase::new(), TestDatabase::new());
    let listed = format!("{},{}", a.name(), b.name());
    line("listed execute").env("LISTED", &listed).run().exits(0);
    assert_eq!((a.registered().len(), b.registered().len()), (3, 3));

    // One at a time, and the first is broken: with `fail_fast` the rest is not begun.
    let tenants: Vec<_> = (0..6).map(|_| TestDatabase::new()).collect();
    tenants.iter().take(2).for_each(|tenant| tenant.insert("stumbling_block", [doc! {}]));
    let listed = tenants.iter().map(TestDatabase::name).collect::<Vec<_>>().join(",");
    let outcome = line("listed execute").env("LISTED", &listed).run().exits(1);
    assert!(outcome.stdout.matches("not begun").count() >= 3, "{}", outcome.stdout);
    assert!(tenants[5].registered().is_empty());
}

#[test]
fn wrong_names_are_told_before_anything_runs() {
    let wrong = [
        ("listed execute", "LISTED", "a,a", "names the database `a` twice"),
        ("listed execute", "LISTED", "a.b", "has the invalid database name `a.b`"),
        ("tenants execute", "TENANTS", "tenant_(", "has the pattern `tenant_(`, which is not a valid regular expression"),
        ("tenants execute", "TENANTS", "none-such", "no database of the server matches `none-such`"),
    ];
    for (args, name, value, message) in wrong {
        assert_has(&line(args).env(name, value).run().exits(2).stderr, &[message]);
    }
}

#[test]
fn a_dump_goes_back_to_its_own_database_only() {
    let (a, b) = (TestDatabase::new(), TestDatabase::new());
    let dumps = tempfile::tempdir().unwrap();
    let listed = format!("{},{}", a.name(), b.name());
    let run = |args: &str| line(args).env("LISTED", &listed).env("MONGO_DUMP_DIRECTORY", dumps.path()).run();
    a.insert("customers", [doc! { "name": "A" }]);
    b.insert("customers", [doc! { "name": "B" }]);
    run("listed dbdump").exits(0);
    let names: Vec<String> =
        std::fs::read_dir(dumps.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let dump = names.iter().find(|name| name.starts_with("20")).unwrap();
    // One of the two it is not: that one is left alone.
    let outcome = run(&format!("listed restore:{dump} --yes")).exits(1);
    assert_has(&outcome.stderr, &["the dump is not of ", "or does not say so"]);
    assert_has(&run("listed restore:latest,to=x --yes").exits(1).stderr, &["`to=` names one database"]);
    a.insert("customers", [doc! { "name": "too many" }]);
    run("listed restore:latest --yes").exits(0);
    assert_eq!(a.documents("customers")[0].get_str("name").ok(), Some("A"));
    assert_eq!(b.documents("customers")[0].get_str("name").ok(), Some("B"));
    assert_eq!((a.documents("customers").len(), b.documents("customers").len()), (1, 1));
    run("listed dumps:keep=1").exits(0);
}

#[test]
fn one_question_is_asked_for_all_after_every_plan_was_shown() {
    let (tenants, pattern) = ten();
    let outcome = line("asked execute").env("TENANTS", &pattern).run().exits(3);
    assert_has(&outcome.stderr, &[&format!("Plan {}: execute 0003_c", tenants[9].name()), "there is no terminal"]);
    assert!(tenants.iter().all(|tenant| tenant.registered().is_empty()));
    line("asked --check").env("TENANTS", &pattern).run().exits(4);
    line("asked execute --yes").env("TENANTS", &pattern).run().exits(0);
    assert!(tenants.iter().all(|tenant| tenant.registered().len() == 3));
}
