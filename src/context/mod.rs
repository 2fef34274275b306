//! What subtasks get: the database, the configuration in force, the task's options, and a place to report to.

mod confirm;
mod options;
mod site;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use mongodb::Database;

pub(crate) use confirm::{more_than_confirmed, plan_lines};
pub use options::Options;
pub(crate) use site::Site;

use crate::config::Config;
use crate::dump;
use crate::error::Error;
use crate::line::flags::Args;
use crate::migration::{Embedded, Migration};
use crate::model::variables;
use crate::mongod;
use crate::process::stop::Stop;
use crate::report::Reporter;
use crate::run::lock::Held;
use crate::store::Store;

/// What a subtask works with. One is made for every task of the line, and for each database that the task works on.
#[derive(Debug)]
pub struct Context {
    line: Rc<Line>,
    site: Rc<Site>,
    options: Options,
}

/// What the tasks of one line share.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) embedded: Arc<Embedded>,
    pub(crate) args: Args,
    pub(crate) stop: Stop,
    /// The locks that are held now: they are given back however the line ends.
    pub(crate) held: RefCell<Vec<Rc<Held>>>,
    /// Where its tasks work.
    pub(crate) sites: RefCell<Vec<Rc<Site>>>,
}

impl Context {
    pub(crate) fn new(line: Rc<Line>, site: Rc<Site>, options: Options) -> Self {
        Self { line, site, options }
    }

    /// The database, connected when first asked for.
    ///
    /// # Errors
    /// No server or database is named, or the server cannot be reached.
    pub async fn database(&self) -> Result<&Database, Error> {
        Ok(&self.site.connection(&self.line).await?.database)
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.site.config
    }

    /// The environment that the line named ahead of the task, if it did.
    pub fn environment(&self) -> Option<&str> {
        self.site.environment.as_ref().map(|environment| environment.name.as_str())
    }

    /// The options of the task under way.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where to say what is done.
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

    pub(crate) fn args(&self) -> &Args {
        &self.line.args
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.line.stop
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// What is stored of the database's migrations.
    pub(crate) async fn store(&self) -> Result<Store, Error> {
        let connection = self.site.connection(&self.line).await?;
        Ok(Store::new(&connection.database, &self.config().migrations_collection, connection.has_transactions))
    }

    /// Where dumps are. A relative path is one of the workspace, or, without it, of the working folder.
    pub(crate) fn dumps(&self) -> dump::Folder {
        let path = &self.config().mongo_dump_directory;
        let root = std::env::var_os(variables::WORKSPACE_ROOT).map(PathBuf::from).unwrap_or_default();
        dump::Folder::new(root.join(path))
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

    /// Notes that a lock is held, so that it is given back however the process ends.
    pub(crate) fn hold(&self, held: &Rc<Held>) {
        self.line.held.borrow_mut().push(Rc::clone(held));
    }

    /// Gives a lock back.
    pub(crate) async fn release(&self, held: &Rc<Held>) {
        held.release().await;
        self.line.held.borrow_mut().retain(|other| !Rc::ptr_eq(other, held));
    }

    /// The folder for the local server's data, or why this manager has none.
    pub(crate) fn local_server_directory(&self) -> Result<PathBuf, Error> {
        mongod::local::directory(self.line.embedded.profile)
    }
}
