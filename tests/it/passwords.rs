//! Passwords appear nowhere: every command and every kind of error, against a server with a known one, and all that can be read
//! of it afterwards and meanwhile.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::bson::{Document, doc};
use cargo_migrations::mongodb::{Client, Database};

use super::support::{Line, Outcome, Sshd, block_on, places, plugin};

/// As it is, and as a connection string has it.
const PASSWORD: &str = "hush/Kn0wn@only:here";
const ENCODED: &str = "hush%2FKn0wn%40only%3Ahere";

struct Server {
    mongod: Throwaway,
    dumps: tempfile::TempDir,
    /// What was printed, line by line.
    printed: std::sync::Mutex<String>,
}

impl Server {
    fn start() -> Self {
        let mongod = block_on(Throwaway::start(&["--auth"])).unwrap();
        block_on(async {
            let client = Client::with_uri_str(mongod.uri()).await.unwrap();
            let admin = client.database("admin");
            let user = doc! { "createUser": "deploy", "pwd": PASSWORD, "roles": ["root"] };
            admin.run_command(user).await.unwrap();
            let client =
                Client::with_uri_str(format!("mongodb://deploy:{ENCODED}@127.0.0.1:{}/", mongod.port())).await.unwrap();
            for (name, roles) in [("deploy", vec!["dbOwner"]), ("reader", vec!["read"])] {
                let user = doc! { "createUser": name, "pwd": PASSWORD, "roles": roles };
                client.database("blog").run_command(user).await.unwrap();
            }
        });
        Self { mongod, dumps: tempfile::tempdir().unwrap(), printed: std::sync::Mutex::default() }
    }

    fn uri(&self, rest: &str) -> String {
        format!("mongodb://deploy:{ENCODED}@127.0.0.1:{}/{rest}", self.mongod.port())
    }

    fn database(&self) -> Database {
        block_on(async { Client::with_uri_str(self.uri("?authSource=admin")).await.unwrap().database("blog") })
    }

    fn line(&self, program: &Path, args: &str, variables: &[(&str, &str)]) -> Outcome {
        let mut line = Line::new(program, places().root()).args(args.split_whitespace());
        line = line.env("MONGO_DUMP_DIRECTORY", self.dumps.path());
        for (name, value) in variables {
            line = line.env(name, value);
        }
        let outcome = line.run();
        let mut printed = self.printed.lock().unwrap();
        *printed += &format!("== {args} {}\n{}{}", outcome.code, outcome.stdout, outcome.stderr);
        outcome
    }
}

/// The text holds neither the password nor a usable part of it.
fn find(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    [PASSWORD, ENCODED, "Kn0wn"].iter().find_map(|secret| {
        let at = text.find(secret)?;
        let from = text[..at].char_indices().rev().nth(60).map_or(0, |(index, _)| index);
        Some(text[from..at].to_owned())
    })
}

/// Looks at every process's arguments until it is asked to stop. Returns how often it looked, and what it found.
fn watch(is_over: &AtomicBool, looks: &AtomicUsize) -> Vec<String> {
    let mut found = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if find(&arguments).is_some() {
                found.push(String::from_utf8_lossy(&arguments).replace('\0', " "));
            }
        }
        looks.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    found
}

#[test]
fn a_password_is_nowhere_to_be_found() {
    let server = Server::start();
    let (is_over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let found = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&is_over, &looks));
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run_everything(&server)));
        is_over.store(true, Ordering::Relaxed);
        let found = watcher.join().unwrap();
        if let Err(panic) = ran {
            std::panic::resume_unwind(panic);
        }
        found
    });
    assert!(looks.load(Ordering::Relaxed) > 100);
    assert_eq!(found, [""; 0]);
    let printed = server.printed.lock().unwrap();
    assert_eq!(find(printed.as_bytes()), None, "{printed}");
    // The place of what was left out is still shown.
    assert!(printed.contains("***"));
    for file in files(server.dumps.path()) {
        assert_eq!(find(&std::fs::read(&file).unwrap()), None, "{}", file.display());
    }
    for collection in ["migrations", "migrations_log", "migrations_lock"] {
        let documents = all(&server.database(), collection);
        assert!(!documents.is_empty());
        for document in documents {
            assert_eq!(find(document.to_string().as_bytes()), None, "{document}");
        }
    }
}

