//! Migrations inside a service of the team's own: the same registry, lock and log as on the command line.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::config::Config;
use crate::connect::{self, Target};
use crate::dump;
use crate::error::chain::error_text;
use crate::error::{Error, ErrorKind, Remark, Result, hint_of};
use crate::line::words::listed;
use crate::migration::Embedded;
use crate::mongod::local;
use crate::process::panics;
use crate::process::runtime::Runtime;
use crate::process::stop::Stop;
use crate::report::{Listen, Message, Reporter};
use crate::run::lock::Locks;
use crate::run::request::{Goal, Request};
use crate::run::warnings::shared_numbers;
use crate::run::{self, Confirmed, Failed, Scope, advice, standing, status};
use crate::store::Store;
use crate::terminal;

/// Runs migrations inside a service, or checks whether all are registered: usually at start-up.
///
/// It uses the lock and the log of the command line: instances that start together run nothing twice, and
/// `cargo migrations history` shows what a service ran. The work is done on a thread of its own, so that the futures are `Send`
/// and work with any async runtime, and a migration that blocks delays nothing else. Dropping the future stops the run after the
/// migration under way.
///
/// `examples/service` in the repository is a complete service.
///
/// ```no_run
/// use std::time::Duration;
///
/// use cargo_migrations::Runner;
/// use cargo_migrations::prelude::*;
///
/// # async fn start(embedded: cargo_migrations::Embedded) -> Result<()> {
/// // `embedded` is `migrations::embedded()`, after `cargo_migrations::embedded!(mod migrations);` at the top of the file.
/// let runner = Runner::new(Config::from_env(), embedded)
///     .wait(Duration::from_secs(60))
///     .on_message(|message| eprintln!("{} {}", message.text, message.hint.as_deref().unwrap_or_default()));
/// let executed = runner.execute().await?;
/// # Ok(())
/// # }
/// ```
pub struct Runner {
    config: Config,
    embedded: Arc<Embedded>,
    wait: Option<Duration>,
    listen: Arc<Listen>,
}

impl Runner {
    /// A runner of these migrations on the database that the configuration names.
    pub fn new(config: Config, embedded: Embedded) -> Self {
        Self { config, embedded: Arc::new(embedded), wait: None, listen: Arc::new(|_: &Message| {}) }
    }

    /// How long to wait if another run has the lock; without it that is an error. If several instances start together, the first
    /// runs the migrations, and the others wait until it is done.
    ///
    /// It also bounds how long the lock may be unconfirmed by a majority of the replica set, which is two minutes without it.
    #[must_use]
    pub fn wait(mut self, duration: Duration) -> Self {
        self.wait = Some(duration);
        self
    }

    /// Calls a function with each message, for the service's own log. Nothing is printed. A message may have a hint, which is to be
    /// logged too.
    #[must_use]
    pub fn on_message(mut self, listen: impl Fn(&Message) + Send + Sync + 'static) -> Self {
        self.listen = Arc::new(listen);
        self
    }

    /// Runs every unregistered migration, in order, and returns the names of those that it ran: `0002_slugs`.
    ///
    /// # Errors
    /// As the subtask `execute`: the configuration names no server or database, a migration or the server failed, another run
    /// has the lock ([`ErrorKind::Locked`]), or an interrupted migration needs a decision ([`ErrorKind::Undecided`]). If some
    /// migrations were executed before it failed, [`Error::executed`] has their names.
    pub async fn execute(&self) -> Result<Vec<String>, Error> {
        let dump_folder = self.config.do_mongo_dump.then(|| dump::Folder::new(self.config.mongo_dump_directory.clone()));
        self.on_thread(true, async |scope| execute(scope, dump_folder).await).await
    }

    /// Returns the migrations that are unregistered, failed or interrupted, in order.
    ///
    /// # Errors
    /// The configuration names no server or database, or the server failed.
    pub async fn unregistered(&self) -> Result<Vec<String>, Error> {
        self.on_thread(false, async |scope| {
            let view = run::read(&scope.store).await?;
            Ok(status::open(&standing::all(scope.migrations, &view)))
        })
        .await
    }

    /// Refuses to start if a migration is unregistered, failed or interrupted, or if a person has to decide how to go on, as
    /// `show_status --check` does. Registered migrations that have no file do not count: an older version of the service may start
    /// after a newer one has run.
    ///
    /// # Errors
    /// An error of kind [`ErrorKind::Check`] says what was found. Other errors are those of [`unregistered`](Self::unregistered).
    pub async fn check(&self) -> Result<(), Error> {
        self.on_thread(false, async |scope| check(scope).await).await
    }

