//! A migration: its name and number, and its `up` and `down`.

mod action;
mod checkout;
pub(crate) mod names;
mod rerun;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

pub use action::{Action, IntoAction, TakesDatabase, TakesDb, TakesTransaction};
pub(crate) use action::{InTransaction, Kind, OnDatabase};
pub use rerun::Rerun;

use crate::embed::git;
use crate::error::{Error, ErrorKind, Remark};
use crate::line::words::listed;
use crate::model::Subject;
use crate::model::file_name;
use crate::model::sources::Sources;
use crate::store::origin;

/// One migration: its name, what is known of its file, and the functions that run it.
///
/// Managers get theirs from [`embedded!`](crate::embedded). A program that has its migrations elsewhere makes them by hand, and
/// an [`Embedded`] of them:
///
/// ```
/// use cargo_migrations::prelude::*;
/// use cargo_migrations::{Embedded, Migration};
///
/// async fn up(db: &Database) -> Result<()> {
///     db.create_collection("notes").await?;
///     Ok(())
/// }
///
/// async fn down(db: &Database) -> Result<()> {
///     db.collection::<Document>("notes").drop().await?;
///     Ok(())
/// }
///
/// let migration = Migration::new("0001_create_notes.rs", up).with_down(down).with_description("Create the notes.");
/// assert_eq!(migration.number(), "0001");
/// let embedded = Embedded::from_migrations([migration]);
/// ```
#[derive(Clone)]
pub struct Migration {
    name: String,
    number: String,
    description: Option<String>,
    checksum: String,
    /// The package whose build script found the file, if one did.
    package: Option<&'static str>,
    /// The checksum that an earlier version of this crate gave the same code.
    former_checksum: Option<String>,
    rerun: Rerun,
    up: Action,
    down: Option<Action>,
}

impl Migration {
    /// Creates a migration from the name under which it is registered (`0002_slugs.rs`) and its `up`.
    ///
    /// Its number is the digits that the name starts with, up to the first `_`: `0002`. For a name of another form,
    /// [`with_number`](Self::with_number) sets it. It has no description, an empty checksum, and no `down`,
    /// and it is not known whether it may run again once it was interrupted.
    pub fn new<K>(name: impl Into<String>, up: impl IntoAction<K>) -> Self {
        let name = name.into();
        let digits = name.split('_').next().unwrap_or_default();
        let number = if file_name::is_number(digits) { digits.to_owned() } else { String::new() };
        Self {
            name,
            number,
            description: None,
            checksum: String::new(),
            former_checksum: None,
            package: None,
            rerun: Rerun::Unknown,
            up: up.into_action(),
            down: None,
        }
    }

    /// Creates a migration from what the build script knows of its file.
    #[doc(hidden)]
    pub fn of(
        [name, number]: [&str; 2],
        [checksum, former_checksum]: [&str; 2],
        description: Option<&str>,
        up: Action,
        down: Option<Action>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            number: number.to_owned(),
            description: description.map(str::to_owned),
            checksum: checksum.to_owned(),
            former_checksum: Some(former_checksum.to_owned()),
            package: None,
            rerun: Rerun::Unknown,
            up,
            down,
        }
    }

    /// Sets the number, in digits. Migrations run in the order of their numbers.
    #[must_use]
    pub fn with_number(mut self, number: impl Into<String>) -> Self {
        self.number = number.into();
        self
    }

    /// Sets the description that status and help show.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the checksum. It is stored when the migration is registered, and a warning is printed when it differs later. An empty
    /// checksum counts as unknown: there is no warning.
    #[must_use]
    pub fn with_checksum(mut self, checksum: impl Into<String>) -> Self {
        self.checksum = checksum.into();
        self
    }

    /// Sets the function that rolls the migration back.
    #[must_use]
    pub fn with_down<K>(mut self, down: impl IntoAction<K>) -> Self {
        self.down = Some(down.into_action());
        self
    }

    /// Sets whether `up` may run again from its beginning after it was interrupted.
    #[must_use]
    pub fn with_rerun(mut self, rerun: Rerun) -> Self {
        self.rerun = rerun;
        self
    }

    /// Returns the file's name: `0002_slugs.rs`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the file's name without its extension: `0002_slugs`.
    pub fn stem(&self) -> &str {
        file_name::stem(&self.name)
    }

    /// Returns the number's digits as they stand in the file's name: `0002`.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// Returns the first line of the file's doc comment that is not empty.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Returns the checksum of the file's code, `v2:sha256:…`. Comments, line endings and formatting with rustfmt do not change it.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// Whether a checksum in the database is that of this migration's code.
    pub(crate) fn has_checksum(&self, registered: &str) -> bool {
        registered == self.checksum || Some(registered) == self.former_checksum.as_deref()
    }

    /// Whether the migration has a `down`, and so can be rolled back.
    pub fn has_down(&self) -> bool {
        self.down.is_some()
    }

    /// Whether `up` may run again from its beginning after it was interrupted.
    pub fn rerun(&self) -> Rerun {
        self.rerun
    }

    /// What events and the registry carry.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject { name: &self.name, number: &self.number, checksum: &self.checksum, package: self.package }
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

