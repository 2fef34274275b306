//! What a subtask gets: the database, the configuration in force, the task's options, and a reporter.

mod confirm;
mod line;
mod options;
mod site;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use mongodb::Database;
use tokio::sync::Notify;

use crate::config::Config;
use crate::db::Db;
use crate::dump;
use crate::error::{Error, Remark};
use crate::migration::Migration;
use crate::model::variables;
use crate::mongod;
use crate::report::Reporter;
use crate::run::Scope;
use crate::run::warnings;
use crate::store::Store;

pub(crate) use confirm::{plan_lines, plan_steps};
pub(crate) use line::Line;
pub use options::Options;
pub(crate) use options::Takes;
pub(crate) use site::{LineSettings, Site};

/// What a subtask works with. There is one for every task of the line, and for each database that the task works on.
#[derive(Debug)]
pub struct Context {
    line: Rc<Line>,
    site: Rc<Site>,
    options: Options,
    /// Whether the subtask has called `is_stopping`.
    looks: Cell<bool>,
    first_look: Notify,
}

impl Context {
    pub(crate) fn new(line: &Rc<Line>, site: &Rc<Site>, options: &Options) -> Self {
        Self {
            line: Rc::clone(line),
            site: Rc::clone(site),
            options: options.clone(),
            looks: Cell::new(false),
            first_look: Notify::new(),
        }
    }

    /// The database. It is connected when it is first asked for.
    ///
    /// # Errors
    /// No server or database is configured, or the server cannot be reached.
    pub async fn database(&self) -> Result<&Database, Error> {
        Ok(&self.site.connection().await?.database)
    }

