//! Every command that is sent to the server, as the driver's command events report them (`-vv`): more than listed here fails.

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

/// What a line sends.
fn sent(args: &str, database: &TestDatabase) -> Counts {
    let line = Line::new(simple().path("manager"), simple().root()).args(args.split_whitespace()).args(["-vv"]);
    let stderr = line.on(database).run().exits(0).stderr;
    let names = stderr.lines().filter_map(|line| line.trim_start().strip_prefix("Command ")?.split(' ').next());
    counts(names)
}

fn expected(table: &[(&str, usize)]) -> Counts {
    table.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn status_is_one_command_whatever_there_is() {
    let database = TestDatabase::new();
    let one = expected(&[("aggregate", 1)]);
    assert_eq!(sent("show_status", &database), one);
    sent("execute", &database);
    assert_eq!(sent("show_status", &database), one);
}

/// What a run costs, however many migrations there are.
const A_RUN: [(&str, usize); 4] = [
    // What there is to do: before the lock, and under it.
    ("aggregate", 2),
    // The lock is taken.
    ("findAndModify", 1),
    // The names are unique.
    ("createIndexes", 1),
    // The fence is raised, the lock given back.
    ("update", 2),
];

/// What the first run ever on a database costs beyond that: the lock's documents are laid, the log gets its index.
const THE_FIRST: [(&str, usize); 5] =
    [("aggregate", 1), ("createIndexes", 1), ("find", 2), ("findAndModify", 1), ("insert", 1)];

/// The run's beginning, and then each migration: one transaction, of which the commit is durable. The log's events, the fence,
/// and the registry's document are in it.
fn of_migrations(count: usize) -> Counts {
    expected(&[("insert", 1 + count), ("update", 1 + 2 * count), ("commitTransaction", 1 + count)])
}

fn sum(parts: &[Counts]) -> Counts {
    let mut all = Counts::new();
    for (name, count) in parts.iter().flatten() {
        *all.entry(name.clone()).or_default() += count;
    }
    all
}

#[test]
fn a_migration_costs_one_durable_round_trip_beside_its_own() {
    let database = TestDatabase::new();
    // Each of these migrations inserts one document of its own.
    let own = |count: usize| expected(&[("insert", count)]);
    let first = sum(&[expected(&A_RUN), expected(&THE_FIRST), of_migrations(1), own(1)]);
    assert_eq!(sent("execute:1", &database), first);
    let more = sum(&[expected(&A_RUN), of_migrations(2), own(2)]);
    assert_eq!(sent("execute", &database), more);
    assert_eq!(sent("execute", &database), expected(&[("aggregate", 1)]), "nothing to do");
}

#[test]
fn a_thousand_migrations_cost_a_thousand_times_as_much_and_no_more() {
    const COUNT: usize = 1000;
    let server = faulty_server();
    let proxy = Proxy::start(server.port());
    let database = TestDatabase::on(&server.uri());
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
    let mut most = sum(&[expected(&A_RUN), expected(&THE_FIRST), of_migrations(COUNT)]);
    let renewals = 30;
    *most.get_mut("update").unwrap() += renewals;
    for (name, count) in &seen {
        assert!(most.get(name).is_some_and(|most| count <= most), "{name}: {count}, in {seen:?}; at most {most:?}");
    }
}
