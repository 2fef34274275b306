//! What a task would do: the result of `plan`.

use anstyle::AnsiColor;
use serde_json::{Value, json};

use super::tally::verb;
use super::{Report, Said, table};
use crate::error::Remark;
use crate::model::file_name::stem;
use crate::model::{Direction, State};

/// What a task would do on a database.
pub(crate) struct Planned<'a> {
    pub(crate) database: &'a str,
    /// In order.
    pub(crate) steps: Vec<PlannedStep<'a>>,
    /// What a person should know before, who has the lock, and why the task would be refused.
    pub(crate) warnings: Vec<Remark>,
    /// `None` if the task would be refused.
    pub(crate) summary: Option<String>,
}

/// What would be done with one migration.
#[derive(Debug)]
pub(crate) struct PlannedStep<'a> {
    pub(crate) name: &'a str,
    pub(crate) direction: Direction,
    pub(crate) description: Option<&'a str>,
    pub(crate) is_transactional: bool,
    /// Its state before.
    pub(crate) state: State,
    /// Its file was edited after it was registered.
    pub(crate) is_changed: bool,
    /// It would run although one with a higher number is registered.
    pub(crate) is_out_of_order: bool,
}

impl Report for Planned<'_> {
    fn table(&self) -> Vec<Vec<String>> {
        let mut lines = vec![table::head(["STEP", "NAME", "STATE", "TRANSACTION", "REHEARSED", "DESCRIPTION"])];
        lines.extend(self.steps.iter().map(cells));
        lines
    }

    fn json(&self) -> Value {
        let step = |step: &PlannedStep<'_>| {
            json!({
                "name": step.name,
                "direction": step.direction.as_str(),
                "description": step.description,
                "transactional": step.is_transactional,
                "state": step.state.as_str(),
                // The verdict of the last rehearsal of this checksum.
                "rehearsed": null,
            })
        };
        let steps: Vec<Value> = self.steps.iter().map(step).collect();
        let warnings: Vec<&str> = self.warnings.iter().map(|warning| warning.message.as_str()).collect();
        json!({ "database": self.database, "steps": steps, "warnings": warnings })
    }

    fn say(&self, say: &mut dyn FnMut(Said<'_>)) {
        for warning in &self.warnings {
            say(warning.into());
        }
        if let Some(summary) = &self.summary {
            say(Said::Status { verb: "Plan", message: summary });
        }
    }
}

fn cells(step: &PlannedStep<'_>) -> Vec<String> {
    let color = match step.direction {
        Direction::Up => AnsiColor::Green.on_default(),
        Direction::Down => AnsiColor::Red.on_default(),
        Direction::Ignore | Direction::Accept | Direction::Adopt | Direction::Forget => AnsiColor::Cyan.on_default(),
    };
    let state = [
        step.state.as_str(),
        if step.is_changed { " (changed)" } else { "" },
        if step.is_out_of_order { " (out of order)" } else { "" },
    ];
    vec![
        format!("{color}{}{color:#}", verb(step.direction).plain),
        stem(step.name).to_owned(),
        state.concat(),
        if step.is_transactional { "yes" } else { "no" }.to_owned(),
        "-".to_owned(),
        step.description.unwrap_or_default().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_the_contracts() {
        let step = PlannedStep {
            name: "0002_b.rs",
            direction: Direction::Down,
            description: None,
            is_transactional: true,
            state: State::Registered,
            is_changed: true,
            is_out_of_order: false,
        };
        let warnings = vec![Remark::new("it is odd").with_hint("look at it")];
        let planned = Planned { database: "blog", steps: vec![step], warnings, summary: None };
        let expected = json!({
            "database": "blog",
            "steps": [{
                "name": "0002_b.rs", "direction": "down", "description": null, "transactional": true, "state": "registered",
                "rehearsed": null,
            }],
            "warnings": ["it is odd"],
        });
        assert_eq!(planned.json(), expected);
        let table = anstream::adapter::strip_str(&crate::report::columns(&planned.table(), None)).to_string();
        assert_eq!(
            table,
            "STEP       NAME    STATE                 TRANSACTION  REHEARSED  DESCRIPTION\n\
             roll back  0002_b  registered (changed)  yes          -\n"
        );
    }
}
