//! Where each migration stands: the result of `show_status`.

use std::time::Duration;

use anstyle::AnsiColor;
use mongodb::bson::DateTime;
use serde_json::{Value, json};

use super::text::short_time;
use super::{Report, Said, human_duration, migrations, table};
use crate::error::Remark;
use crate::model::State;
use crate::model::file_name::stem;

/// Where one migration stands.
#[derive(Debug, PartialEq)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) number: &'a str,
    pub(crate) state: State,
    pub(crate) registered_at: Option<DateTime>,
    pub(crate) duration: Option<Duration>,
    pub(crate) description: Option<&'a str>,
    /// Its file was edited after it was registered.
    pub(crate) is_changed: bool,
    /// It is not registered, and one with a higher number is.
    pub(crate) is_out_of_order: bool,
    /// A run is working on it now.
    pub(crate) is_under_way: bool,
}

/// Where a database's migrations stand.
pub(crate) struct Status<'a> {
    pub(crate) database: &'a str,
    pub(crate) rows: Vec<Row<'a>>,
    /// What a person should know in addition to the states.
    pub(crate) remarks: Vec<Remark>,
    /// The run that has the lock now.
    pub(crate) at_work: Option<String>,
    /// An error follows, and has the hint.
    pub(crate) fails_check: bool,
}

impl Report for Status<'_> {
    fn table(&self) -> Vec<Vec<String>> {
        let mut lines = vec![table::head(["NUMBER", "NAME", "STATE", "WHEN", "TOOK", "DESCRIPTION"])];
        lines.extend(self.rows.iter().map(cells));
        lines
    }

    fn json(&self) -> Value {
        let unregistered = self.rows.iter().filter(|row| row.state.is_open()).count();
        let migrations: Vec<Value> = self.rows.iter().map(row_json).collect();
        json!({ "database": self.database, "migrations": migrations, "unregistered": unregistered })
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        for remark in &self.remarks {
            say(remark.into());
        }
        if let Some(at_work) = &self.at_work {
            say(Said::Status { verb: "Running", message: at_work });
        }
        let summary = self.summary();
        say(Said::Status { verb: "Status", message: &summary.message });
        if let Some(hint) = summary.hint.as_ref().filter(|_| !self.fails_check) {
            say(Said::Hint(hint));
        }
    }
}

impl Status<'_> {
    /// `2 unregistered, 1 failed on DATABASE`
    fn summary(&self) -> Remark {
        let database = self.database;
        let count = |state| self.rows.iter().filter(|row| row.state == state).count();
        let open = self.rows.iter().filter(|row| row.state.is_open()).count();
        let (unregistered, failed, interrupted) =
            (count(State::Unregistered), count(State::Failed), count(State::Interrupted));
        if self.rows.is_empty() {
            return Remark::new(format!("no migrations yet on {database}"))
                .with_hint("write the first one with `cargo migrations new:NAME`");
        }
        if open == 0 {
            return Remark::new(format!("all migrations are registered on {database}: nothing to execute"));
        }
        if open == unregistered {
            let them = if open == 1 { "it" } else { "them" };
            return Remark::new(format!("{} unregistered on {database}", migrations(open)))
                .with_hint(format!("run {them} with `cargo migrations execute`"));
        }
        let parts: Vec<String> = [(unregistered, "unregistered"), (failed, "failed"), (interrupted, "interrupted")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, state)| format!("{count} {state}"))
            .collect();
        Remark::new(format!("{} on {database}", parts.join(", ")))
    }
}

fn cells(row: &Row<'_>) -> Vec<String> {
    let color = match row.state {
        State::Registered => AnsiColor::Green.on_default(),
        State::Ignored => AnsiColor::Cyan.on_default(),
        State::Unregistered | State::Failed | State::Interrupted => AnsiColor::Red.on_default(),
        State::Missing => AnsiColor::Yellow.on_default(),
    };
    vec![
        row.number.to_owned(),
        stem(row.name).to_owned(),
        format!("{color}{}{color:#}{}", row.state.as_str(), addition(row)),
        row.registered_at.and_then(|at| at.try_to_rfc3339_string().ok()).map(|at| short_time(&at)).unwrap_or_default(),
        row.duration.map(human_duration).unwrap_or_default(),
        row.description.unwrap_or_default().to_owned(),
    ]
}

/// What the table adds to a state.
fn addition(row: &Row<'_>) -> &'static str {
    match row {
        Row { is_under_way: true, .. } => " (running)",
        Row { is_changed: true, .. } => " (changed)",
        Row { is_out_of_order: true, .. } => " (out of order)",
        _ => "",
    }
}

fn row_json(row: &Row<'_>) -> Value {
    let mut value = json!({
        "name": row.name,
        "number": row.number,
        "state": row.state.as_str(),
        "registered_at": row.registered_at.map(DateTime::try_to_rfc3339_string).and_then(Result::ok),
        "description": row.description,
    });
    // These are present only if they are true.
    for (key, is) in [("changed", row.is_changed), ("out_of_order", row.is_out_of_order), ("running", row.is_under_way)] {
        if is {
            value[key] = true.into();
        }
    }
    value
}