fn run_everything(server: &Server) {
    let manager = places().path("manager");
    let uri = server.uri("blog?authSource=admin");
    let port = server.mongod.port().to_string();
    let parts = [
        ("MONGO_HOST", "127.0.0.1"),
        ("MONGO_PORT", port.as_str()),
        ("MONGO_USER", "deploy"),
        ("MONGO_USER_PASSWORD", PASSWORD),
        ("MONGO_DATABASE", "blog"),
    ];
    let by_uri = [("MONGO_URI", uri.as_str())];
    // The plugin passes everything on.
    server.line(&plugin(), "execute:1 -vv", &by_uri).exits(0);
    for variables in [&by_uri[..], &parts] {
        for args in
            ["-v", "--format json", "execute -v", "ignore", "history", "history --format json", "unlock", "dumps", "help"]
        {
            server.line(&manager, args, variables).exits(0);
        }
        for args in ["dbdump -v", "dbdump:verify=latest", "dbdump:prove=latest", "restore:latest --yes -v", "mytask"] {
            server.line(&manager, args, variables).exits(0);
        }
        server.line(&manager, "rollback:2", &[variables, &[("DO_MONGO_DUMP", "1")]].concat()).exits(0);
        let leak = format!("cannot use {uri}, nor {PASSWORD}, nor {ENCODED}");
        let leaks = [variables, &[("LEAK", leak.as_str())]].concat();
        server.line(&manager, "execute", &leaks).exits(1);
        server.line(&manager, "execute --format json", &leaks).exits(1);
        server.line(&manager, "execute", &[&leaks[..], &[("PANIC", "1")]].concat()).exits(1);
        server.line(&manager, "", variables).exits(0);
        server.line(&manager, "history --format json", variables).exits(0);
        server.line(&manager, "execute", variables).exits(0);
        server.line(&manager, "execute:9", variables).exits(2);
    }
    // Environments.
    let staging = [("STAGING_MONGO_URI", uri.as_str()), ("TENANTS", "blog"), ("MONGO_URI", uri.as_str())];
    for (args, code) in [
        ("staging", 0),
        ("production rollback:1", 3),
        ("production rollback:1 --yes", 0),
        ("tenants execute", 0),
        ("asked --check", 0),
    ] {
        server.line(&manager, args, &staging).exits(code);
    }
    // What can be wrong with it.
    let closed = format!("mongodb://deploy:{ENCODED}@127.0.0.1:9/blog");
    let wrong_user = server.uri("blog").replace("deploy:", "stranger:");
    let reader = server.uri("blog?authSource=blog").replace("deploy:", "reader:");
    let raw = format!("mongodb://deploy:{PASSWORD}@127.0.0.1:{port}/blog");
    let option = format!("mongodb://127.0.0.1:{port}/blog?proxyPassword={ENCODED}&nonsense");
    let tls = server.uri("blog?tls=true");
    let set = server.uri("blog?replicaSet=rs9");
    let scheme = uri.replace("mongodb://", "http://");
    let no_database = server.uri("?authSource=admin");
    for (uri, args, code) in [
        (&closed, "execute", 1),
        (&wrong_user, "execute", 1),
        (&reader, "rollback:1", 1),
        (&reader, "rollback:3", 1),
        (&raw, "", 2),
        (&option, "", 2),
        (&tls, "", 1),
        (&set, "", 1),
        (&scheme, "", 2),
        (&no_database, "", 2),
    ] {
        server.line(&manager, args, &[("MONGO_URI", uri.as_str())]).exits(code);
        server.line(&manager, &format!("staging {args}"), &[("STAGING_MONGO_URI", uri.as_str())]).exits(code);
    }
    let half = format!("deploy:{PASSWORD}@127.0.0.1");
    server.line(&manager, "", &[("MONGO_HOST", half.as_str()), ("MONGO_DATABASE", "blog")]).exits(2);
    // Other machines.
    if let Some(sshd) = Sshd::start(&[("MONGO_URI", uri.as_str()), ("LEAK", PASSWORD)]) {
        let path = sshd.path();
        let folder = places().root().to_str().unwrap();
        let far = [("FAR_HOST", "box"), ("FAR_FOLDER", folder), ("PATH", path.as_str()), ("INSIDE_MONGO_URI", uri.as_str())];
        server.line(&manager, "far", &far).exits(0);
        server.line(&manager, "far rollback:2", &far).exits(0);
        server.line(&manager, "far execute", &far).exits(1);
        server.line(&manager, "inside -v execute", &far).exits(0);
        server.line(&manager, "inside", &[&far[..], &[("FAR_HOST", "nowhere.invalid")]].concat()).exits(1);
        assert_eq!(find(sshd.log().as_bytes()), None);
    }
}

#[test]
fn a_password_that_is_an_ordinary_word_is_not_masked_in_our_own_words() {
    let uri = "mongodb://deploy:base@127.0.0.1:9/blog?serverSelectionTimeoutMS=100";
    let stderr = Line::new(places().path("manager"), places().root()).env("MONGO_URI", uri).run().exits(1).stderr;
    assert!(stderr.contains("Database blog on 127.0.0.1:9") && !stderr.contains(":base"), "{stderr}");
}

fn all(database: &Database, collection: &str) -> Vec<Document> {
    block_on(async {
        let mut cursor = database.collection::<Document>(collection).find(doc! {}).await.unwrap();
        let mut documents = Vec::new();
        while cursor.advance().await.unwrap() {
            documents.push(cursor.deserialize_current().unwrap());
        }
        documents
    })
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}
