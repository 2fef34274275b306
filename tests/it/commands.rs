//! Every command that is sent to the server, as the driver's command events report them (`-vv`), and the round trips that a proxy
//! counts: more than listed here fails.

use std::collections::BTreeMap;

use cargo_migrations::mongodb::bson::Document;
use cargo_migrations::prelude::*;
use cargo_migrations::{Embedded, Migration, Runner};

use super::support::{Line, Proxy, TestDatabase, block_on, faulty_server, simple};

type Counts = BTreeMap<String, usize>;

fn counts<'n>(names: impl Iterator<Item = &'n str>) -> Counts {
    let mut counts = Counts::new();
    names.for_each(|name| *counts.entry(name.to_owned()).or_default() += 1);
    counts
}

/// What a line sends, and in how many round trips.
fn sent(args: &str, database: &TestDatabase, proxy: &Proxy) -> (Counts, usize) {
    let before = proxy.round_trips();
    let line = Line::new(simple().path("manager"), simple().root()).args(args.split_whitespace()).args(["-vv"]);
    let stderr = line.on(database).env("MONGO_URI", proxy.uri()).run().exits(0).stderr;
    let names = stderr.lines().filter_map(|line| line.trim_start().strip_prefix("Command ")?.split(' ').next());
    (counts(names), proxy.round_trips() - before)
}

fn on_proxy() -> (TestDatabase, Proxy) {
    let server = faulty_server();
    (TestDatabase::on(&server.uri()), Proxy::start(server.port()))
}

fn expected(table: &[(&str, usize)]) -> Counts {
    table.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn status_is_one_command_whatever_there_is() {
    let (database, proxy) = on_proxy();
    let one = (expected(&[("aggregate", 1)]), 1);
    assert_eq!(sent("show_status", &database, &proxy), one);
    sent("execute", &database, &proxy);
    assert_eq!(sent("show_status", &database, &proxy), one);
}

/// What a part of a run sends, and in how many round trips: one command after the other.
struct Part {
    commands: &'static [(&'static str, usize)],
    round_trips: usize,
}

/// What a run costs, however many migrations there are: what there is to do, and the transaction that takes the lock, raises the
/// fence, and begins.
const A_RUN: Part =
    Part { commands: &[("aggregate", 1), ("update", 1), ("insert", 1), ("commitTransaction", 1)], round_trips: 4 };

/// What the first run ever on a database costs: the lock's documents are laid, the lock is taken, the fence is raised; what there is to
/// do is read before the lock, and under it; registry and log get their indexes; the run begins.
const THE_FIRST: Part = Part {
    commands: &[
        ("aggregate", 3),
        ("findAndModify", 2),
        ("find", 2),
        ("createIndexes", 2),
        ("insert", 2),
        ("update", 2),
        ("commitTransaction", 1),
    ],
    round_trips: 14,
};

/// What a migration costs: one transaction, of which the commit is durable. The log's events, the fence, and the registry's document
/// are in it. The last one releases the lock too.
const A_MIGRATION: Part = Part { commands: &[("insert", 1), ("update", 2), ("commitTransaction", 1)], round_trips: 4 };

/// What each of the fixture's migrations sends.
const ITS_OWN: Part = Part { commands: &[("insert", 1)], round_trips: 1 };

fn sum(parts: &[(usize, &Part)]) -> (Counts, usize) {
    let mut all = (Counts::new(), 0);
    for (times, part) in parts {
        part.commands.iter().for_each(|(name, count)| *all.0.entry((*name).to_owned()).or_default() += count * times);
        all.1 += part.round_trips * times;
    }
    all
}

#[test]
fn a_migration_costs_one_durable_round_trip_beside_its_own() {
    let (database, proxy) = on_proxy();
    let first = sum(&[(1, &THE_FIRST), (1, &A_MIGRATION), (1, &ITS_OWN)]);
    assert_eq!(sent("execute:1", &database, &proxy), first);
    let one = sum(&[(1, &A_RUN), (1, &A_MIGRATION), (1, &ITS_OWN)]);
    assert_eq!(sent("execute:2", &database, &proxy), one);
    assert_eq!(one.1, 8 + ITS_OWN.round_trips);
    assert_eq!(sent("rollback:2", &database, &proxy).1, one.1);
    let two = sum(&[(1, &A_RUN), (2, &A_MIGRATION), (2, &ITS_OWN)]);
    assert_eq!(sent("execute", &database, &proxy), two);
    assert_eq!(sent("execute", &database, &proxy), (expected(&[("aggregate", 1)]), 1), "nothing to do");
}

#[test]
fn a_thousand_migrations_cost_a_thousand_times_as_much_and_no_more() {
    const COUNT: usize = 1000;
    let (database, proxy) = on_proxy();
    let migrations = (1..=COUNT)
        .map(|number| Migration::new(format!("{number:04}_x.rs"), async |_: &Db| Result::<()>::Ok(())).with_checksum("0"));
    let config = Config::new().mongo_uri(proxy.uri()).mongo_database(database.name());
    let executed = block_on(Runner::new(config, Embedded::from_migrations(migrations)).execute()).unwrap();
    assert_eq!(executed.len(), COUNT);
    let commands = proxy.commands();
    let name = |command: &Document| command.keys().next().cloned().unwrap_or_default();
    let names: Vec<String> = commands.iter().map(name).filter(|name| name != "hello" && name != "isMaster").collect();
    let mut seen = counts(names.iter().map(String::as_str));
    // The runner itself looks before and after, and then there is more than one batch. While it runs, the lock is renewed now
    // and then.
    *seen.get_mut("aggregate").unwrap() -= 2;
    assert!(seen.remove("getMore").unwrap_or_default() <= 3);
    // Such a long run has three clients: its own, the lock's, and that which asks whether a majority confirms what is written. Each
    // ends its sessions when it goes, if there is still time for it.
    let ended = seen.remove("endSessions").unwrap_or_default();
    assert!(ended <= 3, "endSessions: {ended}");
    let (mut most, _) = sum(&[(1, &THE_FIRST), (COUNT, &A_MIGRATION)]);
    let renewals = 30;
    *most.get_mut("update").unwrap() += renewals;
    for (name, count) in &seen {
        assert!(most.get(name).is_some_and(|most| count <= most), "{name}: {count}, in {seen:?}; at most {most:?}");
    }
}
