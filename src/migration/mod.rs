//! A migration: its name and number, and its `up` and `down`.

mod action;
pub(crate) mod names;

use std::fmt;

pub use action::{Action, IntoAction};
pub(crate) use action::{InTransaction, Kind, OnDatabase};

use crate::model::file_name;
use crate::report::Subject;

/// One migration file, compiled into the manager.
///
/// Managers get theirs from `embedded!()`; a value made by hand serves where migrations come from elsewhere.
pub struct Migration {
    name: String,
    number: String,
    description: Option<String>,
    checksum: String,
    up: Action,
    down: Option<Action>,
}

impl Migration {
    /// A migration by its file name (`0002_slugs.rs`), number (digits), description, checksum, and `up`.
    pub fn new<K>(name: &str, number: &str, description: Option<&str>, checksum: &str, up: impl IntoAction<K>) -> Self {
        Self::of([name, number, checksum], description, up.into_action(), None)
    }

    /// What the build script's code calls.
    #[doc(hidden)]
    pub fn of([name, number, checksum]: [&str; 3], description: Option<&str>, up: Action, down: Option<Action>) -> Self {
        Self {
            name: name.to_owned(),
            number: number.to_owned(),
            description: description.map(str::to_owned),
            checksum: checksum.to_owned(),
            up,
            down,
        }
    }

    /// The same with a `down`.
    #[must_use]
    pub fn with_down<K>(mut self, down: impl IntoAction<K>) -> Self {
        self.down = Some(down.into_action());
        self
    }

    /// The file's name: `0002_slugs.rs`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's name without its ending: `0002_slugs`.
    pub fn stem(&self) -> &str {
        file_name::stem(&self.name)
    }

    /// The number's digits as the file's name has them: `0002`.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// The first line of the file's doc comment.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// A checksum of the file's code; white space, line endings and comments don't count.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// Whether it can be rolled back.
    pub fn has_down(&self) -> bool {
        self.down.is_some()
    }

    /// What events say of it.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject { name: &self.name, number: &self.number }
    }

    pub(crate) fn up(&self) -> &Action {
        &self.up
    }

    pub(crate) fn down(&self) -> Option<&Action> {
        self.down.as_ref()
    }
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration").field("name", &self.name).field("has_down", &self.has_down()).finish_non_exhaustive()
    }
}

/// The migrations that the build script found, as `embedded!()` gives them to [`run`](crate::run).
#[derive(Debug)]
pub struct Embedded {
    pub(crate) profile: &'static str,
    pub(crate) migrations: Vec<Migration>,
    pub(crate) problems: &'static [&'static str],
}

impl Embedded {
    /// What the build script's code calls.
    #[doc(hidden)]
    pub fn new(profile: &'static str, migrations: Vec<Migration>, problems: &'static [&'static str]) -> Self {
        Self { profile, migrations, problems }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::Database;

    use super::*;
    use crate::db::{Db, Transaction};
    use crate::error::Result;

    #[derive(Debug)]
    struct Own;

    impl fmt::Display for Own {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("own")
        }
    }

    impl std::error::Error for Own {}

    async fn with_the_drivers(db: &Database) -> Result<(), mongodb::error::Error> {
        db.list_collection_names().await.map(|_| ())
    }

    async fn with_ours(_: &Db) -> Result<()> {
        Ok(())
    }

    async fn with_an_own_error(_: &Db) -> Result<(), Own> {
        Err(Own)
    }

    async fn in_a_transaction(tx: &mut Transaction) -> Result<(), mongodb::error::Error> {
        tx.collection::<mongodb::bson::Document>("a").delete_many(mongodb::bson::doc! {}).await?;
        Ok(())
    }

    #[test]
    fn what_takes_a_transaction_is_transactional() {
        let migration = Migration::new("0001_a.rs", "0001", None, "", in_a_transaction).with_down(with_ours);
        assert!(migration.up().is_transactional());
        assert!(!migration.down().unwrap().is_transactional());
    }

    #[test]
    fn up_and_down_may_differ_in_kind_and_error() {
        let migration = Migration::new("0001_a.rs", "0001", None, "", with_the_drivers).with_down(with_ours);
        assert!(migration.has_down());
        assert!(!Migration::new("0001_a.rs", "0001", None, "", with_an_own_error).has_down());
    }
}
