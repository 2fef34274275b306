//! Connections: users, TLS, servers that are down, and what is reported about them. Passwords are shown nowhere.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::doc;

use super::support::{Line, Outcome, assert_has, block_on, simple};

const PASSWORD: &str = "p@ss/w:rd-s3cr3t";
const ENCODED: &str = "p%40ss%2Fw%3Ard-s3cr3t";

fn run(variables: &[(&str, &str)]) -> Outcome {
    let mut line = Line::new(simple().path("manager"), simple().root()).args(["execute:1", "rollback:1"]);
    for (name, value) in variables {
        line = line.env(name, value);
    }
    let outcome = line.run();
    for text in [&outcome.stdout, &outcome.stderr] {
        assert!(!text.contains(PASSWORD) && !text.contains(ENCODED), "the password is in: {text}");
        assert!(!text.contains("Error {") && !text.contains("Kind: "), "a driver's dump: {text}");
    }
    outcome
}

/// A server with users: `deploy` in admin, `blog` in the database blog, `reader` without rights to write.
fn with_auth() -> u16 {
    static SERVER: OnceLock<Throwaway> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        block_on(async {
            let server = Throwaway::start(&["--auth"]).await.unwrap();
            let admin = Client::with_uri_str(server.uri()).await.unwrap().database("admin");
            admin.run_command(doc! { "createUser": "root", "pwd": PASSWORD, "roles": ["root"] }).await.unwrap();
            let uri = format!("mongodb://root:{ENCODED}@127.0.0.1:{}/", server.port());
            let client = Client::with_uri_str(uri).await.unwrap();
            for (database, user, role) in [
                ("admin", "deploy", "readWriteAnyDatabase"),
                ("admin", "reader", "readAnyDatabase"),
                ("blog", "blog", "readWrite"),
            ] {
                let command = doc! { "createUser": user, "pwd": PASSWORD, "roles": [role] };
                client.database(database).run_command(command).await.unwrap();
            }
            server
        })
    });
    server.port()
}

#[test]
fn a_scram_user_of_the_uri() {
    let port = with_auth();
    run(&[("MONGO_URI", &format!("mongodb://deploy:{ENCODED}@127.0.0.1:{port}/one?authSource=admin"))]).exits(0);
    run(&[("MONGO_URI", &format!("mongodb://blog:{ENCODED}@127.0.0.1:{port}/two?authSource=blog"))]).exits(1);
    run(&[("MONGO_URI", &format!("mongodb://blog:{ENCODED}@127.0.0.1:{port}/blog"))]).exits(0);
}

#[test]
fn a_user_of_the_parts_is_looked_up_in_the_database_as_in_migopy() {
    let port = with_auth().to_string();
    let parts = |user| {
        run(&[
            ("MONGO_HOST", "127.0.0.1"),
            ("MONGO_PORT", &port),
            ("MONGO_USER", user),
            ("MONGO_USER_PASSWORD", PASSWORD),
            ("MONGO_DATABASE", "blog"),
        ])
    };
    parts("blog").exits(0);
    let outcome = parts("deploy").exits(1);
    assert_has(&outcome.stderr, &["error: could not log in to the server", "authSource"]);
    let outcome =
        run(&[("MONGO_HOST", "127.0.0.1"), ("MONGO_USER_PASSWORD", PASSWORD), ("MONGO_DATABASE", "blog")]).exits(2);
    assert_has(&outcome.stderr, &["a password is configured (MONGO_USER_PASSWORD), but no user"]);
}

#[test]
fn a_wrong_password_is_told_as_that() {
    let port = with_auth();
    let outcome =
        run(&[("MONGO_URI", &format!("mongodb://deploy:wrong-one@127.0.0.1:{port}/blog?authSource=admin"))]).exits(1);
    assert_has(&outcome.stderr, &["error: could not log in to the server", "check the user, its password, and authSource"]);
    assert!(!outcome.stderr.contains("wrong-one"));
}

#[test]
fn a_user_without_rights_is_told_what_is_missing() {
    let port = with_auth();
    let outcome =
        run(&[("MONGO_URI", &format!("mongodb://reader:{ENCODED}@127.0.0.1:{port}/blog?authSource=admin"))]).exits(1);
    assert_has(&outcome.stderr, &["not authorized on blog", "Unauthorized", "readWrite"]);
    let outcome = run(&[("MONGO_URI", &format!("mongodb://127.0.0.1:{port}/blog"))]).exits(1);
    assert_has(&outcome.stderr, &["error: the registry `migrations` could not be read", "requires authentication"]);
}

/// A server that speaks TLS only, and the file of the authority that signed its certificate.
fn with_tls() -> &'static (Throwaway, PathBuf, tempfile::TempDir) {
    static SERVER: OnceLock<(Throwaway, PathBuf, tempfile::TempDir)> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let script = "
set -e
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.crt
cat server.key server.crt > server.pem
";
        let made = Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().unwrap();
        assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        let file = |name: &str| folder.path().join(name).display().to_string();
        let server = block_on(Throwaway::start(&[
            "--tlsMode",
            "requireTLS",
            "--tlsCertificateKeyFile",
            &file("server.pem"),
            "--tlsCAFile",
            &file("ca.pem"),
            "--tlsAllowConnectionsWithoutCertificates",
        ]))
        .unwrap();
        (server, folder.path().join("ca.pem"), folder)
    })
}

