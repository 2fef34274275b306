//! This repository's own migrations manager, and the example that its README shows: a small blog.

use cargo_migrations::prelude::*;

struct Migrations;

impl MigrationsManager for Migrations {
    fn config(&self) -> Config {
        // What the environment sets (MONGO_URI, MONGO_DATABASE, …) wins; with no server named, a local one is used.
        Config::new().mongo_database("blog").from_env().or_local_server()
    }

    fn subtasks(subtasks: Subtasks<Self>) -> Subtasks<Self> {
        subtasks.add("count", "Count the documents of a collection, or of all", Self::count)
    }
}

impl Migrations {
    async fn count(&self, cx: &Context, collection: Option<&str>) -> Result<()> {
        let db = cx.database().await?;
        let names = match collection {
            Some(name) => vec![name.to_owned()],
            None => db.list_collection_names().await?,
        };
        for name in names {
            let count = db.collection::<Document>(&name).count_documents(doc! {}).await?;
            cx.reporter().println(format!("{name}: {count}"));
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    cargo_migrations::run(Migrations, cargo_migrations::embedded!())
}