    /// Does the work on a thread and a runtime of its own. `records` says that it is a run.
    async fn on_thread<T: Send + 'static>(
        &self,
        records: bool,
        work: impl AsyncFnOnce(&Scope<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Error> {
        self.embedded.check_files().map_err(|error| opaque(error.into()))?;
        let stop = Stop::default();
        // It is dropped together with this future.
        let _asks = AskOnDrop(stop.clone());
        let (config, embedded, wait) = (self.config.clone(), Arc::clone(&self.embedded), self.wait);
        let reporter = Reporter::to_service(Arc::clone(&self.listen));
        let (sender, receiver) = oneshot::channel();
        let thread = std::thread::Builder::new().name("migrations".into()).spawn(move || {
            let done = panics::catch(|| {
                let runtime = Runtime::new()?;
                runtime.run(async {
                    let store = connect(&config, embedded.profile, &reporter, records).await?;
                    shared_numbers(&embedded.migrations).iter().for_each(|remark| reporter.remark(remark));
                    let migrations = &embedded.migrations;
                    let (how_to_wait, locks) = ("Runner::wait", Locks::default());
                    work(&Scope { store, migrations, reporter, stop, wait, how_to_wait, locks }).await
                })
            });
            // Nothing receives it if the future was dropped.
            let _ = sender.send(done);
        });
        thread.map_err(|error| Error::failed("no thread could be started for the migrations").caused_by(error))?;
        match receiver.await {
            Ok(Ok(done)) => done.map_err(opaque),
            Ok(Err(panic)) => Err(Error::failed(format!("the migrations panicked: {panic}"))),
            Err(_) => Err(Error::failed("the thread of the migrations ended early")),
        }
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("config", &self.config).field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// Connects to the database that the configuration names. `records`: for a run, which says what its commands do.
async fn connect(config: &Config, profile: &str, reporter: &Reporter, records: bool) -> Result<Store, Error> {
    let local = local::uri_for(config, profile, reporter).await?;
    let target = Target::of(config, local.as_deref()).await?;
    target.remarks.iter().for_each(|remark| reporter.remark(remark));
    let database = target.database.as_deref().unwrap_or_default();
    reporter.status("Database", format!("{database} on {}", target.hosts));
    let connection = connect::connect(&target, None, None, records).await?;
    Ok(Store::new(&connection, &config.migrations_collection))
}

async fn execute(scope: &Scope<'_>, dump_folder: Option<dump::Folder>) -> Result<Vec<String>, Failed> {
    let request = Request { subtask: "execute", goal: Goal::Execute(None), is_strict: false };
    let before = dump_folder.map(|folder| {
        async move || {
            // Its commands need not be recorded, and are faster so.
            let store = scope.store.without_records()?;
            let options = dump::Options { gzip: false, is_consistent: true, selection: None };
            Ok(Some(dump::take(&store, &folder, options, &scope.reporter).await?.name))
        }
    });
    let done = run::run(scope, &request, async |_| Ok(Confirmed::NotAsked), before).await?;
    Ok(done.executed())
}

/// An error if the service should not start.
async fn check(scope: &Scope<'_>) -> Result<(), Failed> {
    let view = run::read(&scope.store).await?;
    let known = standing::all(scope.migrations, &view);
    let cut_off = view.cut_off_restore().map(advice::cut_off);
    let open = status::open(&known);
    let unregistered = (!open.is_empty()).then(|| {
        Remark::new(format!("unregistered, failed or interrupted: {}", listed(open.iter().map(String::as_str))))
            .with_hint("run `cargo migrations execute` on this database first")
    });
    let remarks: Vec<Remark> = cut_off.into_iter().chain(advice::all_undecided(&known)).chain(unregistered).collect();
    if remarks.is_empty() { Ok(()) } else { Err(Error::of_remarks(ErrorKind::Check, remarks).into()) }
}

/// One error without passwords, whose message is one line with all problems and causes: a service usually logs only that line. What
/// to do next is its hint.
fn opaque(failed: Failed) -> Error {
    let Failed { done, error } = failed;
    let ours = error.downcast_ref::<Error>();
    let kind = ours.map_or(ErrorKind::Failed, Error::kind);
    let hint = hint_of(&*error).map(terminal::scrub);
    let opaque = Error::new(kind, terminal::scrub(&one_line(&error_text(&*error)))).after_executing(done.executed());
    match hint {
        Some(hint) => opaque.with_hint(hint),
        None => opaque,
    }
}

/// Several problems are a line each on a terminal, and one line in a log.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Asks the run to stop once the service drops the future.
struct AskOnDrop(Stop);

impl Drop for AskOnDrop {
    fn drop(&mut self) {
        self.0.ask();
    }
}
