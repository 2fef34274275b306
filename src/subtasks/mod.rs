//! The built-in subtasks, one a file; `builtin` to users.

mod dbdump;
mod execute;
mod help;
mod ignore;
mod mongod;
mod rollback;
mod show_status;

pub use dbdump::dbdump;
pub use execute::execute;
pub use help::help;
pub use ignore::ignore;
pub(crate) use mongod::mongod;
pub use rollback::rollback;
pub use show_status::show_status;

use crate::error::{Error, Result};
use crate::manager::Context;
use crate::registry::{Entry, Registry};
use crate::report::{Event, Verb};
use crate::run::Plan;
use crate::{names, plan};

/// The registry's entries, and what people should know about them and the files before anything is done.
async fn read(cx: &Context, registry: &Registry) -> Result<Vec<Entry>> {
    for warning in plan::shared_numbers(cx.migrations()) {
        cx.reporter().warning(warning);
    }
    let entries = registry.read().await.map_err(|error| {
        let message = if crate::describe::is_authentication(&error) {
            "could not log in to the server".to_owned()
        } else {
            format!("the registry `{}` could not be read", registry.name())
        };
        Error::failed(message).caused_by(error)
    })?;
    Ok(entries)
}

/// What `execute` and `ignore` are to do: that one migration, or every unregistered one. `None`: nothing, and it was said.
async fn plan_unregistered<'c>(
    cx: &'c Context,
    verb: Verb,
    migration: Option<&str>,
) -> Result<Option<(Registry, Plan<'c>)>> {
    let registry = cx.registry().await?;
    let entries = read(cx, &registry).await?;
    let migrations = match migration {
        Some(word) => vec![plan::one_unregistered(names::find(cx.migrations(), word)?, &entries)?],
        None => plan::unregistered(cx.migrations(), &entries),
    };
    if migrations.is_empty() {
        cx.reporter().event(&Event::NothingToDo { verb, database: cx.database().await?.name() });
        return Ok(None);
    }
    Ok(Some((registry, Plan { verb, migrations, entries })))
}
