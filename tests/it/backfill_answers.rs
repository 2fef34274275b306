//! Answers of the server that do not arrive: the command is sent again, by the driver and then by us, and has taken effect twice.

use cargo_migrations::prelude::*;
use cargo_migrations::{Embedded, Migration, Runner};

use super::support::{Proxy, TestDatabase, Then, block_on, faulty_server};

/// Whatever a process takes without learning of it is not left undone.
#[test]
fn every_document_is_done_whichever_answers_are_lost() {
    let server = faulty_server();
    for exactly_once in [false, true] {
        let mut lost = 0;
        // Those before are the lock's.
        for pass in 2..8 {
            let (database, proxy) = (TestDatabase::on(&server.uri()), Proxy::start(server.port()));
            database.insert("users", (0..300).map(|n| doc! { "_id": n, "n": 0 }));
            let config = Config::new().mongo_uri(proxy.uri()).mongo_database(database.name());
            let migration = Migration::new("0001_backfill.rs", async move |db: &Db| {
                let mut backfill = db.backfill("users").reads(["n"]).in_flight(1);
                if exactly_once {
                    backfill = backfill.exactly_once();
                }
                let done = backfill.each(|_: Document| -> Result<Write> { Ok(Write::set("n", 1)) }).await?;
                assert_eq!(done.read, 300, "exactly once: {exactly_once}, {pass}");
                Result::<()>::Ok(())
            });
            // The driver sends a command a second time, which the server recognizes. It does not recognize ours.
            proxy.catch("findAndModify", pass, 2, Then::LoseAnswer);
            block_on(Runner::new(config, Embedded::from_migrations([migration])).execute()).unwrap();
            lost += usize::from(proxy.let_go(2));
            let users = database.documents("users");
            assert!(users.iter().all(|user| user.get_i32("n").unwrap() == 1), "exactly once: {exactly_once}, {pass}");
        }
        assert!(lost > 3, "{lost}");
    }
}
