//! Whether the user may write to the registry, before a migration runs.
//!
//! A run writes to the lock and the log before its first migration, but to the registry only after it. A user without the right to
//! do that would change the data, and could not register it. The server itself is asked, with writes that match nothing: it checks
//! the rights of those too, whatever grants them.

use mongodb::bson::{Bson, doc};
use mongodb::error::Result;

use super::{LEASE_ID, Store, new_id};
use crate::error::codes::{self, code_of};

impl Store {
    /// Fails if the user lacks a right on the registry. Does nothing on a connection without a login. `writes` and `removes` say what
    /// the run is going to do.
    pub(crate) async fn check_rights(&self, writes: bool, removes: bool) -> Result<()> {
        if !self.connection.has_login {
            return Ok(());
        }
        let may_write = async {
            if !writes {
                return Ok(());
            }
            let nothing = doc! { "$match": { "_id": LEASE_ID, "$expr": false } };
            let merge = doc! { "into": &self.registry, "on": "_id", "whenMatched": "replace", "whenNotMatched": "insert" };
            only_refusals(self.lock().aggregate([nothing, doc! { "$merge": merge }]).await.map(|_| ()))
        };
        let may_remove = async {
            if !removes {
                return Ok(());
            }
            let nothing = doc! { "_id": new_id(), "name": Bson::Null };
            only_refusals(self.registry().delete_one(nothing).await.map(|_| ()))
        };
        futures_util::try_join!(may_write, may_remove).map(|_| ())
    }
}

/// Any other error is reported where the run meets it.
fn only_refusals(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if code_of(&error) == Some(codes::UNAUTHORIZED) => Err(error),
        _ => Ok(()),
    }
}