#[test]
fn tls_with_a_ca_file() {
    let (server, ca, _) = with_tls();
    let uri = |options: &str| format!("mongodb://127.0.0.1:{}/tls?{options}", server.port());
    run(&[("MONGO_URI", &uri(&format!("tls=true&tlsCAFile={}", ca.display())))]).exits(0);

    let since = Instant::now();
    let outcome = run(&[("MONGO_URI", &uri("tls=true"))]).exits(1);
    assert_has(
        &outcome.stderr,
        &["error: no server could be reached: 127.0.0.1:", "certificate", "check tlsCAFile in MONGO_URI"],
    );
    let outcome = run(&[("MONGO_URI", &uri(""))]).exits(1);
    assert_has(&outcome.stderr, &["error: no server could be reached", "whether it requires TLS"]);
    let outcome = run(&[("MONGO_URI", &uri("tls=true&tlsCAFile=/nowhere/ca.pem"))]).exits(2);
    assert_has(&outcome.stderr, &["error: the TLS settings cannot be used"]);
    assert!(since.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_replica_set_by_its_name() {
    let outcome =
        run(&[("MONGO_URI", &format!("{}&appName=mine", super::support::server_uri())), ("MONGO_DATABASE", "it_by_name")]);
    outcome.exits(0);
    let direct = super::support::server_uri().split('?').next().unwrap();
    let outcome = run(&[("MONGO_URI", &format!("{direct}?replicaSet=another")), ("MONGO_DATABASE", "it_by_name")]).exits(1);
    assert_has(&outcome.stderr, &["answers, but belongs to the replica set", "hint: check replicaSet in MONGO_URI"]);
    let uri = super::support::server_uri();
    block_on(async {
        let client = Client::with_uri_str(uri).await.unwrap();
        client.database("it_by_name").drop().await.unwrap();
    });
}

#[test]
fn a_server_that_is_down_is_told_with_host_and_port_within_seconds() {
    let since = Instant::now();
    let uri = format!("mongodb://deploy:{ENCODED}@127.0.0.1:1/blog");
    let outcome = run(&[("MONGO_URI", &uri)]).exits(1);
    // Five seconds is the promise; the rest is for a busy machine, and far from the driver's own thirty.
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
    assert_eq!(
        outcome.stderr,
        "    Database blog on 127.0.0.1:1\nerror: no server could be reached: 127.0.0.1:1 (connection refused)\n\
         hint: check the host and port in MONGO_URI or MONGO_HOST, that mongod runs there, and the firewall in between\n"
    );
    let since = Instant::now();
    run(&[("MONGO_URI", "mongodb://127.0.0.1:1/blog?serverSelectionTimeoutMS=300")]).exits(1);
    assert!(since.elapsed() < Duration::from_secs(4), "the URI's own time-out counts: {:?}", since.elapsed());
}

#[test]
fn a_host_that_does_not_exist_and_one_that_does_not_speak_mongodb() {
    let outcome = run(&[("MONGO_URI", "mongodb://no-such-host.invalid/blog")]).exits(1);
    assert_has(&outcome.stderr, &["no server could be reached: no-such-host.invalid:27017 (unknown host name)"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            use std::io::Write as _;
            let _ =
                stream.and_then(|mut stream| stream.write_all(b"SSH-2.0-nothing of the kind, for hundreds of bytes\r\n"));
        }
    });
    let outcome = run(&[("MONGO_URI", &format!("mongodb://127.0.0.1:{port}/blog"))]).exits(1);
    assert_has(&outcome.stderr, &["error: no server could be reached: 127.0.0.1:"]);
}

#[test]
fn an_srv_address_needs_a_feature() {
    let outcome = run(&[("MONGO_URI", &format!("mongodb+srv://deploy:{ENCODED}@cluster0.example.invalid/blog"))]).exits(2);
    assert_has(&outcome.stderr, &["error: MONGO_URI is a mongodb+srv:// address", "features = [\"manager\", \"srv\"]"]);
}

#[test]
fn what_is_not_configured_is_asked_for_by_name() {
    let outcome = run(&[]).exits(2);
    assert_has(&outcome.stderr, &["error: no MongoDB server is configured\nhint: set MONGO_URI"]);
    let outcome = run(&[("MONGO_URI", super::support::server_uri())]).exits(2);
    assert_has(&outcome.stderr, &["error: no database is configured\nhint: set MONGO_DATABASE"]);
    let outcome = run(&[("MONGO_URI", super::support::server_uri()), ("MONGO_DATABASE", "a.b")]).exits(2);
    assert_has(&outcome.stderr, &["error: `a.b` is not a valid database name"]);
    let outcome = run(&[("MONGO_HOST", "localhost"), ("MONGO_PORT", "many")]).exits(2);
    assert_has(&outcome.stderr, &["error: MONGO_PORT is `many`, which is not a port number"]);
    let outcome = run(&[("MONGO_URI", "mongodb://deploy:p@ss/w:rd-s3cr3t@db-1/blog")]).exits(2);
    assert_has(&outcome.stderr, &["percent-encode"]);
}

#[test]
fn no_password_in_what_user_code_returns_either() {
    let outcome = super::support::blog().line(["leak"]).run().exits(1);
    assert_eq!(outcome.stderr, "error: cannot reach mongodb://***@db-1/blog\n");
}

#[test]
fn no_password_in_any_argument_list() {
    let port = with_auth();
    let uri = format!("mongodb://deploy:{ENCODED}@127.0.0.1:{port}/args?authSource=admin");
    let mut child = super::support::blog().line(["execute:6"]).env("MONGO_URI", uri).env("SLOW_MS", "1500").spawn();
    let mut seen = false;
    while child.try_wait().unwrap().is_none() {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            if let Ok(arguments) = std::fs::read(entry.path().join("cmdline")) {
                let text = String::from_utf8_lossy(&arguments).into_owned();
                assert!(!text.contains(ENCODED) && !text.contains(PASSWORD), "{text}");
                seen |= text.contains("xtask-it-blog\0execute:6");
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(seen, "the manager was seen at work");
    assert!(child.wait().unwrap().success());
}
