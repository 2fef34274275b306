//! Workspaces that many tests use, built once.

use std::sync::OnceLock;

use super::Workspace;

/// Three migrations that leave a trace, on a plain manager. For tests that change no file.
pub(crate) fn simple() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::kept("it-simple");
        for name in ["0001_a.rs", "0002_b.rs", "0010_c.rs"] {
            workspace.tracing_migration(name);
        }
        workspace.built_manager();
        workspace
    })
}

/// A manager that overrides and adds, told what to do by variables, and migrations of every kind.
pub(crate) fn blog() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::kept("it-blog");
        workspace.manager_source(MANAGER);
        workspace.tracing_migration("0001_first.rs");
        workspace.migration("0002_kinds.rs", KINDS);
        workspace.migration("0003_own_error.rs", OWN_ERROR);
        workspace.migration("0004_no_down.rs", NO_DOWN);
        workspace.migration("0005_panics.rs", PANICS);
        workspace.migration("0006_slow.rs", SLOW);
        workspace.built_manager();
        workspace
    })
}

const MANAGER: &str = r#"
use cargo_migrations::prelude::*;

cargo_migrations::embedded!(mod migrations);

struct Migrations;

async fn trace(cx: &Context, what: &str) -> Result<()> {
    cx.database().await?.collection::<Document>("trace").insert_one(doc! { "did": what }).await?;
    Ok(())
}

fn told(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

impl MigrationsManager for Migrations {
    fn config(&self) -> Config {
        Config::new().mongo_database("never_used").from_env()
    }

    fn subtasks(subtasks: Subtasks<Self>) -> Subtasks<Self> {
        let subtasks = subtasks
            .add("mytask", "Note what it was given\n\nAnd more, which the list does not show.", Self::mytask)
            .add("closure", "An async closure", async |_: &Self, cx: &Context, option: Option<&str>| {
                trace(cx, &format!("closure {option:?}")).await
            })
            .add("copy", "Takes more than one value", Self::copy)
            .takes(["to", "as"])
            .add("sync", "Works without awaiting", async |_: &Self, _: &Context, _: Option<&str>| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                println!("synchronous");
                Ok(())
            })
            .add("panic", "Panics", async |_: &Self, _: &Context, _: Option<&str>| panic!("out of ink"))
            .add("fail", "Returns an error", async |_: &Self, _: &Context, _: Option<&str>| Err("paper jam".into()))
            .add("refuse", "Returns an error of ours", async |_: &Self, _: &Context, _: Option<&str>| {
                Err(cargo_migrations::Error::new(cargo_migrations::ErrorKind::Refused, "not on a Friday").into())
            })
            .add("leak", "Returns an error with a connection string", async |_: &Self, _: &Context, _: Option<&str>| {
                Err("cannot reach mongodb://deploy:s3cr3t-word@db-1/blog".into())
            })
            .add("command", "Prints its own command line", async |m: &Self, cx: &Context, option: Option<&str>| {
                cx.reporter().println(m.cargo_command("mytask", option));
                Ok(())
            });
        if told("OTHER_DEFAULT") { subtasks.default("mytask") } else { subtasks }
    }

    async fn task_hook(&self, cx: &Context, subtask: &str, option: Option<&str>) -> Result<Flow> {
        if told("HOOKED") {
            trace(cx, &format!("hook {subtask} {option:?}")).await?;
        }
        if std::env::var("STOP_AT").is_ok_and(|at| at == subtask) {
            return Ok(Flow::Stop);
        }
        if std::env::var("FAIL_AT").is_ok_and(|at| at == subtask) {
            return Err("the hook said no".into());
        }
        Ok(Flow::Continue)
    }

    async fn execute(&self, cx: &Context, migration: Option<&str>) -> Result<()> {
        if told("AROUND") {
            trace(cx, "before execute").await?;
        }
        builtin::execute(self, cx, migration).await?;
        if told("AROUND") {
            trace(cx, "after execute").await?;
        }
        Ok(())
    }

    async fn dbdump(&self, cx: &Context, option: Option<&str>) -> Result<()> {
        if told("OWN_DUMP") {
            return trace(cx, "dump").await;
        }
        builtin::dbdump(self, cx, option).await
    }
}

impl Migrations {
    async fn mytask(&self, cx: &Context, option: Option<&str>) -> Result<()> {
        trace(cx, &format!("mytask {option:?}")).await
    }

    async fn copy(&self, cx: &Context, option: Option<&str>) -> Result<()> {
        let options = cx.options();
        trace(cx, &format!("copy {option:?} to {:?} as {:?}", options.get("to"), options.get("as"))).await
    }
}

fn main() -> ExitCode {
    cargo_migrations::run(Migrations, migrations::embedded())
}
"#;

const KINDS: &str = r#"//! Takes our database, and gives back the driver's errors.
use cargo_migrations::mongodb::error::Error;
use cargo_migrations::prelude::*;

pub async fn up(db: &Db) -> Result<(), Error> {
    let progress = db.progress(3).with_message("counting");
    for _ in 0..3 {
        progress.inc(1);
    }
    db.collection::<Document>("trace").insert_one(doc! { "did": "up 0002" }).await?;
    Ok(())
}

pub async fn down(db: &Database) -> std::result::Result<(), std::io::Error> {
    db.collection::<Document>("trace").insert_one(doc! { "did": "down 0002" }).await.map_err(std::io::Error::other)?;
    Ok(())
}
"#;

const OWN_ERROR: &str = r#"//! Fails when told to, with an error type of its own.
use cargo_migrations::prelude::*;

#[derive(Debug)]
pub struct OutOfCheese(String);

impl std::fmt::Display for OutOfCheese {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "out of cheese: {}", self.0)
    }
}

impl std::error::Error for OutOfCheese {}

pub async fn up(db: &Database) -> Result<(), OutOfCheese> {
    let error = |text: &str| OutOfCheese(text.to_owned());
    db.collection::<Document>("trace").insert_one(doc! { "did": "up 0003" }).await.map_err(|_| error("no trace"))?;
    if std::env::var_os("NO_CHEESE").is_some() { Err(error("redo from start")) } else { Ok(()) }
}

pub async fn down(_: &Database) -> Result<()> {
    Err("nothing goes back".into())
}
"#;

const NO_DOWN: &str = r#"// Has neither a description nor a down.
use cargo_migrations::prelude::*;

pub async fn up(db: &Database) -> Result<()> {
    db.collection::<Document>("trace").insert_one(doc! { "did": "up 0004" }).await?;
    Ok(())
}
"#;

const PANICS: &str = r#"//! Panics when told to.
use cargo_migrations::prelude::*;

pub async fn up(_: &Database) -> Result<()> {
    if std::env::var_os("PANIC").is_some() {
        panic!("index {} is out of the window", 7);
    }
    Ok(())
}
"#;

const SLOW: &str = r#"//! Takes its time when told to.
use cargo_migrations::prelude::*;

pub async fn up(db: &Database) -> Result<()> {
    let trace = db.collection::<Document>("trace");
    trace.insert_one(doc! { "did": "slow begins" }).await?;
    if let Some(ms) = std::env::var("SLOW_MS").ok().and_then(|ms| ms.parse().ok()) {
        // Blocks its thread, as careless code does.
        std::thread::sleep(std::time::Duration::from_millis(ms));
    }
    trace.insert_one(doc! { "did": "slow ends" }).await?;
    Ok(())
}
"#;
