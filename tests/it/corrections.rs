//! `accept` and `forget`: the registry is corrected, and nothing is run.

use cargo_migrations::mongodb::bson::{Bson, Document, doc};

use super::support::recover::{in_parallel, wait_for_lease_to_expire};
use super::support::{
    Line, Scene, TestDatabase, Workspace, assert_has, block_on, crash_plain, faulty_server, places, pty, server_uri, simple,
    standalone_server,
};

/// The registry's document of that name.
fn entry(database: &TestDatabase, name: &str) -> Option<Document> {
    database.documents("migrations").into_iter().find(|entry| entry.get_str("name").ok() == Some(name))
}

/// Gives the document of that name another checksum, as if its file had been edited since.
pub(super) fn edited(database: &TestDatabase, name: &str) {
    let set = doc! { "$set": { "checksum": "sha256:another" } };
    block_on(async { database.collection("migrations").update_one(doc! { "name": name }, set).await.unwrap() });
}

/// What the log's events of a run say, without those of the run itself.
pub(super) fn logged(database: &TestDatabase, subtask: &str) -> Vec<String> {
    let text = |event: &Document, key: &str| event.get_str(key).unwrap_or_default().to_owned();
    let of = |event: &Document| event.get_str("subtask").ok() == Some(subtask) && event.contains_key("name");
    let line = |event: Document| {
        let keys = ["event", "name", "direction", "registered_as", "outcome"];
        keys.map(|key| text(&event, key)).into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    };
    database.documents("migrations_log").into_iter().filter(of).map(line).collect()
}

#[test]
fn a_migration_whose_file_is_gone_is_forgotten() {
    let database = TestDatabase::new();
    simple().run("execute", &database).exits(0);
    // migopy may have left two.
    database.insert("migrations", [doc! { "name": "0012_gone.rs", "run": "other" }, doc! { "name": "0012_gone.py" }]);
    let way_out = "hint: use a build that has the file, or bring it back. If it was removed for good, \
                   `cargo migrations forget:0012_gone` takes the migration out of the registry";
    for line in ["rollback:12", "ignore:0012_gone", "execute:0012_gone.rs", "show_status rollback:12"] {
        let outcome = simple().run(line, &database).exits(2);
        let expected = format!("error: 0012_gone is registered on {}, but its file is gone", database.name());
        assert_has(&outcome.stderr, &[&expected, way_out]);
        assert_eq!(outcome.stdout, "", "{line}: nothing has run");
    }
    // Nothing is logged about what migopy registered.
    assert_has(&simple().run("history:12", &database).exits(0).stderr, &["has nothing about 12"]);
    let before = database.documents("migrations");
    let outcome = simple().run("forget:12", &database).exits(3);
    assert_has(&outcome.stderr, &["Plan forget 0012_gone", "there is no terminal", "hint: pass `--yes`"]);
    assert_eq!(database.documents("migrations"), before);

    let outcome = simple().run("forget:12 --yes --format json", &database).exits(0);
    let events = outcome.json_lines();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["run_started", "migration_started", "migration_forgotten", "run_ended"]);
    assert_eq!((&events[2]["name"], &events[2]["subtask"]), (&"0012_gone.rs".into(), &"forget".into()));
    assert_eq!((&events[3]["outcome"], &events[3]["migrations"]), (&"done".into(), &1.into()));
    assert_eq!(database.registered(), ["0001_a.rs", "0002_b.rs", "0010_c.rs"]);
    assert_eq!(
        logged(&database, "forget"),
        ["migration_started 0012_gone.rs forget", "migration_ended 0012_gone.rs forget done"]
    );
    for line in ["history:12", "history:0012_gone"] {
        assert_has(&simple().run(line, &database).exits(0).stdout, &["forget", "0012_gone", "done", "tester@"]);
    }
    simple().run("execute --strict show_status --check", &database).exits(0);
    assert_eq!(database.trace().len(), 3);
}

