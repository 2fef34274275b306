//! The list of dumps, as a table and as JSON.

use std::time::Duration;

use anstyle::Style;
use mongodb::bson::DateTime;
use serde_json::{Value, json};

use super::{ago, human_bytes};
use crate::dump::Dump;

/// The table's rows, its head first.
pub(super) fn rows(dumps: &[Dump]) -> Vec<Vec<String>> {
    let bold = Style::new().bold();
    let head = ["NAME", "DATABASE", "AGE", "SIZE", "DOCUMENTS", "REGISTERED", "REMARK"];
    let mut rows = vec![head.map(|title| format!("{bold}{title}{bold:#}")).to_vec()];
    rows.extend(dumps.iter().map(|dump| {
        let size = human_bytes(dump.size());
        match &dump.manifest {
            Some(manifest) => vec![
                dump.name.clone(),
                manifest.database.clone(),
                age(&manifest.taken_at).map(ago).unwrap_or_default(),
                size,
                manifest.documents().to_string(),
                manifest.registered.len().to_string(),
                if manifest.is_consistent { String::new() } else { "not of one point in time".into() },
            ],
            None => {
                let unknown = String::new;
                let remark = if dump.broken.is_some() { "its manifest cannot be read" } else { "no manifest" };
                vec![dump.name.clone(), unknown(), unknown(), size, unknown(), unknown(), remark.into()]
            }
        }
    }));
    rows
}

pub(super) fn json(dumps: &[Dump]) -> Value {
    let dumps: Vec<Value> = dumps
        .iter()
        .map(|dump| {
            let manifest = dump.manifest.as_ref();
            json!({
                "name": dump.name,
                "path": dump.path,
                "bytes": dump.size(),
                "database": manifest.map(|manifest| &manifest.database),
                "taken_at": manifest.map(|manifest| &manifest.taken_at),
                "documents": manifest.map(|manifest| manifest.documents()),
                "consistent": manifest.map(|manifest| manifest.is_consistent),
                "registered": manifest.map(|manifest| &manifest.registered),
            })
        })
        .collect();
    json!({ "dumps": dumps })
}

fn age(taken_at: &str) -> Option<Duration> {
    let taken = DateTime::parse_rfc3339_str(taken_at).ok()?;
    let age = DateTime::now().timestamp_millis() - taken.timestamp_millis();
    Some(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
}
