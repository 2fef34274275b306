//! A migration: its name and number, and what its `up` and `down` are, told apart by the type that they take.

use std::fmt;

use futures_util::future::LocalBoxFuture;
use mongodb::Database;

use crate::db::Db;
use crate::error::Result;
use crate::file_name;
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
        Self {
            name: name.to_owned(),
            number: number.to_owned(),
            description: description.map(str::to_owned),
            checksum: checksum.to_owned(),
            up: up.into_action(),
            down: None,
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

/// What `up` or `down` does, whatever it takes.
pub struct Action(Kind);

enum Kind {
    /// Takes the database, as the driver's type or ours. What takes a transaction will stand beside it.
    Database(Box<dyn OnDatabase>),
}

impl Action {
    pub(crate) fn run<'a>(&'a self, db: &'a Db) -> LocalBoxFuture<'a, Result<()>> {
        match &self.0 {
            Kind::Database(action) => action.run(db),
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Action")
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

trait OnDatabase: Send + Sync {
    fn run<'a>(&'a self, db: &'a Db) -> LocalBoxFuture<'a, Result<()>>;
}

/// An async function that can be a migration's `up` or `down`. `K` tells apart what it takes; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "this function cannot be a migration's `up` or `down`",
    label = "not an `async fn` that takes `&Database` or `&Db` and returns a `Result<(), E>`",
    note = "write `pub async fn up(db: &Database) -> Result<()>`, or take `&Db`"
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

struct ByDatabase<F>(F);
struct ByDb<F>(F);

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

    #[test]
    fn up_and_down_may_differ_in_kind_and_error() {
        let migration = Migration::new("0001_a.rs", "0001", None, "", with_the_drivers).with_down(with_ours);
        assert!(migration.has_down());
        assert!(!Migration::new("0001_a.rs", "0001", None, "", with_an_own_error).has_down());
    }
}