#[test]
fn only_what_has_no_file_is_forgotten() {
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    let outcome = simple().run("forget:1 --yes", &database).exits(2);
    let way_out = "hint: `cargo migrations rollback:0001_a` undoes it, and takes it out of the registry";
    assert_has(&outcome.stderr, &["error: 0001_a has a file, and only a migration whose file is gone", way_out]);
    let outcome = simple().run("forget:0077_x --yes", &database).exits(2);
    assert_has(&outcome.stderr, &["error: no migration `0077_x` is registered: there is nothing to forget"]);
    assert_has(&simple().run("forget", &database).exits(2).stderr, &["error: forget needs a migration"]);
    assert_eq!(database.registered(), ["0001_a.rs"]);
}

#[test]
fn an_interrupted_migration_whose_file_is_gone_is_forgotten_too() {
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    // Of a run that was killed.
    let id = block_on(async { database.collection("migrations_log").find_one(doc! {}).await.unwrap().unwrap() });
    database.insert(
        "migrations_log",
        [doc! {
            "registry": "migrations", "event": "migration_started", "run": "killed", "fence": 1_i64, "seq": 99_i64,
            "at": id.get_datetime("at").unwrap(), "subtask": "execute", "name": "0005_gone.rs", "direction": "up",
            "who": "tester", "where": "here",
        }],
    );
    // The end of the run before says that nothing was open.
    let unset = doc! { "$unset": { "settled": "" } };
    block_on(async { database.collection("migrations_log").update_many(doc! {}, unset).await.unwrap() });
    let outcome = simple().run("execute", &database).exits(3);
    assert_has(&outcome.stderr, &["0005_gone was interrupted", "its file is gone", "use `forget:0005_gone`"]);
    let outcome = simple().run("rollback:5", &database).exits(2);
    assert_has(&outcome.stderr, &["0005_gone was interrupted", "its file is gone", "use `forget:0005_gone`"]);
    simple().run("forget:5 --yes", &database).exits(0);
    simple().run("execute", &database).exits(0);
    assert_eq!(database.registered(), ["0001_a.rs", "0002_b.rs", "0010_c.rs"]);
}

#[test]
fn a_person_is_asked() {
    let database = TestDatabase::new();
    database.insert("migrations", [doc! { "name": "0012_gone.py" }]);
    let ask = |answer| {
        let answers = [("out of the registry of", answer)];
        pty(&simple().path("manager"), simple().root(), &["forget:12"], &database, &answers)
    };
    let (shown, code) = ask("n\n");
    assert_eq!(code, 3, "{shown}");
    assert_eq!(database.registered(), ["0012_gone.py"]);
    let (shown, code) = ask("y\n");
    assert_eq!(code, 0, "{shown}");
    assert_has(&shown, &["Forgotten", "0012_gone", "1 migration forgotten on"]);
    assert!(database.registered().is_empty());
}

#[test]
fn new_code_is_accepted_and_the_rest_of_the_entry_stays() {
    let database = TestDatabase::new();
    simple().run("execute:1 ignore:2", &database).exits(0);
    let before = entry(&database, "0001_a.rs").unwrap();
    let outcome = simple().run("accept:1 --yes", &database).exits(0);
    assert_has(&outcome.stderr, &["nothing to accept on"]);
    assert_eq!(entry(&database, "0001_a.rs").unwrap(), before);
    edited(&database, "0001_a.rs");
    let outcome = simple().run("execute --strict", &database).exits(3);
    assert_has(
        &outcome.stderr,
        &["`0001_a` was edited after it ran", "accept the new code with `cargo migrations accept:0001_a`"],
    );
    let outcome = simple().run("accept:1", &database).exits(3);
    assert_has(&outcome.stderr, &["Plan accept 0001_a, edited after it ran", "hint: pass `--yes`"]);
    let events = simple().run("accept:1 --yes --format json", &database).exits(0).json_lines();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["run_started", "migration_started", "migration_accepted", "run_ended"]);
    let mut after = entry(&database, "0001_a.rs").unwrap();
    assert!(matches!(after.remove("accepted_at"), Some(Bson::DateTime(_))));
    assert_ne!(after.remove("run"), before.get("run").cloned());
    let without_run: Document = before.into_iter().filter(|(key, _)| key != "run").collect();
    assert_eq!(after, without_run, "the checksum is the file's again, and all else is as it was");
    assert_eq!(logged(&database, "accept"), ["migration_started 0001_a.rs accept", "migration_ended 0001_a.rs accept done"]);
    simple().run("execute --strict", &database).exits(0);
    let outcome = simple().run("rollback:10 accept:10 --yes", &database).exits(2);
    assert_has(&outcome.stderr, &["error: 0010_c is not registered, and no registered migration without a file"]);
}

