//! A database of a test's own, on the server that all tests share.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use cargo_migrations::mongod::Throwaway;
use cargo_migrations::mongodb::bson::{Document, doc};
use cargo_migrations::mongodb::{Client, Collection, Database};
use tokio::runtime::Runtime;

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime")).block_on(future)
}

/// The shared server's connection string, without a database.
pub(crate) fn server_uri() -> &'static str {
    // Statics are never dropped: the server ends with this process.
    static SERVER: OnceLock<(Option<Throwaway>, String)> = OnceLock::new();
    let (_, uri) = SERVER.get_or_init(|| match std::env::var("CARGO_MIGRATIONS_TEST_URI") {
        Ok(uri) if !uri.is_empty() => (None, uri),
        _ => {
            let server = block_on(Throwaway::replica_set()).expect("a mongod for the tests");
            let uri = server.uri();
            (Some(server), uri)
        }
    });
    uri
}

/// A database that is dropped when the test ends, unless the test failed.
pub(crate) struct TestDatabase {
    database: Database,
}

impl TestDatabase {
    pub(crate) fn new() -> Self {
        Self::on(server_uri())
    }

    /// A database on another server.
    pub(crate) fn on(uri: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("it_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let database = block_on(async { Client::with_uri_str(uri).await.expect("a client").database(&name) });
        Self { database }
    }

    pub(crate) fn name(&self) -> &str {
        self.database.name()
    }

    /// Has the server's profiler note every operation on it (2), or none (0).
    pub(crate) fn profile(&self, level: i32) {
        block_on(self.database.run_command(doc! { "profile": level }).into_future()).expect("a profiler");
    }

    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    pub(crate) fn insert(&self, collection: &str, documents: impl IntoIterator<Item = Document>) {
        let documents: Vec<_> = documents.into_iter().collect();
        block_on(self.collection(collection).insert_many(documents).into_future()).expect("an insert");
    }

    /// All documents of a collection, in the order of their insertion.
    pub(crate) fn documents(&self, collection: &str) -> Vec<Document> {
        block_on(async {
            let mut cursor = self.collection(collection).find(doc! {}).sort(doc! { "$natural": 1 }).await.expect("a find");
            let mut documents = Vec::new();
            while cursor.advance().await.expect("a batch") {
                documents.push(cursor.deserialize_current().expect("a document"));
            }
            documents
        })
    }

    /// The registry's names, in order.
    pub(crate) fn registered(&self) -> Vec<String> {
        let mut names: Vec<_> =
            self.documents("migrations").iter().map(|entry| entry.get_str("name").expect("a name").to_owned()).collect();
        names.sort();
        names
    }

    /// What the migrations of the fixtures wrote: `up 0001`, `down 0001`, …
    pub(crate) fn trace(&self) -> Vec<String> {
        self.documents("trace").iter().map(|entry| entry.get_str("did").expect("a trace").to_owned()).collect()
    }

    pub(crate) fn collections(&self) -> Vec<String> {
        let mut names = block_on(self.database.list_collection_names().into_future()).expect("a list");
        names.sort();
        names
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_note(&format!("the database {} is kept while its server runs", self.name()));
        } else {
            let _ = block_on(self.database.drop().into_future());
        }
    }
}

#[expect(clippy::print_stderr, reason = "it is shown with the failure of the test")]
fn print_note(text: &str) {
    eprintln!("{text}");
}

/// A shared replica set of one member with fault injection. It aborts a transaction after three seconds.
pub(crate) fn faulty_server() -> &'static Throwaway {
    static SERVER: OnceLock<Throwaway> = OnceLock::new();
    SERVER.get_or_init(|| {
        let parameters = ["--setParameter", "enableTestCommands=1", "--setParameter", "transactionLifetimeLimitSeconds=3"];
        block_on(Throwaway::replica_set_with(&parameters)).expect("a mongod for the tests")
    })
}

/// A shared standalone server.
pub(crate) fn standalone_server() -> &'static Throwaway {
    static SERVER: OnceLock<Throwaway> = OnceLock::new();
    SERVER.get_or_init(|| block_on(Throwaway::start(&[])).expect("a mongod for the tests"))
}
