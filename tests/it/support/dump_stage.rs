//! A database whose dumps go to the test's own folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use cargo_migrations::mongodb::bson::{Document, doc};
use cargo_migrations::mongodb::{Client, Database};

use super::{Outcome, TestDatabase, block_on, server_uri, simple};

/// A database, and a folder for its dumps.
pub(crate) struct DumpStage {
    pub(crate) database: TestDatabase,
    pub(crate) uri: String,
    pub(crate) folder: tempfile::TempDir,
}

impl DumpStage {
    pub(crate) fn new() -> Self {
        Self::on(server_uri())
    }

    pub(crate) fn on(uri: &str) -> Self {
        Self { database: TestDatabase::on(uri), uri: uri.to_owned(), folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn run(&self, args: &str) -> Outcome {
        let line = simple().line(args.split_whitespace()).on(&self.database).env("MONGO_URI", &self.uri);
        line.env("MONGO_DUMP_DIRECTORY", self.folder.path()).run()
    }

    /// Takes the manifest away from the only dump, as mongodump writes none. Returns the dump's path.
    pub(crate) fn forget_manifest(&self) -> PathBuf {
        let dump = self.folder.path().join(&self.dumps()[0]);
        fs::remove_file(dump.join("manifest.json")).unwrap();
        dump
    }

    pub(crate) async fn handle(&self) -> Database {
        Client::with_uri_str(&self.uri).await.unwrap().database(self.database.name())
    }

    pub(crate) fn command(&self, command: Document) -> Document {
        block_on(async { self.handle().await.run_command(command).await.unwrap() })
    }

    pub(crate) fn admin(&self, command: Document) {
        block_on(async {
            Client::with_uri_str(&self.uri).await.unwrap().database("admin").run_command(command).await.unwrap()
        });
    }

    /// The names of the complete dumps, and of everything else in the folder.
    pub(crate) fn dumps(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| name != ".gitignore");
        names.sort();
        names
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(self.dumps().last().unwrap()).join(self.database.name()).join(name)
    }

    /// The server's own checksum of each collection except the tool's lock and log.
    pub(crate) fn hashes(&self) -> BTreeMap<String, String> {
        let hashes = self.command(doc! { "dbHash": 1 });
        let hashes = hashes.get_document("collections").unwrap().iter();
        let ours = |name: &str| name == "migrations_lock" || name == "migrations_log";
        hashes
            .filter(|(name, _)| !ours(name))
            .map(|(name, hash)| (name.clone(), hash.as_str().unwrap().to_owned()))
            .collect()
    }

    /// The options and indexes of each collection, without what a restore cannot keep.
    pub(crate) fn catalog(&self) -> BTreeMap<String, String> {
        let list = self.command(doc! { "listCollections": 1 });
        let batch = list.get_document("cursor").unwrap().get_array("firstBatch").unwrap().clone();
        let mut catalog = BTreeMap::new();
        for info in batch.iter().map(|info| info.as_document().unwrap()) {
            let name = info.get_str("name").unwrap();
            if name.starts_with("system.") || name == "migrations_lock" || name == "migrations_log" {
                continue;
            }
            let mut indexes = Vec::new();
            if info.get_str("type").ok() != Some("view") {
                let reply = self.command(doc! { "listIndexes": name });
                let batch = reply.get_document("cursor").unwrap().get_array("firstBatch").unwrap().clone();
                indexes = batch.iter().map(ToString::to_string).collect();
                indexes.sort();
            }
            let options = info.get_document("options").unwrap();
            catalog.insert(name.to_owned(), format!("{} {options} {indexes:?}", info.get_str("type").unwrap()));
        }
        catalog
    }

    pub(crate) fn drop_all(&self) {
        block_on(async { self.handle().await.drop().await.unwrap() });
    }
}
