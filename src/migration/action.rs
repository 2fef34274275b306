//! A migration's `up` and `down` as values. The type of a function's argument decides how it is run.

use std::fmt;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use mongodb::Database;

use crate::db::Db;
use crate::db::Transaction;
use crate::error::Result;

/// A migration's `up` or `down`: an async function that takes the database or a transaction.
///
/// [`IntoAction`] makes one of a function.
#[derive(Clone)]
pub struct Action(Kind);

/// The two ways to run an action.
#[derive(Clone)]
pub(crate) enum Kind {
    /// Takes the database, as the driver's type or ours.
    Database(Arc<dyn OnDatabase>),
    /// Takes a transaction: it and its registration take effect together.
    Transaction(Arc<dyn InTransaction>),
}

impl Action {
    /// The function, by what it takes.
    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    /// Whether the action and its registration take effect together.
    pub(crate) fn is_transactional(&self) -> bool {
        matches!(self.0, Kind::Transaction(_))
    }

    /// Creates the action of a function that takes the database. Only generated code calls it.
    #[doc(hidden)]
    pub fn on_database(run: for<'a> fn(&'a Db) -> LocalBoxFuture<'a, Result<()>>) -> Self {
        Self(Kind::Database(Arc::new(Direct(run))))
    }

    /// Creates the action of a function that takes a transaction. Only generated code calls it.
    #[doc(hidden)]
    pub fn in_transaction(run: for<'a> fn(&'a mut Transaction) -> LocalBoxFuture<'a, Result<()>>) -> Self {
        Self(Kind::Transaction(Arc::new(Direct(run))))
    }

    /// Boxes the error of a migration. Only generated code calls it.
    #[doc(hidden)]
    pub fn ended(result: impl Returned) -> Result<()> {
        result.boxed()
    }
}

/// What a migration's function may return. Its reason is the compiler's message about any other type.
#[diagnostic::on_unimplemented(
    message = "a migration's `up` or `down` cannot return `{Self}`",
    label = "this function has to return `Result<()>`, or a `Result<(), E>`",
    note = "E has to be `pub`, and an error that is Send and Sync: it implements `std::error::Error`, or converts into a boxed one"
)]
pub trait Returned {
    /// Boxes the error.
    fn boxed(self) -> Result<()>;
}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> Returned for Result<(), E> {
    fn boxed(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

/// A function whose future is boxed already, as generated code passes it.
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

/// An async function that can be a migration's `up` or `down`.
///
/// It takes the driver's [`Database`], a [`Db`] or a [`Transaction`], by reference, and returns a `Result<(), E>` of any error
/// that converts into a boxed one. `K` is a marker for what it takes, and is always inferred.
#[diagnostic::on_unimplemented(
    message = "this function cannot be a migration's `up` or `down`",
    label = "expected an `async fn` that takes `&Database`, `&Db` or `&mut Transaction` and returns a `Result<(), E>`",
    note = "write `pub async fn up(db: &Database) -> Result<()>`, or take `&Db` or `&mut Transaction`"
)]
pub trait IntoAction<K>: sealed::Sealed<K> {
    /// Converts the function into an action.
    fn into_action(self) -> Action;
}

/// Only functions are actions: no other crate implements [`IntoAction`].
mod sealed {
    use super::{BoxError, Database, Db, Result, TakesDatabase, TakesDb, TakesTransaction, Transaction};

    pub trait Sealed<K> {}

    impl<F: AsyncFn(&Database) -> Result<(), E>, E: Into<BoxError>> Sealed<TakesDatabase<E>> for F {}
    impl<F: AsyncFn(&Db) -> Result<(), E>, E: Into<BoxError>> Sealed<TakesDb<E>> for F {}
    impl<F: AsyncFn(&mut Transaction) -> Result<(), E>, E: Into<BoxError>> Sealed<TakesTransaction<E>> for F {}
}

/// Marks a function that takes the driver's `&Database`.
#[derive(Debug)]
pub struct TakesDatabase<E>(std::marker::PhantomData<E>);

/// Marks a function that takes `&Db`.
#[derive(Debug)]
pub struct TakesDb<E>(std::marker::PhantomData<E>);

/// Marks a function that takes `&mut Transaction`.
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
        Action(Kind::Database(Arc::new(ByDatabase(self))))
    }
}

impl<F, E> IntoAction<TakesDb<E>> for F
where
    F: AsyncFn(&Db) -> Result<(), E> + Send + Sync + 'static,
    E: Into<BoxError>,
{
    fn into_action(self) -> Action {
        Action(Kind::Database(Arc::new(ByDb(self))))
    }
}

impl<F, E> IntoAction<TakesTransaction<E>> for F
where
    F: AsyncFn(&mut Transaction) -> Result<(), E> + Send + Sync + 'static,
    E: Into<BoxError>,
{
    fn into_action(self) -> Action {
        Action(Kind::Transaction(Arc::new(ByTransaction(self))))
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
