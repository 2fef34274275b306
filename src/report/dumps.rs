//! The dumps in a folder: the result of `dumps`.

use std::path::PathBuf;
use std::time::Duration;

use mongodb::bson::DateTime;
use serde_json::{Value, json};

use super::{Report, ago, human_bytes, table};
use crate::line::words::shortened;

/// The dumps in a folder, oldest first.
pub(crate) struct Dumps {
    pub(crate) rows: Vec<DumpRow>,
}

/// One dump.
pub(crate) struct DumpRow {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// How much of the disk it takes, in bytes.
    pub(crate) bytes: u64,
    pub(crate) manifest: ManifestOf,
}

/// What a dump's manifest says.
pub(crate) enum ManifestOf {
    /// There is none, as in a dump of mongodump's.
    Missing,
    Unreadable,
    Read {
        database: String,
        /// RFC 3339.
        taken_at: String,
        documents: u64,
        is_consistent: bool,
        /// The collections that it was limited to.
        only: Option<Vec<String>>,
        /// The collections that were left out.
        except: Option<Vec<String>>,
        registered: Vec<String>,
    },
}

impl Report for Dumps {
    fn table(&self) -> Vec<Vec<String>> {
        let head = table::head(["NAME", "DATABASE", "AGE", "SIZE", "DOCUMENTS", "REGISTERED", "REMARK"]);
        std::iter::once(head).chain(self.rows.iter().map(cells)).collect()
    }

    fn json(&self) -> Value {
        json!({ "dumps": self.rows.iter().map(row_json).collect::<Vec<_>>() })
    }
}

fn cells(row: &DumpRow) -> Vec<String> {
    let (name, size) = (row.name.clone(), human_bytes(row.bytes));
    let without = |remark: &str| {
        let unknown = String::new;
        vec![name.clone(), unknown(), unknown(), size.clone(), unknown(), unknown(), remark.to_owned()]
    };
    match &row.manifest {
        ManifestOf::Missing => without("no manifest"),
        ManifestOf::Unreadable => without("its manifest cannot be read"),
        ManifestOf::Read { database, taken_at, documents, is_consistent, only, except, registered } => vec![
            name,
            database.clone(),
            age(taken_at).map(ago).unwrap_or_default(),
            size,
            documents.to_string(),
            registered.len().to_string(),
            remark(*is_consistent, only.as_deref(), except.as_deref()),
        ],
    }
}

fn remark(is_consistent: bool, only: Option<&[String]>, except: Option<&[String]>) -> String {
    let remarks = [
        only.map(|names| format!("only {}", shortened(names))),
        except.map(|names| format!("all except {}", shortened(names))),
        (!is_consistent).then(|| "not a consistent snapshot".to_owned()),
    ];
    remarks.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn row_json(row: &DumpRow) -> Value {
    let mut value = json!({
        "name": row.name, "path": row.path, "bytes": row.bytes,
        "database": null, "taken_at": null, "documents": null, "consistent": null, "only": null, "except": null,
        "registered": null,
    });
    if let ManifestOf::Read { database, taken_at, documents, is_consistent, only, except, registered } = &row.manifest {
        value["database"] = database.as_str().into();
        value["taken_at"] = taken_at.as_str().into();
        value["documents"] = (*documents).into();
        value["consistent"] = (*is_consistent).into();
        value["only"] = only.clone().into();
        value["except"] = except.clone().into();
        value["registered"] = registered.clone().into();
    }
    value
}

fn age(taken_at: &str) -> Option<Duration> {
    let taken = DateTime::parse_rfc3339_str(taken_at).ok()?;
    let age = DateTime::now().timestamp_millis() - taken.timestamp_millis();
    Some(Duration::from_millis(u64::try_from(age).unwrap_or(0)))
}