#[test]
fn a_renamed_file_takes_over_its_registration() {
    let workspace = Workspace::new();
    let database = TestDatabase::new();
    workspace.tracing_migration("0001_a.rs");
    workspace.tracing_migration("0007_slugs.rs");
    workspace.run("execute", &database).exits(0);
    let before = entry(&database, "0007_slugs.rs").unwrap();
    let migrations = workspace.path("mongomigrations");
    std::fs::rename(migrations.join("0007_slugs.rs"), migrations.join("0009_slugs.rs")).unwrap();
    let outcome = workspace.run("execute", &database).exits(3);
    assert_has(&outcome.stderr, &["hint: use `cargo migrations accept:0009_slugs` to register it under its new name"]);
    let outcome = workspace.run("accept:9 execute --strict --check show_status --yes", &database).exits(0);
    assert_has(&outcome.stderr, &["Plan accept 0009_slugs, registered as 0007_slugs"]);
    assert_eq!(database.trace(), ["up 0001", "up 0007"]);
    let after = entry(&database, "0009_slugs.rs").unwrap();
    assert_eq!(after.get_str("number").ok(), Some("0009"));
    for key in ["_id", "state", "checksum", "registered_at", "duration_ms", "who"] {
        assert_eq!(after.get(key), before.get(key), "{key}");
    }
    assert_eq!(database.registered(), ["0001_a.rs", "0009_slugs.rs"]);
    assert_eq!(
        logged(&database, "accept"),
        ["migration_started 0009_slugs.rs accept 0007_slugs.rs", "migration_ended 0009_slugs.rs accept 0007_slugs.rs done"]
    );
    // It can be rolled back under its new name.
    workspace.run("rollback:9", &database).exits(0);
    assert_eq!(database.registered(), ["0001_a.rs"]);
}

#[test]
fn several_databases_are_asked_about_once() {
    let tenants: Vec<_> = (0..3).map(|_| TestDatabase::new()).collect();
    let names = tenants.iter().map(TestDatabase::name).collect::<Vec<_>>().join(",");
    let run = |args: &str| {
        let line = Line::new(places().path("manager"), places().root()).args(args.split_whitespace());
        line.env("MONGO_URI", server_uri()).env("LISTED", &names).run()
    };
    run("listed execute").exits(0);
    for tenant in &tenants {
        tenant.insert("migrations", [doc! { "name": "0012_gone.rs" }]);
    }
    let first = tenants[0].registered()[0].clone();
    edited(&tenants[1], &first);
    let outcome = run("listed forget:12").exits(3);
    assert_has(&outcome.stderr, &[&format!("Plan {}: forget 0012_gone", tenants[2].name()), "there is no terminal"]);
    run("listed forget:12 --yes").exits(0);
    assert!(tenants.iter().all(|tenant| tenant.registered().len() == 3));
    run(&format!("listed accept:{first} --yes")).exits(0);
    let checksum = |tenant: &TestDatabase| entry(tenant, &first).unwrap().get_str("checksum").unwrap().to_owned();
    assert_eq!(checksum(&tenants[1]), checksum(&tenants[0]));
}

