//! Other machines: the line runs there, or the server is reached through one. A real sshd on a loopback port stands for them.

use std::process::Child;
use std::time::{Duration, Instant};

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::Client;
use cargo_migrations::mongodb::bson::{Document, doc};

use super::support::{
    Line, Sshd, TestDatabase, Workspace, assert_has, block_on, children, command, fixture, places, pty_with, server_uri,
    signal, signal_group,
};

/// The far side: a host that knows its own database.
fn far(database: &TestDatabase, more: &[(&str, &str)]) -> Option<Sshd> {
    let mut variables = vec![("MONGO_URI", server_uri()), ("MONGO_DATABASE", database.name()), ("USER", "far")];
    variables.extend(more);
    Sshd::start(&variables)
}

/// A line on this side, which knows of no server.
fn near(args: &str, sshd: &Sshd) -> Line {
    let line = Line::new(places().path("manager"), places().root()).args(args.split_whitespace());
    line.env("PATH", sshd.path()).env("FAR_HOST", "box").env("FAR_FOLDER", places().root())
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait_for_trace(database: &TestDatabase, did: &str) {
    wait_until(did, || database.trace().iter().any(|trace| trace == did));
}

fn output(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_line_runs_there_as_if_it_ran_here() {
    let database = TestDatabase::new();
    let Some(sshd) = far(&database, &[]) else { return };
    let outcome = near("far execute:1 mytask:a\\,b", &sshd).run().exits(0);
    assert_eq!(outcome.stdout, format!("Some(\"far\") {} Some(\"a,b\")\n", database.name()));
    assert_has(&outcome.stderr, &["Running far on box\n", "Environment far: 127.0.0.1:", "Executed 0001_a in "]);
    // Who ran it is that side's user.
    let entry = &database.documents("migrations")[0];
    assert_eq!(entry.get_str("who").ok(), Some("far"));

    // stdout is that of the other side and nothing else; exit codes are its own.
    let outcome = near("far --format json --check", &sshd).run().exits(4);
    assert_eq!(outcome.json_lines()[0]["unregistered"], 2);
    let outcome = near("far execute --format=json --quiet --wait 5s", &sshd).run().exits(0);
    assert_eq!(outcome.json_lines().last().unwrap()["migrations"], 2);
    near("far execute:1", &sshd).run().exits(2);
    assert_has(&near("far mytask:fail", &sshd).run().exits(1).stderr, &["error: paper jam"]);
    assert_has(&near("far mytask:fail help", &sshd).run().exits(1).stderr, &["error: paper jam"]);
    assert_has(
        &near("cautious rollback:1", &sshd).run().exits(3).stderr,
        &["confirmation is needed, but there is no terminal"],
    );
    near("cautious rollback:1 --yes", &sshd).run().exits(0);
    assert_eq!(database.registered().len(), 2);
    // Nothing hops from there: its own `far` is here.
    sshd.wait_until_idle();
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 8, "{}", sshd.log());
}

#[test]
fn cargo_runs_it_in_a_checkout() {
    let database = TestDatabase::new();
    let home = std::env::var("HOME").unwrap();
    let target = super::support::target();
    let plugin = super::support::plugin();
    let path = format!("{}:{}", plugin.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let more = [
        ("CARGO_BUILD_BUILD_DIR", target.to_str().unwrap()),
        ("CARGO_INCREMENTAL", "0"),
        ("PATH", path.as_str()),
        ("HOME", home.as_str()),
        ("CHECKOUT_MONGO_URI", server_uri()),
    ];
    let Some(sshd) = far(&database, &more) else { return };
    // Away from this checkout, whose own cargo configuration has an alias.
    let checkout = Workspace::new();
    checkout.manager_source(&fixture("places/xtask/src/main.rs"));
    (1..4).for_each(|number| checkout.tracing_migration(&format!("000{number}_x.rs")));
    let line = near("checkout execute --format json --offline", &sshd).env("FAR_FOLDER", checkout.root());
    let outcome = line.run().exits(0);
    assert_eq!(outcome.json_lines().last().unwrap()["migrations"], 3);
    assert_eq!(database.registered().len(), 3);
}

#[test]
fn ctrl_c_reaches_the_other_side() {
    let database = TestDatabase::new();
    let Some(sshd) = far(&database, &[("SLOW_MS", "2000")]) else { return };
    // Once: the migration under way comes to its end there.
    let child = near("far execute", &sshd).spawn();
    wait_for_trace(&database, "slow begins");
    signal_group(&child, "INT");
    let (code, stderr) = output(child);
    assert_eq!(code, 130, "{stderr}");
    assert_has(
        &stderr,
        &["stopping after the migration under way", "Stopped after 2 migrations were executed", "stopped as asked"],
    );
    assert_eq!(stderr.matches("stopping after").count(), 1, "{stderr}");
    assert_eq!(database.registered(), ["0001_a.rs", "0002_slow.rs"]);

    // Twice: it ends at once, and what it was at is interrupted.
    let again = TestDatabase::new();
    let Some(sshd) = far(&again, &[("SLOW_MS", "20000")]) else { return };
    let child = near("far execute", &sshd).spawn();
    wait_for_trace(&again, "slow begins");
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, "TERM");
    let (code, stderr) = output(child);
    assert_eq!(code, 130, "{stderr}");
    sshd.wait_until_idle();
    let outcome = near("far --format json", &sshd);
    let outcome = outcome.run().exits(0);
    assert_eq!(outcome.json()["migrations"][1]["state"], "interrupted");
}

#[test]
fn a_connection_that_is_cut_stops_the_run_after_its_migration() {
    let database = TestDatabase::new();
    let Some(sshd) = far(&database, &[("SLOW_MS", "1500")]) else { return };
    let child = near("far execute", &sshd).spawn();
    wait_for_trace(&database, "slow begins");
    sshd.cut();
    let (code, stderr) = output(child);
    assert_eq!(code, 1, "{stderr}");
    assert_has(&stderr, &["error: the connection to box failed or was lost"]);
    wait_until("the second is registered", || database.registered().len() == 2);
    // The lock was given back there, so no run waits for it.
    wait_until("the lock is free", || near("far execute:3", &sshd).run().stderr.contains("Executed 0003_c"));
    assert_eq!(database.registered().len(), 3);
}

#[test]
fn a_process_that_is_killed_here_leaves_nothing_running_there() {
    let database = TestDatabase::new();
    let Some(sshd) = far(&database, &[("SLOW_MS", "1000")]) else { return };
    let mut child = near("far execute", &sshd).spawn();
    wait_for_trace(&database, "slow begins");
    let ssh = children(child.id());
    assert!(ssh.iter().any(|pid| command(*pid).contains("ssh")), "{ssh:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    sshd.wait_until_idle();
    wait_until("the second is registered", || database.registered().len() == 2);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(database.registered().len(), 2);
}

#[test]
fn questions_and_bars_are_those_of_the_terminal_here() {
    let database = TestDatabase::new();
    let Some(sshd) = far(&database, &[("SLOW_MS", "1000")]) else { return };
    let folder = places().root().to_str().unwrap().to_owned();
    let path = sshd.path();
    let typed = |args: &[&str], answers: &[(&str, &str)]| {
        let variables = [("PATH", path.as_str()), ("FAR_HOST", "box"), ("FAR_FOLDER", folder.as_str())];
        pty_with(&places().path("manager"), places().root(), args, &variables, answers)
    };
    let (screen, code) = typed(&["cautious", "execute"], &[("[y/N]", "n\n")]);
    assert_eq!(code, 3, "{screen}");
    assert_has(&screen, &["Execute 3 migrations on", "(cautious)? [y/N]", "not confirmed"]);
    // What is typed here before the question is shown does not answer it. Without colour it is asked in the same way.
    for color in ["always", "never"] {
        let answers = [("", "y\n"), ("[y/N]", "n\n")];
        let (screen, code) = typed(&["cautious", "execute", "--color", color], &answers);
        assert_eq!(code, 3, "{screen}");
    }
    assert!(database.registered().is_empty());
    let (screen, code) = typed(&["cautious", "execute"], &[("[y/N]", "y\n")]);
    assert_eq!(code, 0, "{screen}");
    // Bars, and colour.
    assert_has(&screen, &["] 1/3: 0002_slow", "\u{1b}[1m\u{1b}[32m", "Finished"]);
    let (screen, code) = typed(&["cautious", "rollback:1"], &[("Type `cautious` to go on:", "cautious\n")]);
    assert_eq!(code, 0, "{screen}");
    assert_eq!(database.registered().len(), 2);
}

#[test]
fn what_ssh_cannot_do_is_told() {
    let database = TestDatabase::new();
    let Some(sshd) = far(&database, &[]) else { return };
    for host in ["-oProxyCommand=touch /tmp/x", "deploy@-x", "a b"] {
        let outcome = near("far execute", &sshd).env("FAR_HOST", host).run().exits(2);
        assert_has(&outcome.stderr, &["has the invalid host name `"]);
    }
    let outcome = near("far execute", &sshd).env("FAR_HOST", "no-such-host.invalid").run().exits(1);
    assert_has(&outcome.stderr, &["failed or was lost", "hint: ", "`ssh no-such-host.invalid` works by itself"]);
    let outcome = near("far execute", &sshd).env("FAR_FOLDER", "/nowhere").run();
    assert_ne!(outcome.code, 0);
    let outcome = near("far execute", &sshd).env("FAR_FOLDER", "/").run().exits(1);
    assert_has(&outcome.stderr, &["there is no manager ./manager on box"]);
    let outcome = near("far execute", &sshd).env("PATH", "/nowhere").run().exits(1);
    assert_has(&outcome.stderr, &["error: `ssh` cannot be started for box\n", "hint: install the OpenSSH client"]);
    let outcome =
        near("inside execute", &sshd).env("FAR_HOST", "no-such-host.invalid").env("INSIDE_MONGO_URI", server_uri());
    let outcome = outcome.env("MONGO_DATABASE", database.name()).run().exits(1);
    assert_has(&outcome.stderr, &["the ssh tunnel through no-such-host.invalid could not be opened"]);
    assert_eq!(database.collections(), [""; 0]);
}

/// A server of its own that wants a password.
struct Hidden {
    server: Throwaway,
    sshd: Sshd,
}

const PASSWORD: &str = "known-only-inside";

impl Hidden {
    fn start() -> Option<Self> {
        let sshd = Sshd::start(&[])?;
        let server = block_on(Throwaway::start(&["--auth"])).unwrap();
        block_on(async {
            // The first user may be made without any, from this machine.
            let client = Client::with_uri_str(format!("{}?directConnection=true", server.uri())).await.unwrap();
            let user = doc! { "createUser": "deploy", "pwd": PASSWORD, "roles": ["root"] };
            client.database("admin").run_command(user).await.unwrap();
        });
        Some(Self { server, sshd })
    }

    /// Through the tunnel.
    fn line(&self, args: &str, database: &str) -> Line {
        let uri = format!("mongodb://deploy:{PASSWORD}@127.0.0.1:{}/?authSource=admin", self.server.port());
        near(args, &self.sshd).env("INSIDE_MONGO_URI", uri).env("MONGO_DATABASE", database)
    }

    fn trace(&self, database: &str) -> Vec<String> {
        block_on(async {
            let uri = format!("mongodb://deploy:{PASSWORD}@127.0.0.1:{}/?authSource=admin", self.server.port());
            let client = Client::with_uri_str(uri).await.unwrap();
            let trace = client.database(database).collection::<Document>("trace");
            let mut cursor = trace.find(doc! {}).await.unwrap();
            let mut did = Vec::new();
            while cursor.advance().await.unwrap() {
                did.push(cursor.deserialize_current().unwrap().get_str("did").unwrap().to_owned());
            }
            did
        })
    }
}

/// Whether a process has a connection to that port, as the kernel reports.
fn is_connected(pid: u32, port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let to_port = |line: &&str| line.split_whitespace().nth(2).is_some_and(|to| to.ends_with(&format!(":{port:04X}")));
    let sockets: Vec<String> =
        table.lines().filter(to_port).map(|line| format!("socket:[{}]", line.split_whitespace().nth(9).unwrap())).collect();
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut open = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    open.any(|file| sockets.contains(&file.to_string_lossy().into_owned()))
}

#[test]
fn a_server_is_reached_through_a_tunnel_which_closes_with_the_line() {
    let Some(hidden) = Hidden::start() else { return };
    let outcome = hidden.line("inside execute -v", "blog").run().exits(0);
    assert_has(
        &outcome.stderr,
        &["(through box), database blog", "Tunnel through box, on 127.0.0.1:", "Finished 3 migrations"],
    );
    assert!(!outcome.stderr.contains(PASSWORD));
    hidden.sshd.wait_until_idle();
    assert_eq!(hidden.trace("blog").len(), 3);
    let port = outcome.stderr.split("on 127.0.0.1:").nth(1).unwrap().lines().next().unwrap();
    assert!(std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err(), "the proxy still listens");
    // The process itself has no connection to the server: they all come out of the tunnel.
    let child = hidden.line("inside execute", "more").env("SLOW_MS", "1500").spawn();
    wait_until("slow begins", || hidden.trace("more").iter().any(|did| did == "slow begins"));
    assert!(!is_connected(child.id(), hidden.server.port()));
    assert!(hidden.sshd.processes().iter().any(|pid| is_connected(*pid, hidden.server.port())));
    assert_eq!(output(child).0, 0);
    // A failing task closes it as well.
    hidden.line("inside mytask:fail", "blog").run().exits(1);
    hidden.sshd.wait_until_idle();
}

#[test]
fn a_tunnel_that_is_cut_ends_the_run_at_once_and_says_so() {
    let Some(hidden) = Hidden::start() else { return };
    let child = hidden.line("inside execute", "blog").env("SLOW_MS", "3000").spawn();
    wait_until("slow begins", || hidden.trace("blog").iter().any(|did| did == "slow begins"));
    let since = Instant::now();
    hidden.sshd.cut();
    let (code, stderr) = output(child);
    assert_eq!(code, 1, "{stderr}");
    assert_has(&stderr, &["error: the ssh tunnel through box was lost"]);
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    // The lock could not be given back, so it expires by itself.
    wait_until("the lock has run out", || {
        let outcome = hidden.line("inside --format json", "blog").run().exits(0);
        outcome.json()["migrations"][1]["state"] == "interrupted"
    });

    // Killed, it leaves no tunnel behind.
    let mut child = hidden.line("inside execute", "other").env("SLOW_MS", "20000").spawn();
    wait_until("slow begins", || hidden.trace("other").iter().any(|did| did == "slow begins"));
    child.kill().unwrap();
    child.wait().unwrap();
    hidden.sshd.wait_until_idle();
}
