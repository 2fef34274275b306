//! Users who lack a right: it is noticed before a migration runs, and the error says which one.

use std::path::Path;
use std::sync::OnceLock;

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::bson::{Document, doc};
use cargo_migrations::mongodb::{Client, Database};

use super::support::{CRATE, Line, Outcome, TestDatabase, assert_has, block_on, simple};

const PASSWORD: &str = "s3cr3t-r1ghts";

/// A server that asks for logins.
struct Secured {
    server: Throwaway,
    /// With the key that the members of a replica set log in to each other with, and the dumps.
    folder: tempfile::TempDir,
}

fn standalone() -> &'static Secured {
    static SERVER: OnceLock<Secured> = OnceLock::new();
    SERVER.get_or_init(|| Secured::start(false))
}

fn replica_set() -> &'static Secured {
    static SERVER: OnceLock<Secured> = OnceLock::new();
    SERVER.get_or_init(|| Secured::start(true))
}

impl Secured {
    fn start(is_replica_set: bool) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, "a2V5IG9mIHRoZSB0ZXN0cw==").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = key.display().to_string();
        let set = ["--auth", "--replSet", "secured", "--keyFile", &key];
        let arguments = if is_replica_set { &set[..] } else { &set[..1] };
        let server = block_on(Throwaway::start(arguments)).unwrap();
        let this = Self { server, folder };
        block_on(async {
            // As long as there is no user, a client on the same machine may do this much.
            let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true", this.server.port());
            let admin = Client::with_uri_str(uri).await.unwrap().database("admin");
            if is_replica_set {
                let members = vec![doc! { "_id": 0, "host": format!("127.0.0.1:{}", this.server.port()) }];
                admin.run_command(doc! { "replSetInitiate": { "_id": "secured", "members": members } }).await.unwrap();
                while !admin.run_command(doc! { "hello": 1 }).await.unwrap().get_bool("isWritablePrimary").unwrap() {}
            }
            admin.run_command(doc! { "createUser": "root", "pwd": PASSWORD, "roles": ["root"] }).await.unwrap();
        });
        this
    }

    fn uri(&self, user: &str) -> String {
        format!("mongodb://{user}:{PASSWORD}@127.0.0.1:{}/?authSource=admin", self.server.port())
    }

    fn database(&self, name: &str) -> Database {
        block_on(Client::with_uri_str(self.uri("root")).into_future()).unwrap().database(name)
    }

    /// Makes a user with these actions on the collections of the database of that name, and all actions on the others.
    fn user(&self, name: &str, of_collections: &[(&str, &[&str])]) {
        let all = ["migrations", "migrations_log", "migrations_lock", "trace"];
        let privileges: Vec<Document> = all
            .iter()
            .map(|collection| {
                let given = of_collections.iter().find(|(name, _)| name == collection).map(|(_, actions)| actions.to_vec());
                let actions = given.unwrap_or_else(|| vec!["find", "insert", "update", "remove", "createIndex"]);
                doc! { "resource": { "db": name, "collection": *collection }, "actions": actions }
            })
            .collect();
        self.user_with(name, &privileges);
    }

    /// Makes a user with these privileges.
    fn user_with(&self, name: &str, privileges: &[Document]) {
        let (admin, role) = (self.database("admin"), format!("role_{name}"));
        block_on(async {
            let command = doc! { "createRole": &role, "privileges": privileges, "roles": [] };
            admin.run_command(command).await.unwrap();
            admin.run_command(doc! { "createUser": name, "pwd": PASSWORD, "roles": [&role] }).await.unwrap();
        });
    }

    /// Runs a line as the user of that name on the database of that name.
    fn run(&self, name: &str, args: &str) -> Outcome {
        self.run_as(name, name, args)
    }

    fn run_as(&self, user: &str, database: &str, args: &str) -> Outcome {
        let line = Line::new(simple().path("manager"), simple().root()).args(args.split_whitespace());
        let dumps = self.folder.path().join(database);
        line.env("MONGO_URI", self.uri(user)).env("MONGO_DATABASE", database).env("MONGO_DUMP_DIRECTORY", dumps).run()
    }

    fn count(&self, name: &str, collection: &str) -> u64 {
        block_on(self.database(name).collection::<Document>(collection).count_documents(doc! {}).into_future()).unwrap()
    }
}