/// `line` is killed at each of its points in turn. The registry then has the document as it was before or after, and the same
/// line does the rest.
fn killed_at_every_point(uri: &str, line: &str, is_done: impl Fn(&TestDatabase) -> bool + Sync) {
    let new = || {
        let scene = Scene::new(crash_plain(), uri);
        scene.run("execute").exits(0);
        scene.database.insert("migrations", [doc! { "name": "0012_gone.rs" }]);
        edited(&scene.database, "0001_plain.rs");
        scene
    };
    let scene = new();
    let points = scene.trace(line);
    assert!(points.len() > 5 && is_done(&scene.database), "{points:?}");
    in_parallel(points.len(), |index| {
        let scene = new();
        let killed = scene.line(line.split_whitespace()).env("CARGO_MIGRATIONS_CRASH_AT", format!("KILL:{index}")).run();
        assert_eq!(killed.code, -1, "at {index} ({}): {killed:?}", points[index]);
        wait_for_lease_to_expire(&scene);
        let status = scene.run("show_status").exits(0);
        assert!(!status.stdout.contains("interrupted"), "at {index} ({}): {status:?}", points[index]);
        if !is_done(&scene.database) {
            scene.run(line).exits(0);
        }
        assert!(is_done(&scene.database), "at {index} ({})", points[index]);
        scene.run("execute").exits(0);
        assert_eq!(scene.witnessed("end up 0001"), 1);
    });
}

fn is_forgotten(database: &TestDatabase) -> bool {
    entry(database, "0012_gone.rs").is_none()
}

fn is_accepted(database: &TestDatabase) -> bool {
    entry(database, "0001_plain.rs").unwrap().get_str("checksum").ok() != Some("sha256:another")
}

#[test]
fn killed_at_every_point_on_a_replica_set() {
    killed_at_every_point(&faulty_server().uri(), "forget:12 --yes", is_forgotten);
    killed_at_every_point(&faulty_server().uri(), "accept:1 --yes", is_accepted);
}

#[test]
fn killed_at_every_point_on_a_standalone_server() {
    killed_at_every_point(&standalone_server().uri(), "forget:12 --yes", is_forgotten);
    killed_at_every_point(&standalone_server().uri(), "accept:1 --yes", is_accepted);
}

#[test]
fn a_program_that_shares_the_registry_by_mistake_is_named() {
    let database = TestDatabase::new();
    simple().run("execute:1", &database).exits(0);
    let ours = entry(&database, "0001_a.rs").unwrap().get_str("package").unwrap().to_owned();
    assert_eq!(ours, simple().manager_name());
    // A migration of that name with other code, and one that we do not have.
    let set = doc! { "$set": { "checksum": "sha256:another", "package": "billing" } };
    block_on(async { database.collection("migrations").update_one(doc! { "name": "0001_a.rs" }, set).await.unwrap() });
    database.insert("migrations", [doc! { "name": "0012_invoices.rs", "package": "billing" }]);
    let same_name =
        "warning: `0001_a` was registered by another program (`billing`) with other code: it counts as registered";
    let other = "warning: `0012_invoices` is registered by another program (`billing`), and has no file here";
    for line in ["show_status", "execute"] {
        let outcome = simple().run(line, &database).exits(0);
        assert_has(&outcome.stderr, &[same_name, other, "give each program a registry of its own (MIGRATIONS_COLLECTION)"]);
    }
    let outcome = simple().run("rollback:12", &database).exits(2);
    assert_has(&outcome.stderr, &["0012_invoices is registered on", "by another program (`billing`)"]);
    let outcome = simple().run("forget:12", &database).exits(3);
    assert_has(
        &outcome.stderr,
        &["`0012_invoices` was registered by another program (`billing`), which would run it again"],
    );
    // The package was renamed, and nothing else.
    simple().run("accept:1 --yes", &database).exits(0);
    let outcome = simple().run("show_status", &database).exits(0);
    assert!(!outcome.stderr.contains("with other code"), "{}", outcome.stderr);
    assert_eq!(entry(&database, "0001_a.rs").unwrap().get_str("package").unwrap(), ours);
    // An entry with our code is ours, whatever the package was called then.
    let set = doc! { "$set": { "package": "former" } };
    block_on(async { database.collection("migrations").update_one(doc! { "name": "0001_a.rs" }, set).await.unwrap() });
    let outcome = simple().run("show_status", &database).exits(0);
    assert!(!outcome.stderr.contains("former"), "{}", outcome.stderr);
}
