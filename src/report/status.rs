//! Where each migration stands: the result of `show_status`.

use std::time::Duration;

use anstyle::AnsiColor;
use mongodb::bson::DateTime;
use serde_json::{Value, json};

use super::text::human_time;
use super::{Report, Said, human_duration, migrations, table};
use crate::error::Remark;
use crate::line::program::{is_deployed, program};
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
        // Names begin with their number, unless migrations were made by hand. It need not be there twice.
        if self.rows.iter().all(|row| row.name.starts_with(row.number)) {
            for line in &mut lines {
                line.remove(0);
            }
        }
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
        let (unregistered, missing) = (count(State::Unregistered), count(State::Missing));
        if self.rows.is_empty() {
            let remark = Remark::new(format!("no migrations yet on {database}"));
            // A migration is written where the sources are.
            return if is_deployed() {
                remark
            } else {
                remark.with_hint(format!("write the first one with `{} new:NAME`", program()))
            };
        }
        let message = if open == 0 && missing == 0 {
            format!("all migrations are registered on {database}: nothing to execute")
        } else if open == 0 {
            format!("{} missing on {database}, and nothing to execute", migrations(missing))
        } else if open == unregistered && missing == 0 {
            format!("{} unregistered on {database}", migrations(open))
        } else {
            let (failed, interrupted) = (count(State::Failed), count(State::Interrupted));
            let counts =
                [(unregistered, "unregistered"), (failed, "failed"), (interrupted, "interrupted"), (missing, "missing")];
            let parts = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, state)| format!("{count} {state}"));
            format!("{} on {database}", parts.collect::<Vec<_>>().join(", "))
        };
        let remark = Remark::new(message);
        if open == 0 || open != unregistered {
            return remark;
        }
        let them = if open == 1 { "it" } else { "them" };
        remark.with_hint(format!("run {them} with `{} execute`", program()))
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
        row.registered_at.map(human_time).unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State) -> Row<'static> {
        Row {
            name: "1_a.rs",
            number: "1",
            state,
            registered_at: None,
            duration: None,
            description: None,
            is_changed: false,
            is_out_of_order: false,
            is_under_way: false,
        }
    }

    fn summary(states: &[State]) -> (String, Option<String>) {
        let rows = states.iter().map(|state| row(*state)).collect();
        let Remark { message, hint } =
            Status { database: "blog", rows, remarks: Vec::new(), at_work: None, fails_check: false }.summary();
        (message, hint)
    }

    fn table(rows: Vec<Row<'_>>) -> String {
        let status = Status { database: "blog", rows, remarks: Vec::new(), at_work: None, fails_check: false };
        anstream::adapter::strip_str(&crate::report::columns(&status.table(), Some(80))).to_string()
    }

    #[test]
    fn the_number_has_a_column_only_if_a_name_does_not_begin_with_it() {
        assert_eq!(table(vec![row(State::Missing)]), "NAME  STATE    WHEN  TOOK  DESCRIPTION\n1_a   missing\n");
        let by_hand = Row { name: "first", ..row(State::Missing) };
        let both = "NUMBER  NAME   STATE    WHEN  TOOK  DESCRIPTION\n1       1_a    missing\n1       first  missing\n";
        assert_eq!(table(vec![row(State::Missing), by_hand]), both);
    }

    #[test]
    fn the_table_of_a_usual_project_fits_eighty_columns() {
        let registered = Row {
            name: "0001_create_users.rs",
            number: "0001",
            registered_at: Some(DateTime::from_millis(0)),
            duration: Some(Duration::from_millis(50)),
            description: Some("Creates the collection of users, and its indexes"),
            ..row(State::Registered)
        };
        let table = table(vec![registered, row(State::Unregistered)]);
        assert!(table.contains("0001_create_users  registered    1970-01-01 00:00:00Z  0.05s  Creates the coll"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    }

    #[test]
    fn the_summary_counts_what_is_not_as_it_should_be() {
        use State::{Failed, Ignored, Missing, Registered, Unregistered};
        let cases: [(&[State], &str, Option<&str>); 6] = [
            (&[Registered, Ignored], "all migrations are registered on blog: nothing to execute", None),
            (&[Missing, Missing], "2 migrations missing on blog, and nothing to execute", None),
            (&[Registered, Missing], "1 migration missing on blog, and nothing to execute", None),
            (
                &[Unregistered, Registered],
                "1 migration unregistered on blog",
                Some("run it with `cargo migrations execute`"),
            ),
            (
                &[Unregistered, Unregistered, Missing],
                "2 unregistered, 1 missing on blog",
                Some("run them with `cargo migrations execute`"),
            ),
            (&[Unregistered, Failed, Missing], "1 unregistered, 1 failed, 1 missing on blog", None),
        ];
        for (states, message, hint) in cases {
            assert_eq!(summary(states), (message.to_owned(), hint.map(str::to_owned)));
        }
    }
}