/// The migrations of a manager or a service, in the order in which they run.
///
/// [`embedded!`](crate::embedded) generates a function that returns the ones that the build script found;
/// [`Embedded::from_migrations`] is for those made by hand. [`run`](crate::run) and [`Runner::new`](crate::Runner::new) take it.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// The profile of the build (`debug`, `release`), as cargo names it to build scripts.
    pub(crate) profile: &'static str,
    pub(crate) migrations: Vec<Migration>,
    /// What is wrong with the files or the list. With any of these, nothing runs.
    problems: Vec<Remark>,
    /// Set if the migrations are those of another checkout. Nothing runs then either, and no file is at fault.
    of_another_checkout: Option<Remark>,
}

impl Embedded {
    /// Collects migrations that were made by hand. They are sorted by number, then by name.
    ///
    /// Each needs a number in digits, and a name of its own: two names that differ only in what follows the last dot count as
    /// one. Anything else is an error of kind [`ErrorKind::Usage`] (exit code 2), which [`run`](crate::run) and
    /// [`Runner`](crate::Runner) report before anything runs.
    pub fn from_migrations(migrations: impl IntoIterator<Item = Migration>) -> Self {
        let mut migrations: Vec<_> = migrations.into_iter().collect();
        migrations.sort_by(|a, b| file_name::compare(&a.number, &b.number).then_with(|| a.name.cmp(&b.name)));
        // No build script has reported the profile, but a release build must never start a local server.
        let profile = if cfg!(debug_assertions) { "" } else { "release" };
        let problems = problems_of_list(&migrations);
        Self { profile, migrations, problems, of_another_checkout: None }
    }

    /// Collects what the build script found. The migrations are sorted already.
    #[doc(hidden)]
    pub fn from_build_script(
        profile: &'static str,
        migrations: &[fn() -> Migration],
        problems: &'static [(&'static str, &'static str)],
    ) -> Self {
        let problems = problems.iter().map(|(message, hint)| Remark::new(*message).with_hint(*hint)).collect();
        let migrations = migrations.iter().map(|migration| migration()).collect();
        Self { profile, migrations, problems, of_another_checkout: None }
    }

    /// Adds which package's build script found the migrations, and in which folder.
    #[doc(hidden)]
    #[must_use]
    pub fn found_by(mut self, package: &'static str, folder: &'static str) -> Self {
        self.of_another_checkout = checkout::started_in_another(package, folder);
        self.migrations.iter_mut().for_each(|migration| migration.package = Some(package));
        self
    }

    /// Adds the git commit of the sources, and whether the working tree had changes. A development build names its folder: it is not
    /// built again for each commit, so it looks whether the commit is still that one.
    #[doc(hidden)]
    #[must_use]
    pub fn built_from(self, commit: &'static str, is_dirty: Option<bool>, folder: Option<&'static str>) -> Self {
        let sources = Sources { commit: commit.to_owned(), is_dirty };
        if folder.is_none_or(|folder| git::commit(Path::new(folder)).as_ref() == Some(&sources)) {
            origin::set_sources(sources);
        }
        self
    }

    /// Fails if the migrations are those of another checkout than the one that this program was started in.
    pub(crate) fn check_checkout(&self) -> Result<(), Error> {
        match &self.of_another_checkout {
            Some(remark) => Err(Error::of_remarks(ErrorKind::Usage, [remark.clone()])),
            None => Ok(()),
        }
    }

    /// What is wrong with the files or the list.
    pub(crate) fn problems(&self) -> impl Iterator<Item = Remark> {
        self.problems.iter().cloned()
    }

    /// Fails with everything that is wrong with the files or the list, or with whose they are.
    pub(crate) fn check_files(&self) -> Result<(), Error> {
        self.check_checkout()?;
        if self.problems.is_empty() { Ok(()) } else { Err(Error::of_remarks(ErrorKind::Usage, self.problems())) }
    }
}

