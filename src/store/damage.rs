//! What became of the lock where a run lost it, and the repair of its documents: people delete and edit them by hand.

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::error::{Error, Result};

use super::fence::as_integer;
use super::lease::Holder;
use super::log::Run;
use super::{FENCE_ID, LEASE_ID, LOCK, LOG, Store};
use crate::durable::retry;
use crate::line::program::program;

/// Why a run no longer has the lock.
#[derive(Debug)]
pub(crate) enum Loss {
    /// Another run has it.
    HeldBy(Holder),
    /// It was freed or damaged. The text says how.
    Other(String),
}

/// A field of one of the lock's two documents.
struct Field {
    of: &'static str,
    name: &'static str,
    is_right: fn(Option<&Bson>) -> bool,
    expected: &'static str,
}

/// The fields without which the lock does not work.
const FIELDS: [Field; 4] = [
    Field { of: LEASE_ID, name: "term", is_right: is_integer, expected: "an integer" },
    Field { of: LEASE_ID, name: "owner", is_right: is_text, expected: "a string" },
    Field { of: LEASE_ID, name: "expires_at", is_right: is_time, expected: "a date" },
    Field { of: FENCE_ID, name: "number", is_right: is_integer, expected: "an integer" },
];

fn is_integer(value: Option<&Bson>) -> bool {
    value.and_then(as_integer).is_some()
}

fn is_text(value: Option<&Bson>) -> bool {
    matches!(value, None | Some(Bson::Null | Bson::String(_)))
}

fn is_time(value: Option<&Bson>) -> bool {
    matches!(value, None | Some(Bson::Null | Bson::DateTime(_)))
}

/// What is wrong with the documents that are there. One that was deleted is created again by the next run.
fn damage(lease: Option<&Document>, fence: Option<&Document>) -> Vec<String> {
    let mut found = Vec::new();
    for field in &FIELDS {
        let document = if field.of == LEASE_ID { lease } else { fence };
        if document.is_some_and(|document| !(field.is_right)(document.get(field.name))) {
            found.push(format!(
                "the field `{}` of the document `{}` in `{LOCK}` is not {}",
                field.name, field.of, field.expected
            ));
        }
    }
    found
}

impl Store {
    /// What is wrong with the lock's documents.
    pub(crate) async fn lock_damage(&self) -> Result<Vec<String>> {
        let (lease, fence) = self.lock_documents().await?;
        Ok(damage(lease.as_ref(), fence.as_ref()))
    }

    /// Fails if the lock's documents are damaged, and says what to do.
    pub(super) async fn check_lock(&self) -> Result<()> {
        match self.lock_damage().await?.first() {
            Some(damage) => Err(Error::custom(format!("{damage} (`{} unlock` repairs it)", program()))),
            None => Ok(()),
        }
    }

    /// Frees the lock and gives its documents values of the right type. The number is above all earlier ones, so a run that has
    /// the lock now can register nothing more.
    pub(crate) async fn repair_lock(&self) -> Result<()> {
        let (lease, fence) = self.lock_documents().await?;
        let number = |document: Option<Document>, field: &str| {
            document.as_ref().and_then(|document| document.get(field)).and_then(as_integer).unwrap_or_default()
        };
        let highest = number(lease, "term").max(number(fence, "number")).max(self.highest_logged().await?);
        let next = highest.saturating_add(1);
        let lease = vec![doc! { "$set": { "term": next, "owner": Bson::Null, "expires_at": "$$NOW" } }];
        retry(async || self.lock().update_one(doc! { "_id": LEASE_ID }, lease.clone()).await).await?;
        let fence = doc! { "$set": { "number": next } };
        retry(async || self.lock().update_one(doc! { "_id": FENCE_ID }, fence.clone()).upsert(true).await).await?;
        Ok(())
    }

    /// Finds out why a run no longer has the lock that it took at that time, or shortly before.
    pub(crate) async fn loss(&self, run: &Run, taken_at: DateTime) -> Result<Loss> {
        let (lease, fence) = self.lock_documents().await?;
        let Some(lease) = lease else { return self.deletion().await.map(Loss::Other) };
        if let Some(damage) = damage(Some(&lease), fence.as_ref()).into_iter().next() {
            return Ok(Loss::Other(damage));
        }
        let text = match lease.get_str("owner") {
            Ok(owner) if owner == run.id => match fence {
                None => format!("the document `{FENCE_ID}` in `{LOCK}` was deleted"),
                Some(_) => format!("the number in the document `{FENCE_ID}` in `{LOCK}` is not this run's"),
            },
            Ok(_) => match self.read_lease().await?.and_then(|lease| lease.holder) {
                Some(holder) => return Ok(Loss::HeldBy(holder)),
                None => "another run took it over and has ended".into(),
            },
            // A run that takes the lock writes the time, and `unlock` does not.
            Err(_) if lease.get_datetime("acquired_at").is_ok_and(|at| *at <= taken_at) => "it was freed by `unlock`".into(),
            Err(_) => "another run took it over and has ended".into(),
        };
        Ok(Loss::Other(text))
    }

    /// What was deleted with the lease.
    async fn deletion(&self) -> Result<String> {
        let names = self.database().list_collection_names().await?;
        let is_there = |name: &str| names.iter().any(|other| other == name);
        Ok(if is_there(LOCK) {
            format!("the document `{LEASE_ID}` in `{LOCK}` was deleted")
        } else if is_there(LOG) {
            format!("the collection `{LOCK}` was dropped")
        } else {
            format!("the collections `{LOCK}` and `{LOG}` are gone, as they are after the database was dropped")
        })
    }

    async fn lock_documents(&self) -> Result<(Option<Document>, Option<Document>)> {
        let lease = self.lock().find_one(doc! { "_id": LEASE_ID }).await?;
        Ok((lease, self.lock().find_one(doc! { "_id": FENCE_ID }).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_wrong_type_are_named() {
        let fence = doc! { "number": 4_i64 };
        let right = doc! { "term": 4.0, "owner": Bson::Null };
        assert_eq!(damage(Some(&right), Some(&fence)), [""; 0]);
        assert_eq!(damage(None, None), [""; 0], "a deleted one is created again");
        let wrong = doc! { "term": "4", "owner": 7, "expires_at": "soon" };
        let found = damage(Some(&wrong), Some(&doc! {}));
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(found[0], "the field `term` of the document `lease` in `migrations_lock` is not an integer");
        assert_eq!(found[3], "the field `number` of the document `fence` in `migrations_lock` is not an integer");
    }
}