#[test]
fn a_user_who_may_not_register_runs_nothing() {
    for server in [standalone(), replica_set()] {
        for (name, actions) in
            [("no_writes", &["find"][..]), ("no_insert", &["find", "update"]), ("no_update", &["find", "insert"])]
        {
            server.user(name, &[("migrations", actions)]);
            for line in ["execute", "execute:2", "ignore"] {
                let outcome = server.run(name, line).exits(1);
                assert_has(
                    &outcome.stderr,
                    &[
                        "error: the user may not change the registry `migrations`, so nothing has run",
                        &format!("insert and update on {name}.migrations"),
                        &format!(
                            "grant the user the role readWrite on {name}, or the privilege {{ resource: {{ db: \"{name}\""
                        ),
                    ],
                );
                assert!(!outcome.stderr.contains(PASSWORD));
            }
            let left = ["trace", "migrations", "migrations_log", "migrations_lock"]
                .map(|collection| server.count(name, collection));
            assert_eq!(left, [0; 4], "{name}");
            server.run(name, "show_status").exits(0);
        }
    }
}

/// One who may do nothing with what is stored about backfills has stored nothing there.
#[test]
fn a_migration_that_failed_before_is_registered_without_rights_on_backfills() {
    for server in [standalone(), replica_set()] {
        let name = "no_backfills";
        server.user(name, &[]);
        let failed = doc! {
            "registry": "migrations", "event": "migration_ended", "run": "r", "fence": 0_i64, "seq": 2_i64,
            "name": "0001_a.rs", "direction": "up", "before": "unregistered", "outcome": "failed",
        };
        block_on(server.database(name).collection::<Document>("migrations_log").insert_one(failed).into_future()).unwrap();
        assert_has(&server.run(name, "show_status").exits(0).stdout, &["failed"]);
        server.run(name, "execute").exits(0);
        assert_eq!(server.count(name, "migrations"), 3);
    }
}

#[test]
fn a_user_who_may_not_unregister_rolls_nothing_back() {
    for server in [standalone(), replica_set()] {
        server.user("no_remove", &[("migrations", &["find", "insert", "update", "createIndex"])]);
        server.run("no_remove", "execute").exits(0);
        let outcome = server.run("no_remove", "rollback:1").exits(1);
        assert_has(&outcome.stderr, &["so nothing has run", "the command `delete` needs remove on no_remove.migrations"]);
        assert_eq!((server.count("no_remove", "trace"), server.count("no_remove", "migrations")), (3, 3));
    }
}

#[test]
fn a_user_who_may_not_write_the_log_or_the_lock_runs_nothing() {
    for server in [standalone(), replica_set()] {
        for (name, collection) in [("no_log", "migrations_log"), ("no_lock", "migrations_lock")] {
            server.user(name, &[(collection, &["find"])]);
            let outcome = server.run(name, "execute").exits(1);
            assert_has(&outcome.stderr, &[&format!("{name}.{collection}"), "grant the user the role readWrite"]);
            assert_eq!((server.count(name, "trace"), server.count(name, "migrations")), (0, 0), "{name}");
        }
    }
}

#[test]
fn a_migration_that_is_refused_says_which_right_it_needs() {
    let server = replica_set();
    server.user("no_trace", &[("trace", &["find"])]);
    let outcome = server.run("no_trace", "execute").exits(1);
    assert_has(
        &outcome.stderr,
        &[
            "the migration 0001_a failed and was not registered",
            "the command `insert` needs insert on no_trace.trace",
            "the privilege { resource: { db: \"no_trace\", collection: \"trace\" }, actions: [\"insert\"] }",
        ],
    );
}

