use crate::error::{Error, Result};
use crate::manager::{Context, MigrationsManager};

/// Dumps the database. This version has no dump of its own yet: a manager that wants one overrides `dbdump`.
///
/// # Errors
/// Always, and nothing is touched: `execute` and `rollback` with `do_mongo_dump` stop here rather than go on without a dump.
pub async fn dbdump<M: MigrationsManager>(_: &M, _: &Context, _: Option<&str>) -> Result<()> {
    Err(Error::usage(
        "this version cannot dump a database by itself; override `dbdump` on the manager, or turn do_mongo_dump off",
    )
    .into())
}
