//! Writes documents that the driver cannot, because their `_id` or the name of a field is not UTF-8. They are rare, so each takes a
//! command of its own.

use mongodb::Database;
use mongodb::bson::{Bson, RawArrayBuf, RawDocument, RawDocumentBuf, rawdoc};
use mongodb::error::Result;

use super::server::{self, EMPTY, STAGES};
use crate::dump::fields::{self, Field};

const STRING: u8 = 0x02;

/// Whether the driver inserts the document: it reads the `_id` of every document that it inserts.
pub(super) fn is_readable(document: &RawDocument) -> bool {
    match document.get("_id") {
        Ok(id) => id.is_none_or(|id| Bson::try_from(id).is_ok()),
        Err(_) => false,
    }
}

pub(super) async fn insert(
    database: &Database,
    collection: &str,
    document: &RawDocumentBuf,
    bypasses_validator: bool,
) -> Result<()> {
    let command = rawdoc! {
        "insert": collection,
        "documents": [document.clone()],
        "bypassDocumentValidation": bypasses_validator,
        "writeConcern": { "w": "majority" },
    };
    server::write(database, command).await
}

/// Sets fields of a document to the empty timestamp, as `emptying` does where everything is UTF-8.
pub(super) async fn set_empty(
    database: &Database,
    collection: &str,
    document: &RawDocument,
    names: &[&[u8]],
    bypasses_validator: bool,
) -> Result<()> {
    let Some(id) = fields::of(document.as_bytes()).find(|field| field.name == b"_id") else { return Ok(()) };
    for names in names.chunks(STAGES) {
        let mut stages = RawArrayBuf::new();
        for name in names {
            let set = rawdoc! { "field": literal(name)?, "input": "$$ROOT", "value": { "$literal": EMPTY } };
            stages.push(rawdoc! { "$replaceWith": { "$setField": set } });
        }
        let update = rawdoc! { "q": alone(&id)?, "u": stages };
        let command = rawdoc! {
            "update": collection,
            "updates": [update],
            "bypassDocumentValidation": bypasses_validator,
            "writeConcern": { "w": "majority" },
        };
        server::write(database, command).await?;
    }
    Ok(())
}

/// `{ $literal: TEXT }`
fn literal(text: &[u8]) -> Result<RawDocumentBuf> {
    let length = i32::try_from(text.len() + 1).expect("a name is at most as large as its document").to_le_bytes();
    alone(&Field { kind: STRING, name: b"$literal", value: &[&length[..], text, &[0]].concat() })
}

fn alone(field: &Field<'_>) -> Result<RawDocumentBuf> {
    Ok(RawDocumentBuf::from_bytes(fields::document(field))?)
}
