//! The manager: what a user writes, and how the line reaches it.

pub(crate) mod builtin;
pub(crate) mod declaration;
mod environments;
pub(crate) mod planned;
pub(crate) mod subtask;
mod subtasks;
mod texts;
mod vocabulary;

pub use subtasks::Subtasks;

use crate::config::Config;
use crate::context::Context;
use crate::error::Result;

/// Whether the line goes on after [`task_hook`](MigrationsManager::task_hook).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The subtask runs.
    Continue,
    /// The line ends here, with success, as with migopy's `StopTaskExecution`.
    Stop,
}

/// A team's migrations manager. Every method has a default; an overridden one reaches it through [`builtin`](crate::builtin).
///
/// ```
/// use cargo_migrations::prelude::*;
///
/// struct Migrations;
///
/// impl MigrationsManager for Migrations {
///     fn config(&self) -> Config {
///         Config::new().mongo_database("blog").from_env()
///     }
///
///     async fn execute(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
///         cx.reporter().note("hold on");
///         builtin::execute(self, cx, migration).await
///     }
/// }
/// ```
// The futures run on the thread that called `run`, so they need not be `Send`.
#[expect(async_fn_in_trait, reason = "implemented by one type of the user's, and awaited on one thread")]
pub trait MigrationsManager: Sized {
    /// What to work on; the environment's variables, unless overridden.
    fn config(&self) -> Config {
        Config::from_env()
    }

    /// Adds subtasks of the team's own.
    fn subtasks(subtasks: Subtasks<Self>) -> Subtasks<Self> {
        subtasks
    }

    /// Runs before every subtask, with its first plain option; [`Flow::Stop`] ends the run.
    ///
    /// # Errors
    /// An error ends the run with failure, and the subtask does not run.
    async fn task_hook(&self, cx: &Context, subtask: &str, option: Option<&str>) -> Result<Flow> {
        let _ = (cx, subtask, option);
        Ok(Flow::Continue)
    }

    /// The command line that runs a subtask, quoted for a POSIX shell; migopy's `fab_command`.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    /// # struct Migrations;
    /// # impl MigrationsManager for Migrations {}
    /// assert_eq!(Migrations.cargo_command("execute", Some("0002_x")), "cargo migrations execute:0002_x");
    /// assert_eq!(Migrations.cargo_command("reindex", Some("a b")), "cargo migrations 'reindex:a b'");
    /// ```
    fn cargo_command(&self, subtask: &str, option: Option<&str>) -> String {
        crate::line::quote::cargo_command(subtask, option)
    }

    /// Shows which migrations are registered and which are not.
    ///
    /// # Errors
    /// The server failed, or `--check` found something that is unregistered or has no file.
    async fn show_status(&self, cx: &Context, option: Option<&str>) -> Result<()> {
        builtin::show_status(self, cx, option).await
    }

    /// Shows what a task would do, and writes nothing.
    ///
    /// # Errors
    /// The server failed, the task is not about migrations, or `--check` found something to do.
    async fn plan(&self, cx: &Context, task: Option<&str>) -> Result<()> {
        builtin::plan(self, cx, task).await
    }

    /// Runs one migration, or every unregistered one.
    ///
    /// # Errors
    /// A migration or the server failed, or the migration is registered already.
    async fn execute(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
        builtin::execute(self, cx, migration).await
    }

    /// Registers one migration, or every unregistered one, without running it.
    ///
    /// # Errors
    /// The server failed, or the migration is registered already.
    async fn ignore(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
        builtin::ignore(self, cx, migration).await
    }

    /// Registers every unregistered migration up to one without running it.
    ///
    /// # Errors
    /// No migration is given, or the server failed.
    async fn baseline(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
        builtin::baseline(self, cx, migration).await
    }

    /// Rolls back what is registered above a migration, and runs what is unregistered up to it.
    ///
    /// # Errors
    /// A step cannot be done, then none is; the person who was asked said no; or a migration or the server failed.
    async fn to(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
        builtin::to(self, cx, migration).await
    }

