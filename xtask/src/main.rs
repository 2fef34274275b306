//! This repository's own migrations manager, and the example that its README shows: a small blog.

use cargo_migrations::prelude::*;

cargo_migrations::embedded!(mod migrations);

struct Migrations;

impl MigrationsManager for Migrations {
    fn config(&self) -> Config {
        // MONGO_URI, MONGO_DATABASE and so on take precedence. Without a server, a local one is started.
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
    cargo_migrations::run(Migrations, migrations::embedded())
}