    /// The database as a migration gets it: with transactions, progress and notes, and with writes that cannot be rolled back.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// async fn close_accounts(cx: &Context) -> Result<()> {
    ///     let db = cx.db().await?;
    ///     let closed = db
    ///         .transaction(async |tx| {
    ///             let closing = doc! { "$set": { "open": false } };
    ///             Ok(tx.collection::<Document>("accounts").update_many(doc! { "owner": null }, closing).await?.modified_count)
    ///         })
    ///         .await?;
    ///     db.note(format!("{closed} accounts were closed"));
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`database`](Self::database).
    pub async fn db(&self) -> Result<Db, Error> {
        let connection = self.site.connection().await?;
        Ok(Db::new(connection, self.reporter().clone(), self.line.stop.clone()))
    }

    /// Whether the command line was asked to stop, by Ctrl-C for example.
    ///
    /// Ctrl-C ends a subtask at its next `await`. One that calls this method has the time to end by itself: from then on, the
    /// first Ctrl-C only asks, and a second one ends it. A subtask that returns `Ok` after it was asked has stopped as asked: no
    /// further task runs, and the exit code is 130.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// async fn sweep(cx: &Context) -> Result<()> {
    ///     let sessions = cx.database().await?.collection::<Document>("sessions");
    ///     while !cx.is_stopping() && sessions.delete_one(doc! { "user": null }).await?.deleted_count > 0 {}
    ///     Ok(())
    /// }
    /// ```
    pub fn is_stopping(&self) -> bool {
        if !self.looks.replace(true) {
            self.first_look.notify_one();
        }
        self.line.stop.is_asked()
    }

    /// Whether the subtask calls [`is_stopping`](Self::is_stopping), and was asked to stop.
    pub(crate) fn has_stopped_as_asked(&self) -> bool {
        self.looks.get() && self.line.stop.is_asked()
    }

    /// Lets the first signal only ask to stop, once the subtask has called [`is_stopping`](Self::is_stopping). Does not return.
    pub(crate) async fn leave_time_to_stop<T>(&self, subtask: &str) -> T {
        self.first_look.notified().await;
        // The warning of a run is about its migrations, so this one is our own.
        let _relaying = self.line.stop.relay();
        self.line.stop.asked().await;
        let warning = format!("{subtask} was asked to stop, and ends by itself");
        self.reporter().warning_with_hint(warning, "press Ctrl-C again to stop now");
        std::future::pending().await
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.site.config
    }

    /// The environment that the line names before the task, if it does.
    pub fn environment(&self) -> Option<&str> {
        self.site.environment.as_ref().map(|environment| environment.name.as_str())
    }

    /// The options of this task.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where to report what is done.
    pub fn reporter(&self) -> &Reporter {
        &self.site.reporter
    }

    /// The migrations, in the order in which they run.
    pub fn migrations(&self) -> &[Migration] {
        &self.line.embedded.migrations
    }

    /// Whether the line answers every question with yes.
    pub fn yes(&self) -> bool {
        self.line.args.yes
    }

    pub(crate) fn args(&self) -> &crate::line::flags::Args {
        &self.line.args
    }

    /// What is wrong with the migration files.
    pub(crate) fn problems(&self) -> impl Iterator<Item = Remark> {
        self.line.embedded.problems()
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// The migration that a word of the line names. The line's own word was looked up when the line was checked.
    pub(crate) fn migration(&self, word: &str) -> Result<&Migration, Error> {
        self.options.find_migration(word, self.migrations())
    }

    /// The options of a subtask that is given `first`: those of this task, if it is one of that subtask's. A team's own subtask that
    /// calls a built-in one has other options.
    pub(crate) fn options_of(&self, subtask: &str, first: Option<&str>) -> Options {
        if self.options.subtask() == subtask && self.options.first() == first {
            self.options.clone()
        } else {
            Options::only(subtask, first)
        }
    }

    /// Reports once for the line which migrations share a number, before the files are compared with a database.
    pub(crate) fn tell_shared_numbers(&self) {
        if !self.line.has_told_numbers.replace(true) {
            warnings::shared_numbers(self.migrations()).iter().for_each(|remark| self.reporter().remark(remark));
        }
    }

    /// What is stored about the database's migrations.
    pub(crate) async fn store(&self) -> Result<Store, Error> {
        let connection = self.site.connection().await?;
        Ok(Store::new(connection, &self.config().migrations_collection))
    }

    /// What a run works with.
    pub(crate) async fn scope(&self) -> Result<Scope<'_>, Error> {
        let connection = self.site.recorded_connection().await?;
        Ok(self.scope_with(Store::new(connection, &self.config().migrations_collection)))
    }

    /// What a run works with, on a store of the caller's.
    pub(crate) fn scope_with(&self, store: Store) -> Scope<'_> {
        Scope {
            store,
            migrations: self.migrations(),
            reporter: self.reporter().clone(),
            stop: self.line.stop.clone(),
            wait: self.line.args.wait,
            how_to_wait: "--wait 60s",
            locks: self.line.locks.clone(),
        }
    }

    /// The folder with the dumps.
    pub(crate) fn dumps(&self) -> dump::Folder {
        dump::Folder::new(dump_folder(self.config()))
    }

    /// Notes a dump that was taken, for the run that follows it.
    pub(crate) fn note_dump(&self, name: String) {
        *self.site.last_dump.borrow_mut() = Some(name);
    }

    pub(crate) fn last_dump(&self) -> Option<String> {
        self.site.last_dump.borrow().clone()
    }

    pub(crate) fn forget_dump(&self) {
        *self.site.last_dump.borrow_mut() = None;
    }

    /// The folder for the local server's data, or why this manager has none.
    pub(crate) fn local_server_directory(&self) -> Result<PathBuf, Error> {
        mongod::local::directory(self.line.embedded.profile)
    }
}

/// Where the dumps are. A relative path starts at the workspace or, without one, at the working folder.
pub(crate) fn dump_folder(config: &Config) -> PathBuf {
    let root = std::env::var_os(variables::WORKSPACE_ROOT).map(PathBuf::from).unwrap_or_default();
    root.join(&config.mongo_dump_directory)
}