    /// Runs a migration's `down`, and then its `up`.
    ///
    /// # Errors
    /// The migration is not registered, has no `down`, or failed; or the server did.
    async fn redo(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
        builtin::redo(self, cx, migration).await
    }

    /// Runs the `down` of registered migrations, and unregisters them.
    ///
    /// # Errors
    /// A migration is not registered, has no `down`, or failed; or the server did.
    async fn rollback(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
        builtin::rollback(self, cx, migration).await
    }

    /// Registers a migration with the name and the code that its file has now.
    ///
    /// # Errors
    /// The migration is not registered under this name or its former one, the person who was asked said no, or the server failed.
    async fn accept(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
        builtin::accept(self, cx, migration).await
    }

    /// Takes a migration whose file is gone out of the registry.
    ///
    /// # Errors
    /// The migration is not registered or has a file, the person who was asked said no, or the server failed.
    async fn forget(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
        builtin::forget(self, cx, migration).await
    }

    /// Registers what another tool's records say is done.
    ///
    /// # Errors
    /// No tool is given, a record failed or matches nothing, the person who was asked said no, or the server failed.
    async fn adopt(&self, cx: &Context, tool: Option<&str>) -> Result<()> {
        builtin::adopt(self, cx, tool).await
    }

    /// Checks the migration files and the manager, without a server.
    ///
    /// # Errors
    /// One error names everything that is wrong.
    async fn check(&self, cx: &Context, option: Option<&str>) -> Result<()> {
        builtin::check(self, cx, option).await
    }

    /// Shows the log, newest last, of one migration or all.
    ///
    /// # Errors
    /// The server failed, or nothing is known about a migration of that name.
    async fn history(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
        builtin::history(self, cx, migration).await
    }

    /// Shows the backfills that are stored, steers them, or joins one.
    ///
    /// # Errors
    /// The server failed, there is no backfill to steer or to join, or one has not answered.
    async fn backfill(&self, cx: &Context, what: Option<&str>) -> Result<()> {
        builtin::backfill(self, cx, what).await
    }

    /// Shows who has the lock, asks, and frees it.
    ///
    /// # Errors
    /// The server failed, or the person who was asked said no.
    async fn unlock(&self, cx: &Context, option: Option<&str>) -> Result<()> {
        builtin::unlock(self, cx, option).await
    }

    /// Looks for what may keep runs from working.
    ///
    /// # Errors
    /// Something is wrong.
    async fn doctor(&self, cx: &Context, option: Option<&str>) -> Result<()> {
        builtin::doctor(self, cx, option).await
    }

    /// Dumps the database.
    ///
    /// # Errors
    /// The dump failed.
    async fn dbdump(&self, cx: &Context, option: Option<&str>) -> Result<()> {
        builtin::dbdump(self, cx, option).await
    }

    /// Puts a dump back in place of what the database holds.
    ///
    /// # Errors
    /// The dump is damaged, the person who was asked said no, or the server failed.
    async fn restore(&self, cx: &Context, dump: Option<&str>) -> Result<()> {
        builtin::restore(self, cx, dump).await
    }

    /// Shows where the local development server is, starts it, or stops it.
    ///
    /// # Errors
    /// This manager has no local server, or it could not be started or stopped.
    async fn mongod(&self, cx: &Context, what: Option<&str>) -> Result<()> {
        builtin::mongod(self, cx, what).await
    }

    /// Lists the dumps.
    ///
    /// # Errors
    /// The folder cannot be read.
    async fn dumps(&self, cx: &Context, option: Option<&str>) -> Result<()> {
        builtin::dumps(self, cx, option).await
    }

    /// Prints the script with which a shell completes the command line.
    ///
    /// # Errors
    /// There is no script for that shell.
    async fn completions(&self, cx: &Context, shell: Option<&str>) -> Result<()> {
        builtin::completions(self, cx, shell).await
    }

    /// Lists the subtasks and environments, or describes one.
    ///
    /// # Errors
    /// There is no such subtask.
    async fn help(&self, cx: &Context, subtask: Option<&str>) -> Result<()> {
        builtin::help(self, cx, subtask).await
    }
}
