//! What a subtask gets: the database, the configuration in force, the task's options, and a reporter.

mod confirm;
mod line;
mod options;
mod site;

use std::path::PathBuf;
use std::rc::Rc;

use mongodb::Database;

use crate::config::Config;
use crate::dump;
use crate::error::{Error, Remark};
use crate::migration::{Migration, names};
use crate::model::{Direction, variables};
use crate::mongod;
use crate::report::Reporter;
use crate::run::Scope;
use crate::run::plan::Request;
use crate::store::Store;

pub(crate) use confirm::plan_lines;
pub(crate) use line::Line;
pub use options::Options;
pub(crate) use site::{LineSettings, Site};

/// What a subtask works with. There is one for every task of the line, and for each database that the task works on.
#[derive(Debug)]
pub struct Context {
    line: Rc<Line>,
    site: Rc<Site>,
    options: Options,
}

impl Context {
    pub(crate) fn new(line: &Rc<Line>, site: &Rc<Site>, options: &Options) -> Self {
        Self { line: Rc::clone(line), site: Rc::clone(site), options: options.clone() }
    }

    /// The database. It is connected when it is first asked for.
    ///
    /// # Errors
    /// No server or database is configured, or the server cannot be reached.
    pub async fn database(&self) -> Result<&Database, Error> {
        Ok(&self.site.connection().await?.database)
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
        match self.options.migration() {
            Some(index) if self.options.first() == Some(word) => Ok(&self.migrations()[index]),
            _ => names::find(self.migrations(), word),
        }
    }

    /// What a subtask asks a run for.
    pub(crate) fn request(
        &self,
        subtask: &'static str,
        direction: Direction,
        migration: Option<&str>,
    ) -> Result<Request<'_>, Error> {
        let migration = migration.map(|word| self.migration(word)).transpose()?;
        Ok(Request { subtask, direction, migration, is_strict: self.line.args.strict })
    }

    /// What is stored about the database's migrations.
    pub(crate) async fn store(&self) -> Result<Store, Error> {
        let connection = self.site.connection().await?;
        Ok(Store::new(connection, &self.config().migrations_collection))
    }

    /// What a run works with.
    pub(crate) async fn scope(&self) -> Result<Scope<'_>, Error> {
        Ok(Scope {
            store: self.store().await?,
            migrations: self.migrations(),
            reporter: self.reporter().clone(),
            stop: self.line.stop.clone(),
            wait: self.line.args.wait,
            locks: self.line.locks.clone(),
        })
    }

    /// Where the dumps are. A relative path starts at the workspace or, without one, at the working folder.
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

    /// The folder for the local server's data, or why this manager has none.
    pub(crate) fn local_server_directory(&self) -> Result<PathBuf, Error> {
        mongod::local::directory(self.line.embedded.profile)
    }
}
