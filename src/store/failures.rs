//! Documents that failed in a backfill, as they are stored with its ranges and in the log.

use mongodb::bson::{Bson, Document, doc};

/// How many are kept of a backfill.
pub(crate) const FAILURES_KEPT: usize = 100;

/// A document that failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredFailure {
    pub(crate) id: Bson,
    pub(crate) why: String,
}

/// The field `failures` of a range, or of a backfill in the log. Empty if there are none.
pub(crate) fn failures_document(failures: &[StoredFailure]) -> Document {
    if failures.is_empty() {
        return Document::new();
    }
    let stored = |StoredFailure { id, why }: &StoredFailure| {
        Bson::from(doc! { "id": { "id": id.clone() }, "why": crate::terminal::scrub(why) })
    };
    doc! { "failures": failures.iter().map(stored).collect::<Vec<_>>() }
}

/// Reads the field `failures`.
pub(crate) fn read_failures(document: &Document) -> Vec<StoredFailure> {
    let failures = document.get_array("failures").into_iter().flatten().filter_map(|failure| failure.as_document());
    failures
        .filter_map(|failure| {
            let id = failure.get_document("id").ok()?.get("id")?.clone();
            Some(StoredFailure { id, why: failure.get_str("why").unwrap_or_default().to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read() {
        let failures = [(Bson::Null, "a"), (Bson::Array(vec![1.into()]), "b")];
        let failures = failures.map(|(id, why)| StoredFailure { id, why: why.into() });
        assert_eq!(read_failures(&failures_document(&failures)), failures);
        assert_eq!(failures_document(&[]), doc! {});
        assert_eq!(read_failures(&doc! { "failures": [7, { "why": "x" }] }), []);
    }
}
