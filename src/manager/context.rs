//! What subtasks get: the database, the configuration in force, the task's options, and a place to report to.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use mongodb::Database;
use tokio::sync::OnceCell;

use crate::args::Args;
use crate::config::Config;
use crate::connect::{self, Connection};
use crate::dump;
use crate::error::Error;
use crate::line::TaskOption;
use crate::lock::Held;
use crate::migration::{Embedded, Migration};
use crate::mongod;
use crate::report::Reporter;
use crate::stop::Stop;
use crate::store::Store;

/// What a subtask works with. One is made for every task of the line.
#[derive(Debug)]
pub struct Context {
    shared: Rc<Shared>,
    options: Options,
}

/// What the tasks of one line share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) embedded: Embedded,
    pub(crate) args: Args,
    pub(crate) reporter: Reporter,
    pub(crate) stop: Stop,
    pub(crate) connection: OnceCell<Connection>,
    /// The lock that is held now.
    pub(crate) held: RefCell<Option<Rc<Held>>>,
    /// The dump that was taken last.
    pub(crate) last_dump: RefCell<Option<String>>,
}

/// The plugin tells where the workspace is.
const WORKSPACE_ROOT: &str = "CARGO_MIGRATIONS_WORKSPACE_ROOT";

impl Context {
    pub(crate) fn new(shared: Rc<Shared>, options: Options) -> Self {
        Self { shared, options }
    }

    /// The database, connected when first asked for.
    ///
    /// # Errors
    /// No server or database is named, or the server cannot be reached.
    pub async fn database(&self) -> Result<&Database, Error> {
        Ok(&self.connection().await?.database)
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The options of the task under way.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Where to say what is done.
    pub fn reporter(&self) -> &Reporter {
        &self.shared.reporter
    }

    /// The migrations, in the order in which they run.
    pub fn migrations(&self) -> &[Migration] {
        &self.shared.embedded.migrations
    }

    /// Whether the line answers every question with yes.
    pub fn yes(&self) -> bool {
        self.shared.args.yes
    }

    pub(crate) fn args(&self) -> &Args {
        &self.shared.args
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.shared.stop
    }

    /// What is stored of the database's migrations.
    pub(crate) async fn store(&self) -> Result<Store, Error> {
        let connection = self.connection().await?;
        Ok(Store::new(&connection.database, &self.config().migrations_collection, connection.has_transactions))
    }

    /// Where dumps are. A relative path is one of the workspace, or, without it, of the working folder.
    pub(crate) fn dumps(&self) -> dump::Folder {
        let path = &self.config().mongo_dump_directory;
        let root = std::env::var_os(WORKSPACE_ROOT).map(PathBuf::from).unwrap_or_default();
        dump::Folder::new(root.join(path))
    }

    /// Notes a dump that was taken, for the run that follows it.
    pub(crate) fn note_dump(&self, name: String) {
        *self.shared.last_dump.borrow_mut() = Some(name);
    }

    pub(crate) fn last_dump(&self) -> Option<String> {
        self.shared.last_dump.borrow().clone()
    }

    pub(crate) fn forget_dump(&self) {
        *self.shared.last_dump.borrow_mut() = None;
    }

    /// Notes which lock is held, so that it is given back however the process ends; `None`: no longer.
    pub(crate) fn hold(&self, held: Option<Rc<Held>>) {
        *self.shared.held.borrow_mut() = held;
    }

    /// The folder for the local server's data, or why this manager has none.
    pub(crate) fn local_server_directory(&self) -> Result<PathBuf, Error> {
        mongod::local::directory(self.shared.embedded.profile)
    }

    async fn connection(&self) -> Result<&Connection, Error> {
        self.shared
            .connection
            .get_or_try_init(async || {
                let config = &self.shared.config;
                let local = if config.local_server && !config.names_a_server() {
                    config.check()?;
                    Some(mongod::local::ensure(&self.local_server_directory()?, self.reporter()).await?.uri())
                } else {
                    None
                };
                let connection = connect::connect(config, local.as_deref()).await?;
                self.reporter().detail(
                    "Connected",
                    format!(
                        "to {}, database {}, registry {}",
                        connection.hosts,
                        connection.database.name(),
                        config.migrations_collection
                    ),
                );
                Ok(connection)
            })
            .await
    }
}

/// The options of a task: `a`, `b` and `to` = `c` of `copy:a,b,to=c`, their escapes resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    plain: Vec<String>,
    named: Vec<(String, String)>,
}

impl Options {
    /// Takes the line's options; plain values after the first fill `names` in order. An error says what does not fit.
    pub(crate) fn new(options: &[TaskOption], takes_first: bool, names: &[String]) -> Result<Self, String> {
        let mut this = Self::default();
        let mut unnamed = names.iter();
        for option in options {
            let (name, value) = match option {
                TaskOption::Keyed { key, value } if names.contains(key) => (key, value),
                TaskOption::Keyed { key, .. } => return Err(format!("no option `{key}`")),
                TaskOption::Plain(value) if takes_first && this.plain.is_empty() => {
                    this.plain.push(value.clone());
                    continue;
                }
                TaskOption::Plain(value) => match unnamed.next() {
                    Some(name) => {
                        this.plain.push(value.clone());
                        (name, value)
                    }
                    None => return Err(format!("no further value (`{value}`)")),
                },
            };
            if this.get(name).is_some() {
                return Err(format!("`{name}` once, not twice"));
            }
            this.named.push((name.clone(), value.clone()));
        }
        Ok(this)
    }

    /// The first plain value: what the subtask gets as its `option`.
    pub fn first(&self) -> Option<&str> {
        self.plain.first().map(String::as_str)
    }

    /// All plain values, in order.
    pub fn plain(&self) -> impl Iterator<Item = &str> {
        self.plain.iter().map(String::as_str)
    }

    /// The value of a name that the subtask [takes](super::Subtasks::takes).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Task;

    fn options(word: &str, names: &[&str]) -> Result<Options, String> {
        let task: Task = word.parse().unwrap();
        Options::new(&task.options, true, &names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn one_plain_value_is_the_most_unless_more_are_named() {
        assert_eq!(options("t:a", &[]).unwrap().first(), Some("a"));
        assert_eq!(options("t:a,b", &[]), Err("no further value (`b`)".into()));
        assert_eq!(options("t:k=v", &[]), Err("no option `k`".into()));
    }

    #[test]
    fn names_are_filled_by_key_or_in_order() {
        assert_eq!(options("t:a,to=b", &["to"]).unwrap().get("to"), Some("b"));
        let by_place = options("t:a,b", &["to"]).unwrap();
        assert_eq!((by_place.get("to"), by_place.plain().count()), (Some("b"), 2));
        assert_eq!(options("t:to=b", &["to"]).unwrap().first(), None);
        assert_eq!(options("t:to=b,to=c", &["to"]), Err("`to` once, not twice".into()));
    }
}