/// Dumps into a folder of the test's own.
fn with_dumps(server: &Secured, user: &str, database: &str, folder: &std::path::Path, args: &str) -> Outcome {
    let line = Line::new(simple().path("manager"), simple().root()).args(args.split_whitespace());
    line.env("MONGO_URI", server.uri(user)).env("MONGO_DATABASE", database).env("MONGO_DUMP_DIRECTORY", folder).run()
}

#[test]
fn a_restore_by_a_user_without_the_rights_changes_nothing_and_names_them() {
    for server in [standalone(), replica_set()] {
        let folder = tempfile::tempdir().unwrap();
        let name = "restored";
        let (database, admin) = (server.database(name), server.database("admin"));
        let run = |user: &str, args: &str| with_dumps(server, user, name, folder.path(), args);
        let insert = |name: &str, id: i32| {
            block_on(database.collection::<Document>(name).insert_one(doc! { "_id": id, "a": 1 }).into_future()).unwrap();
        };
        let hashes = || {
            let reply = block_on(database.run_command(doc! { "dbHash": 1 }).into_future()).unwrap();
            let mut hashes = reply.get_document("collections").unwrap().clone();
            hashes.remove("migrations_log");
            hashes.remove("migrations_lock");
            hashes
        };
        block_on(async {
            for (user, role) in [("writer", "readWrite"), ("reader", "read")] {
                let roles = vec![doc! { "role": role, "db": name }];
                admin.run_command(doc! { "createUser": user, "pwd": PASSWORD, "roles": roles }).await.unwrap();
            }
            let index = doc! { "key": { "a": 1 }, "name": "a" };
            database.run_command(doc! { "createIndexes": "notes", "indexes": [index] }).await.unwrap();
            database.run_command(doc! { "create": "view", "viewOn": "notes", "pipeline": [] }).await.unwrap();
        });
        insert("a_first", 1);
        insert("notes", 1);
        insert("system.js", 1);

        // Nothing in it needs more than this role.
        run("root", "dbdump").exits(0);
        let dumped = hashes();
        for collection in ["a_first", "notes", "system.js", "later"] {
            insert(collection, 2);
        }
        let changed = hashes();
        let refused = run("reader", "restore:latest --yes").exits(1);
        assert_has(
            &refused.stderr,
            &[
                "the user may not do what the restore needs",
                "`dropCollection` on restored.",
                "Nothing was changed",
                "grant the user the role",
            ],
        );
        assert_eq!(hashes(), changed);
        run("writer", "restore:latest --yes").exits(0);
        assert_eq!(hashes(), dumped);
        run("writer", "restore:latest,inplace=yes --yes").exits(0);
        assert_eq!(hashes(), dumped);

        // A document that a validator refuses may be older than the validator.
        let strict = doc! { "create": "strict", "validator": { "b": 1 } };
        block_on(database.run_command(strict).into_future()).unwrap();
        let old = doc! { "insert": "strict", "documents": [{ "_id": 1 }], "bypassDocumentValidation": true };
        block_on(database.run_command(old).into_future()).unwrap();
        run("root", "dbdump").exits(0);
        insert("notes", 3);
        let changed = hashes();
        let refused = run("writer", "restore:latest --yes").exits(1);
        assert_has(&refused.stderr, &["`bypassDocumentValidation` on restored.migrations_restore.", "strict", "`dbOwner`"]);
        assert_eq!(hashes(), changed);
        run("writer", "restore:latest,only=notes --yes").exits(0);
        assert_eq!(hashes().get("notes"), dumped.get("notes"));
        run("root", "restore:latest --yes").exits(0);
        assert_eq!(server.count(name, "strict"), 1);

        // The data of a time-series collection is in a collection of the server's own.
        let weather = doc! { "create": "weather", "timeseries": { "timeField": "at" } };
        block_on(database.run_command(weather).into_future()).unwrap();
        let at = doc! { "at": cargo_migrations::mongodb::bson::DateTime::from_millis(1) };
        block_on(database.collection::<Document>("weather").insert_one(at).into_future()).unwrap();
        run("root", "dbdump").exits(0);
        let changed = hashes();
        let refused = run("writer", "restore:latest,only=weather --yes").exits(1);
        assert_has(&refused.stderr, &["`insert` on restored.system.buckets.weather", "the role `restore`"]);
        assert_eq!(hashes(), changed);
        run("root", "restore:latest --yes").exits(0);
        assert_eq!(server.count(name, "weather"), 1);
    }
}

