//! The built-in subtasks, one a file; `builtin` to users.

mod dbdump;
mod dumps;
mod execute;
mod help;
mod history;
mod ignore;
pub(super) mod list;
mod mongod;
mod restore;
mod rollback;
mod show_status;
mod unlock;

pub use dbdump::dbdump;
pub(crate) use dbdump::{OPTIONS as DUMP_OPTIONS, check as check_dump_options};
pub use dumps::dumps;
pub use execute::execute;
pub use help::help;
pub use history::history;
pub use ignore::ignore;
pub(crate) use mongod::mongod;
pub use restore::restore;
pub use rollback::rollback;
pub use show_status::show_status;
pub use unlock::unlock;

use crate::context::Context;
use crate::error::Result;
use crate::manager::MigrationsManager;
use crate::migration::names;
use crate::model::verb::Verb;
use crate::run::plan::Request;

/// What the line asks for.
async fn request<'c>(cx: &'c Context, verb: Verb, migration: Option<&str>) -> Result<Request<'c>> {
    let migration = migration.map(|word| names::find(cx.migrations(), word)).transpose()?;
    let has_transactions = cx.store().await?.has_transactions();
    Ok(Request { verb, migration, is_strict: cx.args().strict, has_transactions })
}

/// Dumps the database, where the configuration says so.
async fn dump_first<M: MigrationsManager>(manager: &M, cx: &Context) -> Result<()> {
    if cx.config().do_mongo_dump { manager.dbdump(cx, None).await } else { Ok(()) }
}
