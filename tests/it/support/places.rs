//! A workspace whose manager knows many environments, each told by variables where it is.

use std::sync::OnceLock;

use super::Workspace;

/// Two migrations that leave a trace, one that is slow when told to, and environments of every kind.
pub(crate) fn places() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(|| {
        let workspace = Workspace::kept("it-places");
        workspace.manager_source(PLACES);
        workspace.tracing_migration("0001_a.rs");
        workspace.migration("0002_slow.rs", SLOW);
        workspace.tracing_migration("0003_c.rs");
        workspace.built_manager();
        workspace
    })
}

/// The manager.
pub(crate) const PLACES: &str = r#"
use cargo_migrations::prelude::*;

cargo_migrations::embedded!(mod migrations);

struct Migrations;

fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| format!("{}-is-not-set", name.to_lowercase()))
}

impl MigrationsManager for Migrations {
    fn subtasks(subtasks: Subtasks<Self>) -> Subtasks<Self> {
        subtasks
            .add("mytask", "Says where it is", Self::mytask)
            .environment("staging", "The staging cluster", |env| env.mongo_uri_var("STAGING_MONGO_URI"))
            .environment("production", "The real one\n\nMore of it.", |env| env.mongo_uri_var("STAGING_MONGO_URI").confirm())
            .environment("other", "Another database of the same server", |env| env.mongo_database(told("OTHER_DATABASE")))
            .environment("computed", "What the secret store says", |env| {
                env.configure(async |config| {
                    let store = std::fs::read_to_string(told("SECRET_STORE"))?;
                    Ok(config.mongo_host(store.trim()))
                })
            })
            .environment("tenants", "Every tenant", |env| env.databases_matching(told("TENANTS")))
            .environment("listed", "Two tenants", |env| {
                env.databases(told("LISTED").split(',').collect::<Vec<_>>()).at_once(2).fail_fast()
            })
            .environment("asked", "Every tenant, with a question", |env| env.databases_matching(told("TENANTS")).confirm())
            .environment("far", "On another host, the deployed manager", |env| {
                env.on_host(told("FAR_HOST")).manager("./manager").working_directory(told("FAR_FOLDER"))
            })
            .environment("checkout", "On another host, cargo in a checkout", |env| {
                env.on_host(told("FAR_HOST")).working_directory(told("FAR_FOLDER")).mongo_uri_var("CHECKOUT_MONGO_URI")
            })
            .environment("cautious", "On another host, with a question", |env| {
                env.on_host(told("FAR_HOST")).manager("./manager").working_directory(told("FAR_FOLDER")).confirm()
            })
            .environment("inside", "Through another host", |env| {
                env.ssh_tunnel(told("FAR_HOST")).mongo_uri_var("INSIDE_MONGO_URI")
            })
    }
}

impl Migrations {
    async fn mytask(&self, cx: &Context, option: Option<&str>) -> Result<()> {
        let database = cx.database().await?.name().to_owned();
        if option.is_some_and(|option| option == "fail") {
            return Err("paper jam".into());
        }
        cx.reporter().println(format!("{:?} {database} {option:?}", cx.environment()));
        Ok(())
    }
}

fn main() -> ExitCode {
    cargo_migrations::run(Migrations, migrations::embedded())
}
"#;

const SLOW: &str = r#"//! Takes its time when told to, and fails where it finds a stumbling block.
use cargo_migrations::prelude::*;

pub async fn up(db: &Db) -> Result<()> {
    let trace = db.collection::<Document>("trace");
    if db.collection::<Document>("stumbling_block").estimated_document_count().await? > 0 {
        return Err("stumbled".into());
    }
    match std::env::var("LEAK") {
        Ok(text) if std::env::var_os("PANIC").is_some() => panic!("{text}"),
        Ok(text) => {
            db.progress(1).set_message(&text);
            return Err(text.into());
        }
        Err(_) => {}
    }
    if let Some(ms) = std::env::var("SLOW_MS").ok().and_then(|ms| ms.parse::<u64>().ok()) {
        trace.insert_one(doc! { "did": "slow begins" }).await?;
        let progress = db.progress(ms / 20);
        for _ in 0..ms / 20 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            db.run_command(doc! { "ping": 1 }).await?;
            progress.inc(1);
        }
    }
    trace.insert_one(doc! { "did": "up 0002" }).await?;
    Ok(())
}

pub async fn down(db: &Database) -> Result<()> {
    db.collection::<Document>("trace").insert_one(doc! { "did": "down 0002" }).await?;
    Ok(())
}
"#;