#[test]
fn a_user_who_may_only_read_sees_every_plan() {
    for server in [standalone(), replica_set()] {
        let name = "only_read";
        let admin = server.database("admin");
        let roles = vec![doc! { "role": "read", "db": name }];
        block_on(admin.run_command(doc! { "createUser": name, "pwd": PASSWORD, "roles": roles }).into_future()).unwrap();
        let lines = ["plan", "plan:rollback,to=0", "plan:rollback,run=last", "plan:to,2", "plan:execute,to=2 --check"];
        for (line, code) in lines.into_iter().zip([0, 0, 0, 0, 4]) {
            server.run(name, line).exits(code);
        }
        let entries = server.database(name).collection("migrations");
        block_on(entries.insert_many([doc! { "name": "0001_a.rs" }, doc! { "name": "0010_c.rs" }]).into_future()).unwrap();
        for line in ["plan:redo,1", "plan:to,2", "plan:baseline,2", "plan:accept,1", "plan:rollback,steps=2"] {
            server.run(name, line).exits(0);
        }
        assert_has(&server.run(name, "plan:to,2").stdout, &["roll back  0010_c", "execute    0002_b"]);
        // It is no more than a plan.
        assert_has(&server.run(name, "execute").exits(1).stderr, &["so nothing has run"]);
    }
}

/// The role that the help page of a subtask names.
fn role_on_the_page(subtask: &str) -> Option<String> {
    let help = Line::new(simple().path("manager"), simple().root()).args([format!("help:{subtask}")]).run().exits(0);
    let page = help.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let role = page.split_once("as in the role ")?.1.split([' ', ',', '.']).next()?;
    Some(role.to_owned())
}

#[test]
fn the_roles_that_the_help_pages_name_suffice() {
    assert_eq!(role_on_the_page("dumps"), None);
    for server in [standalone(), replica_set()] {
        let (admin, name) = (server.database("admin"), "by_roles");
        let user_of = |role: &str| format!("has_{role}");
        // A user for each of the roles, who has no others.
        for role in ["read", "readWrite", "dbOwner"] {
            let roles = vec![doc! { "role": role, "db": name }];
            block_on(admin.run_command(doc! { "createUser": user_of(role), "pwd": PASSWORD, "roles": roles }).into_future())
                .unwrap();
        }
        let dumps = tempfile::tempdir().unwrap();
        for line in [
            "execute:to=2",
            "redo:2",
            "rollback:steps=1",
            "to:10 --yes",
            "to:1 --yes",
            "baseline:2",
            "ignore",
            "unlock",
            "show_status",
            "plan:to,0",
            "history",
            "dbdump",
            "restore:latest --yes",
            "rollback:run=last",
        ] {
            let subtask = line.split([':', ' ']).next().unwrap();
            let role = role_on_the_page(subtask).unwrap();
            with_dumps(server, &user_of(&role), name, dumps.path(), line).exits(0);
        }
        // As the page says, where no collection has a validator.
        with_dumps(server, &user_of("readWrite"), name, dumps.path(), "restore:latest --yes").exits(0);
    }
}

