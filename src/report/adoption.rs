//! What another tool's records say, and which migration each was matched with: shown by `adopt`.

use mongodb::bson::DateTime;
use serde_json::{Value, json};

use super::text::human_time;
use super::{Report, table};

/// How one of their records was matched with one of our migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    Name,
    Number,
    /// By a number below the one that is recorded.
    Lower,
    /// It was rolled back there.
    Undone,
    /// None of ours is it.
    Nothing,
}

impl Match {
    fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Number => "number",
            Self::Lower => "lower number",
            Self::Undone => "undone",
            Self::Nothing => "nothing",
        }
    }
}

/// One of their records.
pub(crate) struct AdoptedRow {
    pub(crate) theirs: String,
    pub(crate) at: Option<DateTime>,
    /// Our migration's stem.
    pub(crate) ours: Option<String>,
    pub(crate) how: Match,
    pub(crate) is_registered: bool,
}

/// All of their records.
pub(crate) struct Adopting<'a> {
    pub(crate) database: &'a str,
    pub(crate) tool: &'static str,
    pub(crate) collection: &'a str,
    pub(crate) rows: &'a [AdoptedRow],
}

impl Report for Adopting<'_> {
    fn table(&self) -> Vec<Vec<String>> {
        let head = table::head(["THEIRS", "DONE", "OURS", "MATCHED BY"]);
        std::iter::once(head).chain(self.rows.iter().map(cells)).collect()
    }

    fn json(&self) -> Value {
        let records: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "theirs": row.theirs, "at": rfc3339(row), "ours": row.ours, "matched_by": row.how.as_str(),
                    "registered": row.is_registered,
                })
            })
            .collect();
        json!({ "database": self.database, "tool": self.tool, "collection": self.collection, "records": records })
    }
}

fn rfc3339(row: &AdoptedRow) -> Option<String> {
    row.at.and_then(|at| at.try_to_rfc3339_string().ok())
}

fn cells(row: &AdoptedRow) -> Vec<String> {
    let registered = if row.is_registered { " (registered already)" } else { "" };
    vec![
        row.theirs.clone(),
        row.at.map(human_time).unwrap_or_default(),
        row.ours.clone().unwrap_or_default(),
        format!("{}{registered}", row.how.as_str()),
    ]
}
