//! A migration: its name and number, and what its `up` and `down` are, told apart by the type that they take.

pub(crate) mod names;

use std::fmt;

use futures_util::future::LocalBoxFuture;
use mongodb::Database;

use crate::db::Db;
use crate::db::Transaction;
use crate::error::Result;
use crate::model::Subject;
use crate::model::file_name;

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
        Subject { name: &self.name, number: &self.number, checksum: &self.checksum }
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

/// What `up` or `down` does, whatever it takes.
pub struct Action(Kind);

/// The two ways to run an action.
pub(crate) enum Kind {
    /// Takes the database, as the driver's type or ours.
    Database(Box<dyn OnDatabase>),
    /// Takes a transaction: it and its registration take effect together.
    Transaction(Box<dyn InTransaction>),
}

impl Action {
    /// What to run it with.
    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    pub(crate) fn is_transactional(&self) -> bool {
        matches!(self.0, Kind::Transaction(_))
    }

    /// What the build script's code calls for a function that takes the database.
    #[doc(hidden)]
    pub fn on_database(run: for<'a> fn(&'a Db) -> LocalBoxFuture<'a, Result<()>>) -> Self {
        Self(Kind::Database(Box::new(Direct(run))))
    }

    /// What the build script's code calls for one that takes a transaction.
    #[doc(hidden)]
    pub fn in_transaction(run: for<'a> fn(&'a mut Transaction) -> LocalBoxFuture<'a, Result<()>>) -> Self {
        Self(Kind::Transaction(Box::new(Direct(run))))
    }

    /// Any error as a boxed one.
    #[doc(hidden)]
    pub fn ended<E: Into<BoxError>>(result: Result<(), E>) -> Result<()> {
        result.map_err(Into::into)
    }
}

/// A function that boxes by itself.
struct Direct<F>(F);

impl OnDatabase for Direct<for<'a> fn(&'a Db) -> LocalBoxFuture<'a, Result<()>>> {
    fn run<'a>(&'a self, db: &'a Db) -> LocalBoxFuture<'a, Result<()>> {
        (self.0)(db)
    }
}

impl InTransaction for Direct<for<'a> fn(&'a mut Transaction) -> LocalBoxFuture<'a, Result<()>>> {
    fn run<'a>(&'a self, tx: &'a mut Transaction) -> LocalBoxFuture<'a, Result<()>> {
        (self.0)(tx)
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Action")
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) trait OnDatabase: Send + Sync {
    fn run<'a>(&'a self, db: &'a Db) -> LocalBoxFuture<'a, Result<()>>;
}

pub(crate) trait InTransaction: Send + Sync {
    fn run<'a>(&'a self, tx: &'a mut Transaction) -> LocalBoxFuture<'a, Result<()>>;
}

/// An async function that can be a migration's `up` or `down`. `K` tells apart what it takes; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "this function cannot be a migration's `up` or `down`",
    label = "not an `async fn` that takes `&Database`, `&Db` or `&mut Transaction` and returns a `Result<(), E>`",
    note = "write `pub async fn up(db: &Database) -> Result<()>`, or take `&Db` or `&mut Transaction`"
)]
pub trait IntoAction<K> {
    /// Makes the action.
    fn into_action(self) -> Action;
}

/// Marks functions that take the driver's `&Database`.
#[derive(Debug)]
pub struct TakesDatabase<E>(std::marker::PhantomData<E>);

/// Marks functions that take our `&Db`.
#[derive(Debug)]
pub struct TakesDb<E>(std::marker::PhantomData<E>);

/// Marks functions that take our `&mut Transaction`.
#[derive(Debug)]
pub struct TakesTransaction<E>(std::marker::PhantomData<E>);

struct ByDatabase<F>(F);
struct ByDb<F>(F);
struct ByTransaction<F>(F);

impl<F, E> IntoAction<TakesDatabase<E>> for F
where
    F: AsyncFn(&Database) -> Result<(), E> + Send + Sync + 'static,
    E: Into<BoxError>,
{
    fn into_action(self) -> Action {
        Action(Kind::Database(Box::new(ByDatabase(self))))
    }
}

impl<F, E> IntoAction<TakesDb<E>> for F
where
    F: AsyncFn(&Db) -> Result<(), E> + Send + Sync + 'static,
    E: Into<BoxError>,
{
    fn into_action(self) -> Action {
        Action(Kind::Database(Box::new(ByDb(self))))
    }
}

impl<F, E> IntoAction<TakesTransaction<E>> for F
where
    F: AsyncFn(&mut Transaction) -> Result<(), E> + Send + Sync + 'static,
    E: Into<BoxError>,
{
    fn into_action(self) -> Action {
        Action(Kind::Transaction(Box::new(ByTransaction(self))))
    }
}

impl<F, E> InTransaction for ByTransaction<F>
where
    F: AsyncFn(&mut Transaction) -> Result<(), E> + Send + Sync,
    E: Into<BoxError>,
{
    fn run<'a>(&'a self, tx: &'a mut Transaction) -> LocalBoxFuture<'a, Result<()>> {
        Box::pin(async move { (self.0)(tx).await.map_err(Into::into) })
    }
}

impl<F, E> OnDatabase for ByDatabase<F>
where
    F: AsyncFn(&Database) -> Result<(), E> + Send + Sync,
    E: Into<BoxError>,
{
    fn run<'a>(&'a self, db: &'a Db) -> LocalBoxFuture<'a, Result<()>> {
        Box::pin(async move { (self.0)(db).await.map_err(Into::into) })
    }
}

impl<F, E> OnDatabase for ByDb<F>
where
    F: AsyncFn(&Db) -> Result<(), E> + Send + Sync,
    E: Into<BoxError>,
{
    fn run<'a>(&'a self, db: &'a Db) -> LocalBoxFuture<'a, Result<()>> {
        Box::pin(async move { (self.0)(db).await.map_err(Into::into) })
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
    use super::*;

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
