//! The documents that a backfill has left as they were because they failed.

use mongodb::bson::Document;

use crate::model::shell;
use crate::store::{StoredFailure, read_failures};

/// How many are listed.
const LISTED: usize = 20;

/// A sentence, and a line for each document. `kept` are the first ones.
pub(crate) fn failures_text(collection: &str, count: u64, kept: &[StoredFailure]) -> String {
    let documents = if count == 1 { "1 document" } else { &format!("{count} documents") };
    let mut text = format!("{documents} of `{collection}` failed, and stayed as before:");
    let listed = &kept[..kept.len().min(LISTED)];
    for StoredFailure { id, why } in listed {
        text += &format!("\n  {}: {}", shell(id), why.lines().next().unwrap_or_default());
    }
    match count.saturating_sub(listed.len() as u64) {
        0 => {}
        more => text += &format!("\n  and {more} more"),
    }
    text
}

/// The text for each backfill of a migration's event that has failures.
pub(super) fn texts(event: &Document) -> Vec<String> {
    let backfills = event.get_array("backfills").into_iter().flatten().filter_map(|backfill| backfill.as_document());
    backfills
        .filter_map(|backfill| {
            let count =
                backfill.get_i64("failed").ok().and_then(|count| u64::try_from(count).ok()).filter(|count| *count > 0)?;
            Some(failures_text(backfill.get_str("collection").unwrap_or_default(), count, &read_failures(backfill)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::Bson;

    #[test]
    fn the_first_ones_are_listed_and_the_rest_is_counted() {
        let kept = |count: i32| {
            let failure = |id| StoredFailure { id: Bson::Int32(id), why: "does not decode\nat all".into() };
            (0..count).map(failure).collect::<Vec<_>>()
        };
        let one = "1 document of `users` failed, and stayed as before:\n  0: does not decode";
        assert_eq!(failures_text("users", 1, &kept(1)), one);
        let many = failures_text("users", 500, &kept(100));
        assert!(
            many.starts_with("500 documents of `users`") && many.ends_with("\n  19: does not decode\n  and 480 more"),
            "{many}"
        );
    }
}