/// What is wrong with a list of migrations that were made by hand.
fn problems_of_list(migrations: &[Migration]) -> Vec<Remark> {
    let mut problems = Vec::new();
    // The registry knows a migration by its stem: of two with one stem, only one could be registered.
    let mut by_stem: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for migration in migrations {
        by_stem.entry(migration.stem()).or_default().push(migration.name());
        let (name, number) = (migration.name(), migration.number());
        if !file_name::is_number(number) {
            let message = match number {
                "" => format!("the migration `{name}` has no number"),
                _ => format!("the migration `{name}` has the number `{number}`, which is not in digits"),
            };
            problems.push(Remark::new(message).with_hint("set the number with `Migration::with_number`, in digits"));
        }
    }
    for (stem, names) in by_stem.into_iter().filter(|(_, names)| names.len() > 1) {
        let message = format!("{} migrations have the stem `{stem}`: {}", names.len(), listed(names));
        problems.push(Remark::new(message).with_hint("give each migration a name of its own, and list it once"));
    }
    problems
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
        let migration = Migration::new("0001_a.rs", in_a_transaction).with_down(with_ours);
        assert!(migration.up().is_transactional());
        assert!(!migration.down().unwrap().is_transactional());
    }

    #[test]
    fn up_and_down_may_differ_in_kind_and_error() {
        let migration = Migration::new("0001_a.rs", with_the_drivers).with_down(with_ours);
        assert!(migration.has_down());
        assert!(!Migration::new("0001_a.rs", with_an_own_error).has_down());
    }

    #[test]
    fn the_number_is_what_the_name_starts_with() {
        for (name, number) in [("0002_slugs.rs", "0002"), ("12_a_3", "12"), ("m-7.rs", ""), ("2a_b.rs", ""), ("", "")] {
            assert_eq!(Migration::new(name, with_ours).number(), number, "{name}");
        }
        assert_eq!(Migration::new("m-7.rs", with_ours).with_number("7").number(), "7");
    }

    #[test]
    fn migrations_made_by_hand_are_sorted_by_number_and_name() {
        let names = ["10_c.rs", "9_b.rs", "2_z.rs", "02_a.rs"];
        let embedded = Embedded::from_migrations(names.map(|name| Migration::new(name, with_ours)));
        let sorted: Vec<_> = embedded.migrations.iter().map(Migration::name).collect();
        assert_eq!(sorted, ["02_a.rs", "2_z.rs", "9_b.rs", "10_c.rs"]);
    }

    #[test]
    fn migrations_made_by_hand_need_a_number_and_a_stem_of_their_own() {
        let of = |names: &[&str]| Embedded::from_migrations(names.iter().map(|name| Migration::new(*name, with_ours)));
        let problems = |embedded: Embedded| embedded.check_files().map_err(|error| (error.exit_code(), error.to_string()));
        assert_eq!(problems(of(&["0001_a.rs", "0001_b.rs", "1_a.rs"])), Ok(()), "numbers may be shared, with a warning");
        let message = "2 migrations have the stem `0001_a`: `0001_a`, `0001_a.rs`";
        assert_eq!(problems(of(&["0001_a.rs", "0001_a"])), Err((2, message.to_owned())));
        let message = "2 migrations have the stem `0001_a`: `0001_a.rs`, `0001_a.rs`";
        assert_eq!(problems(of(&["0001_a.rs", "0002_b.rs", "0001_a.rs"])), Err((2, message.to_owned())));
        let message = "the migration `m-7.rs` has no number";
        assert_eq!(problems(of(&["m-7.rs"])), Err((2, message.to_owned())));
        let roman = Migration::new("0007_x.rs", with_ours).with_number("VII");
        let message = "the migration `0007_x.rs` has the number `VII`, which is not in digits";
        assert_eq!(problems(Embedded::from_migrations([roman])), Err((2, message.to_owned())));
    }

    #[test]
    fn what_is_wrong_with_the_files_is_one_error_with_one_hint() {
        let problems = &[("a is wrong", "fix both"), ("c is wrong", "fix c"), ("b is wrong", "fix both")];
        let error = Embedded::from_build_script("debug", &[], problems).check_files().unwrap_err();
        assert_eq!(error.to_string(), "a is wrong\nc is wrong\nb is wrong");
        assert_eq!(error.hint(), Some("fix both\nfix c"));
        assert!(Embedded::from_migrations([]).check_files().is_ok());
    }
}
