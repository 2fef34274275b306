//! What a migration's `up` and `down` are, told apart by the type that they take.

use std::fmt;

use futures_util::future::LocalBoxFuture;
use mongodb::Database;

use crate::db::Db;
use crate::db::Transaction;
use crate::error::Result;

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
