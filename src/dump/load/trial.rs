//! Creates empty collections under temporary names, so that what the server refuses is known before anything is changed.

use mongodb::Database;

use super::fill::{SMALL_AT_A_TIME, each};
use super::plan::Plan;
use super::{definition, server, views};
use crate::crash;
use crate::dump::catalog::Kind;
use crate::dump::verify::Part;
use crate::error::{Error, Result};
use crate::process::stop::Stop;

/// What to do if the server refuses a definition.
const HINT: &str = "the database was not changed: restore the other collections with `only=`, or restore into a server of the version \
                    that the dump is from";

/// Creates every collection of the plan with its indexes, and its views. What is renamed later stays, and is still empty.
pub(super) async fn create_all(database: &Database, plan: &Plan<'_>, restore: i64, cancel: &Stop) -> Result<()> {
    let name_of = |part: &Part| plan.temporary_name(database.name(), restore, &part.collection.name);
    let collections = plan.renamed.iter().chain(&plan.in_place);
    each(collections, SMALL_AT_A_TIME, cancel, async |part: &&Part| create(database, part, &name_of(part)).await).await?;
    for view in &plan.views {
        let mut options = definition::options(&view.collection);
        let source = views::source(&view.collection).to_owned();
        let is_temporary = |part: &&&Part| part.collection.name == source;
        if plan.renamed.iter().chain(&plan.in_place).chain(&plan.views).any(|part| is_temporary(&part)) {
            options.insert("viewOn", plan.temporary_name(database.name(), restore, &source));
        }
        let created = server::create(database, &name_of(view), &options).await;
        created.map_err(|error| refused(&format!("the view {}", view.collection.name), error))?;
    }
    for part in plan.views.iter().rev().chain(&plan.in_place) {
        server::drop(database, &name_of(part))
            .await
            .map_err(|error| refused("a collection that was only tried out", error))?;
    }
    crash::point("temporary collections created");
    Ok(())
}

async fn create(database: &Database, part: &Part, name: &str) -> Result<()> {
    let (collection, of) = (&part.collection, &part.collection.name);
    let options = definition::options(collection);
    let indexes = definition::indexes(collection);
    // An index creates its collection.
    if !options.is_empty() || indexes.is_empty() || collection.kind != Kind::Collection {
        let created = server::create(database, name, &options).await;
        created.map_err(|error| refused(&format!("the options of the collection {of}"), error))?;
    }
    if !indexes.is_empty() {
        let created = server::create_indexes(database, name, &indexes).await;
        created.map_err(|error| refused(&format!("the indexes of the collection {of}"), error))?;
    }
    Ok(())
}

fn refused(what: &str, error: mongodb::error::Error) -> Error {
    super::failed(&format!("the server refuses {what}"), HINT, error)
}