#[test]
fn a_user_with_all_rights_pays_one_command_for_the_check() {
    let (server, other) = (replica_set(), TestDatabase::new());
    server.user("all_rights", &[]);
    let sent = |outcome: Outcome| {
        let stderr = outcome.exits(0).stderr;
        let names = stderr.lines().filter_map(|line| line.trim_start().strip_prefix("Command ")?.split(' ').next());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    server.run("all_rights", "execute:1").exits(0);
    simple().run("execute:1", &other).exits(0);
    for (line, more) in [("execute:2 -vv", 1), ("rollback:2 -vv", 1), ("show_status -vv", 0)] {
        let (with, without) = (sent(server.run("all_rights", line)), sent(simple().run(line, &other)));
        assert_eq!(with.len(), without.len() + more, "{line}: {with:?}, {without:?}");
    }
}

/// The rights of a subtask as the documentation has them: a resource's collection, and the actions on it.
fn documented(subtask: &str, is_standalone: bool) -> Vec<(&'static str, Vec<String>)> {
    let text = std::fs::read_to_string(Path::new(CRATE).join("docs/rights.md")).unwrap();
    let row = text.lines().find(|line| line.starts_with(&format!("| `{subtask}` |"))).expect("a row of the table");
    let columns = ["migrations", "migrations_log", "migrations_lock", "migrations_backfill", ""];
    let actions = |cell: &str| -> Vec<String> {
        let named = cell.split(',').map(str::trim).filter(|action| !action.is_empty());
        let asked_for = named.filter(|action| is_standalone || !action.ends_with(" (standalone)"));
        asked_for.map(|action| action.trim_end_matches(" (standalone)").to_owned()).collect()
    };
    columns.into_iter().zip(row.split('|').skip(2).map(actions)).filter(|(_, actions)| !actions.is_empty()).collect()
}

/// Runs a subtask on a database of its own, as a user with these rights, after what has to be there.
fn run_with(server: &Secured, name: &str, line: &str, rights: &[(&str, Vec<String>)]) -> Outcome {
    let subtask = line.split([':', ' ']).next().unwrap();
    let mut privileges: Vec<Document> = rights
        .iter()
        .map(|(on, actions)| doc! { "resource": { "db": name, "collection": *on }, "actions": actions.clone() })
        .collect();
    if ["execute", "rollback", "to", "redo"].contains(&subtask) {
        // What the migrations do.
        privileges.push(doc! { "resource": { "db": name, "collection": "trace" }, "actions": ["insert"] });
    }
    server.user_with(name, &privileges);
    let database = server.database(name);
    let registry = database.collection::<Document>("migrations");
    if ["rollback", "to", "redo", "accept", "forget", "history", "dbdump", "restore"].contains(&subtask) {
        server.run_as("root", name, "execute:1").exits(0);
    }
    block_on(async {
        match subtask {
            "accept" => drop(registry.update_one(doc! {}, doc! { "$set": { "checksum": "sha256:0" } }).await.unwrap()),
            "forget" => drop(registry.insert_one(doc! { "name": "0007_gone.rs" }).await.unwrap()),
            "unlock" => {
                // It is damaged, and its other document is gone.
                let lock = database.collection::<Document>("migrations_lock");
                lock.insert_one(doc! { "_id": "lease", "term": "x" }).await.unwrap();
            }
            "backfill" => {
                let backfill = doc! { "_id": "migrations/0001_a/up/users", "registry": "migrations", "migration": "0001_a" };
                drop(database.collection::<Document>("migrations_backfill").insert_one(backfill).await.unwrap());
            }
            _ => {}
        }
    });
    if subtask == "restore" {
        server.run_as("root", name, "dbdump").exits(0);
    }
    server.run_as(name, name, line)
}

const LINES: [&str; 18] = [
    "show_status",
    "execute",
    "ignore",
    "rollback:1",
    "to:0 --yes",
    "redo:1",
    "plan",
    "baseline:2",
    "accept:1 --yes",
    "forget:7 --yes",
    "check",
    "history",
    "backfill:pause",
    "unlock --yes",
    "dbdump",
    "restore:latest --yes",
    "dumps",
    "help",
];

#[test]
fn the_documented_rights_suffice_for_each_subtask() {
    for (server, is_standalone) in [(standalone(), true), (replica_set(), false)] {
        for line in LINES {
            let subtask = line.split([':', ' ']).next().unwrap();
            let name = format!("least_{subtask}_{is_standalone}");
            let outcome = run_with(server, &name, line, &documented(subtask, is_standalone)).exits(0);
            // On a standalone server, a dump is said not to be a snapshot.
            let has_warning = outcome.stderr.contains("warning") && !(subtask == "dbdump" && is_standalone);
            assert!(!has_warning, "{line}: {}", outcome.stderr);
        }
    }
}

#[test]
fn none_of_the_documented_rights_can_be_left_out() {
    for (server, is_standalone) in [(standalone(), true), (replica_set(), false)] {
        for line in [
            "show_status",
            "execute",
            "rollback:1",
            "accept:1 --yes",
            "backfill:pause",
            "unlock --yes",
            "dbdump",
            "restore:latest --yes",
        ] {
            let subtask = line.split([':', ' ']).next().unwrap();
            let rights = documented(subtask, is_standalone);
            for (index, (on, actions)) in rights.iter().enumerate() {
                for action in actions {
                    // Only speed depends on the indexes of the log, the first run alone creates the lock's documents, and what an
                    // update or `createCollection` restores is rare: an empty timestamp, a capped collection or a view.
                    let is_exempt = match (*on, action.as_str()) {
                        ("migrations_log", "createIndex") | ("", "update" | "createCollection") => true,
                        ("migrations_lock", "insert") => ["rollback", "accept"].contains(&subtask),
                        // The run that registered it has created the index.
                        ("migrations", "createIndex") => subtask == "accept",
                        _ => false,
                    };
                    if is_exempt {
                        continue;
                    }
                    let mut fewer = rights.clone();
                    fewer[index].1.retain(|other| other != action);
                    fewer.retain(|(_, actions)| !actions.is_empty());
                    let name = format!("no_{}_{is_standalone}_{index}_{action}", &subtask[..4]);
                    let outcome = run_with(server, &name, line, &fewer);
                    let is_missed = outcome.code != 0 || outcome.stderr.contains("warning: the server does not keep");
                    assert!(is_missed, "{line} without {action} on {on:?}: {}", outcome.stderr);
                }
            }
        }
    }
}

#[test]
fn doctor_says_which_subtasks_lack_which_rights_and_what_it_cannot_know() {
    let server = replica_set();
    server.user_with("looks", &[doc! { "resource": { "db": "looks", "collection": "" }, "actions": ["find"] }]);
    let outcome = server.run("looks", "doctor --format json").exits(4);
    let findings = outcome.json()["findings"].as_array().unwrap().clone();
    let of = |check: &str| -> Vec<String> {
        let of_check = findings.iter().filter(|finding| finding["check"] == check);
        of_check.map(|finding| format!("{} {} {}", finding["state"], finding["text"], finding["remedy"])).collect()
    };
    let lacking = of("rights").join("\n");
    assert_has(
        &lacking,
        &[
            r#""wrong" "`execute`, `ignore`, `baseline`, `accept`, `adopt` lack insert, update, createIndex on looks.migrations and "#,
            r#""note" "`dbdump` lacks listCollections, listIndexes on looks""#,
            "grant looks the privilege { resource: { db: ",
        ],
    );
    assert!(!lacking.contains("show_status"), "{lacking}");
    for (check, why) in [("compatibility", "`getParameter` needs getParameter"), ("oplog", "`collStats` needs collStats")] {
        assert_has(&of(check).join(" "), &[r#""unknown" "not known: not authorized"#, why, "grant the user"]);
    }
    assert_has(&of("lock").join(" "), &[r#""ok" "free""#]);
    assert_has(&of("majority").join(" "), &[r#""ok""#]);

    server.user_with("nothing", &[]);
    let outcome = server.run("nothing", "doctor").exits(4);
    let line = |check: &str| outcome.stdout.lines().find(|line| line.starts_with(check)).unwrap_or_default().to_owned();
    for check in ["lock", "migrations", "clock", "oplog", "compatibility"] {
        assert_has(&outcome.stdout, &[check]);
    }
    for check in ["lock", "migrations"] {
        assert_has(&line(check), &["unknown", "not known: "]);
    }
    assert_has(&line("server"), &["MongoDB "]);

    let root = server.run_as("root", "looks", "doctor --format json").json();
    let is_unknown = |finding: &&serde_json::Value| finding["state"] == "unknown";
    assert_eq!(root["findings"].as_array().unwrap().iter().find(is_unknown), None);
    assert!(root["findings"].as_array().unwrap().iter().any(|finding| finding["check"] == "oplog"));
}
