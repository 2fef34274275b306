//! Reads what is stored in the database and in the witness, and asserts the guarantees. It depends neither on the tool's code nor
//! on its output.

use std::collections::{BTreeMap, BTreeSet};

use cargo_migrations::mongodb::bson::Document;

use super::crash::{Scene, is_rerun_safe, is_transactional};

/// The state of a migration as the checker derives it from what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    Registered,
    Unregistered,
    Failed,
    Interrupted,
    /// Its `up` was interrupted, and may run again.
    RunsAgain,
}

/// Checks the invariants that hold at any time, and returns the state of each migration.
#[track_caller]
pub(crate) fn check(scene: &Scene) -> BTreeMap<String, Truth> {
    let registry = scene.database.documents("migrations");
    let mut log = scene.database.documents("migrations_log");
    log.sort_by_key(|event| (event.get_i64("fence").expect("a fence"), event.get_i64("seq").expect("a seq")));
    check_lock(scene, &log);
    check_log(&log);

    let mut registered = BTreeSet::new();
    for entry in &registry {
        let name = text(entry, "name").trim_end_matches(".rs").to_owned();
        assert!(registered.insert(name.clone()), "{name} is registered twice: {registry:?}");
    }
    let effects: BTreeMap<String, i32> = scene
        .database
        .documents("effects")
        .iter()
        .map(|effect| (text(effect, "_id").to_owned(), effect.get_i32("times").expect("a count")))
        .collect();

    let stems: BTreeSet<String> = log
        .iter()
        .filter_map(|event| event.get_str("name").ok())
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect();
    let mut truths = BTreeMap::new();
    for stem in &stems {
        let number = stem.split('_').next().expect("a number");
        let events: Vec<&Document> =
            log.iter().filter(|event| event.get_str("name").ok() == Some(&*format!("{stem}.rs"))).collect();
        let is_registered = registered.contains(stem);
        // Registered without running.
        let ignored = registry.iter().any(|entry| {
            text(entry, "name") == format!("{stem}.rs")
                && (text(entry, "state") == "ignored" || entry.contains_key("adopted_from"))
        });
        never_up_while_registered(stem, &events);
        if is_transactional(stem) {
            // Its effect and its registration are one transaction.
            let times = effects.get(number).copied().unwrap_or_default();
            assert_eq!(times, i32::from(is_registered && !ignored), "the effect of {stem}, registered: {is_registered}");
        } else if is_registered {
            let ran = scene.witnessed(&format!("end up {number}"));
            assert!(ran > 0 || ignored, "{stem} is registered, but never ran to its end");
        }
        let last = events.last().expect("an event");
        let truth = match truth(is_registered, last) {
            Truth::Interrupted if is_rerun_safe(stem) && !is_registered && text(last, "direction") == "up" => {
                Truth::RunsAgain
            }
            truth => truth,
        };
        truths.insert(stem.clone(), truth);
    }
    // A migration that is not in the log has not begun.
    for line in scene.witness() {
        let number = line.rsplit(' ').next().expect("a number");
        assert!(stems.iter().any(|stem| stem.starts_with(number)), "`{line}`, but it is not in the log");
    }
    truths
}

fn check_lock(scene: &Scene, log: &[Document]) {
    let lock = scene.database.documents("migrations_lock");
    if lock.is_empty() {
        assert!(log.is_empty(), "a log without a lock");
        return;
    }
    let ids: BTreeSet<&str> = lock.iter().map(|document| text(document, "_id")).collect();
    assert_eq!(ids, BTreeSet::from(["fence", "lease"]), "the lock is two documents");
    let fence = lock.iter().find(|document| text(document, "_id") == "fence").expect("checked above");
    let number = fence.get_i64("number").expect("a number");
    for event in log {
        assert!(event.get_i64("fence").expect("a fence") <= number, "written above the fence: {event}");
    }
}

/// Every end has a start in the same run. Each run has one fence number, and each number belongs to one run.
fn check_log(log: &[Document]) {
    let mut places = BTreeSet::new();
    let mut runs: BTreeMap<i64, &str> = BTreeMap::new();
    for (index, event) in log.iter().enumerate() {
        let place = (event.get_i64("fence").expect("a fence"), event.get_i64("seq").expect("a seq"));
        assert!(places.insert(place), "two events in one place: {event}");
        let run = text(event, "run");
        assert_eq!(*runs.entry(place.0).or_insert(run), run, "two runs with one number");
        let start = match text(event, "event") {
            "run_ended" => "run_started",
            "migration_ended" => "migration_started",
            _ => continue,
        };
        let has_start = log[..index].iter().any(|other| {
            text(other, "event") == start && text(other, "run") == run && other.get("name") == event.get("name")
        });
        assert!(has_start, "an end without a start: {event}");
    }
}

/// Between the successful end of an `up` and the next `down`, no `up` begins.
fn never_up_while_registered(stem: &str, events: &[&Document]) {
    let mut is_up = false;
    for event in events {
        match (text(event, "event"), text(event, "direction"), event.get_str("outcome").ok()) {
            ("migration_started", "up", _) => assert!(!is_up, "{stem} is run again: {events:#?}"),
            ("migration_ended", "up" | "ignore" | "adopt", Some("done")) => is_up = true,
            (_, "down", _) => is_up = false,
            _ => {}
        }
    }
}

fn truth(is_registered: bool, last: &Document) -> Truth {
    let is_end = text(last, "event") == "migration_ended";
    let down = text(last, "direction") == "down";
    let was_registered = last.get_bool("was_registered").expect("a bool");
    match (is_registered, is_end) {
        // The last step of an `up` registers the migration, and that of a `down` unregisters it. So the registry shows how a
        // migration ended whose end is not in the log. A transaction that was killed has undone nothing.
        (true, false) if down && last.get_bool("transactional").ok() == Some(true) => Truth::Registered,
        (true, false) if down || was_registered => Truth::Interrupted,
        (true, _) => Truth::Registered,
        (false, true) if last.get_str("outcome").ok() == Some("failed") => Truth::Failed,
        (false, true) => Truth::Unregistered,
        (false, false) if down && was_registered => Truth::Unregistered,
        (false, false) if ["ignore", "adopt"].contains(&text(last, "direction")) => Truth::Unregistered,
        (false, false) => Truth::Interrupted,
    }
}

fn text<'d>(document: &'d Document, key: &str) -> &'d str {
    document.get_str(key).unwrap_or_else(|_| panic!("no {key} in {document}"))
}
