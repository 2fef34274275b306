//! Migrations inside a service of the team's own: the same registry, lock and log as on the command line.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::builtin;
use crate::config::Config;
use crate::context::{Context, Line, Options, Site};
use crate::error::{Error, ErrorKind, Result};
use crate::line::flags::Args;
use crate::manager::MigrationsManager;
use crate::migration::Embedded;
use crate::process::panics;
use crate::process::runtime::Runtime;
use crate::process::stop::Stop;
use crate::report::{Hear, Message, Reporter};
use crate::run;
use crate::run::advice;
use crate::run::plan;
use crate::run::standing;
use crate::run::standing::Known;
use crate::terminal;

/// Runs migrations, or looks whether all are registered, inside a service: at start-up, as a rule.
///
/// Its lock and log are those of the command line: instances that start together run nothing twice, and
/// `cargo migrations history` shows what a service ran. The work is done on a thread of its own, so that the futures are `Send`
/// and go with any async runtime, and a migration that blocks holds up nothing else. A future that is dropped stops the run
/// after the migration under way.
///
/// `examples/service` of the repository is a whole one.
///
/// ```no_run
/// use std::time::Duration;
///
/// use cargo_migrations::Runner;
/// use cargo_migrations::prelude::*;
///
/// // With `cargo_migrations::embedded!(mod migrations);` at the top of `main.rs`; build.rs embeds the directory.
/// # mod migrations {
/// #     pub fn embedded() -> cargo_migrations::Embedded {
/// #         cargo_migrations::Embedded::from_migrations([])
/// #     }
/// # }
/// # async fn start() -> Result<()> {
/// let runner = Runner::new(Config::from_env(), migrations::embedded())
///     .wait(Duration::from_secs(60))
///     .on_message(|message| eprintln!("{}", message.text));
/// let executed = runner.execute().await?;
/// # Ok(())
/// # }
/// ```
pub struct Runner {
    config: Config,
    embedded: Arc<Embedded>,
    wait: Option<Duration>,
    hear: Arc<Hear>,
}

/// A service has no manager of its own.
struct Service;

impl MigrationsManager for Service {}

impl Runner {
    /// A runner of these migrations on the database that the configuration names.
    pub fn new(config: Config, embedded: Embedded) -> Self {
        Self { config, embedded: Arc::new(embedded), wait: None, hear: Arc::new(|_: &Message| {}) }
    }

    /// How long to wait where another run has the lock; without it that is an error. With several instances that start
    /// together, the first runs what is to be run, and the others wait until it is done.
    #[must_use]
    pub fn wait(mut self, duration: Duration) -> Self {
        self.wait = Some(duration);
        self
    }

    /// Hears of what is done, for the service's own log. Nothing is printed.
    #[must_use]
    pub fn on_message(mut self, hear: impl Fn(&Message) + Send + Sync + 'static) -> Self {
        self.hear = Arc::new(hear);
        self
    }

    /// Runs every unregistered migration, in order; the names of those that were run: `0002_slugs`.
    ///
    /// # Errors
    /// As the subtask `execute`: the configuration names no server or database, a migration or the server failed, another run
    /// has the lock ([`ErrorKind::Refused`]), or an interrupted migration needs a decision.
    pub async fn execute(&self) -> Result<Vec<String>, Error> {
        self.on_thread(async |cx| {
            builtin::execute(&Service, cx, None).await?;
            Ok(cx.reporter().executed())
        })
        .await
    }

    /// The migrations that are not registered, in order, be it that they are new, or that they failed or were interrupted.
    ///
    /// # Errors
    /// The configuration names no server or database, or the server failed.
    pub async fn unregistered(&self) -> Result<Vec<String>, Error> {
        self.on_thread(async |cx| unregistered(cx).await).await
    }

    /// Refuses to start where something is not registered, or needs a decision, as `show_status --check` does: an error of kind
    /// [`ErrorKind::Check`] that says what.
    ///
    /// # Errors
    /// That, or as [`unregistered`](Self::unregistered).
    pub async fn check(&self) -> Result<(), Error> {
        let problem = self.on_thread(async |cx| problem(cx).await).await?;
        problem.map_or(Ok(()), |problem| Err(Error::new(ErrorKind::Check, problem)))
    }

    /// Does the work on a thread and a runtime of its own.
    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl AsyncFnOnce(&Context) -> Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.embedded.check_files(", ")?;
        let stop = Stop::default();
        // Dropped together with this future.
        let _asks = AskOnDrop(stop.clone());
        let args = Args { wait: self.wait, yes: true, ..Args::default() };
        let (config, embedded, reporter) = (self.config.clone(), Arc::clone(&self.embedded), Reporter::of(&self.hear));
        let (sender, receiver) = oneshot::channel();
        let thread = std::thread::Builder::new().name("migrations".into()).spawn(move || {
            let done = panics::catch(|| {
                let runtime = Runtime::new()?;
                let line = Rc::new(Line { embedded, args, stop, held: RefCell::default(), sites: RefCell::default() });
                let cx = Context::new(line, Rc::new(Site::plain(config, reporter)), Options::default());
                runtime.run(work(&cx))
            });
            // Nobody waits any more when the future was dropped.
            let _ = sender.send(done);
        });
        thread.map_err(|error| Error::failed("no thread can be started for the migrations").caused_by(error))?;
        match receiver.await {
            Ok(Ok(done)) => done.map_err(opaque),
            Ok(Err(panic)) => Err(Error::failed(format!("it panicked: {panic}"))),
            Err(_) => Err(Error::failed("the thread of the migrations ended early")),
        }
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("config", &self.config).field("wait", &self.wait).finish_non_exhaustive()
    }
}

async fn unregistered(cx: &Context) -> Result<Vec<String>> {
    let view = run::read(cx, &cx.store().await?).await?;
    Ok(open(&standing::all(cx.migrations(), &view)))
}

fn open(known: &Known<'_, '_>) -> Vec<String> {
    let open = plan::status(known).into_iter().filter(|row| row.state.is_open());
    open.map(|row| crate::model::file_name::stem(row.name).to_owned()).collect()
}

/// What stands against starting.
async fn problem(cx: &Context) -> Result<Option<String>> {
    let view = run::read(cx, &cx.store().await?).await?;
    let known = standing::all(cx.migrations(), &view);
    let mut problems: Vec<String> = view.cut_off_restore().map(advice::cut_off).into_iter().collect();
    problems.extend(known.lost.iter().map(|attempt| advice::file_gone(attempt)));
    let undecided = known.standings.iter().filter(|standing| standing.needs_decision);
    problems.extend(undecided.filter_map(advice::decision_needed));
    let names = open(&known);
    if !names.is_empty() {
        let listed = crate::line::listed(names.iter().map(String::as_str));
        problems.push(format!("not registered: {listed}; run `cargo migrations execute` on this database first"));
    }
    Ok(if problems.is_empty() { None } else { Some(problems.join("; ")) })
}

/// One error whose message tells all, without passwords: a service logs that, as a rule, and no causes.
fn opaque(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let kind = error.downcast_ref::<Error>().map_or(ErrorKind::Failed, Error::kind);
    Error::new(kind, terminal::scrub(&run::error_text(&*error)))
}

struct AskOnDrop(Stop);

impl Drop for AskOnDrop {
    fn drop(&mut self) {
        self.0.ask();
    }
}
