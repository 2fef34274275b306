//! Looks for what may keep runs from working. It changes nothing, and says of what it cannot find out why it cannot.

mod answer;
mod here;
mod privileges;
mod server;
mod state;

use crate::dump;
use crate::error::Remark;
use crate::migration::Migration;
use crate::model::right::Right;
use crate::report::{Finding, Verdict};
use crate::store::Store;

/// What there is to look at.
pub(crate) struct Patient<'p> {
    pub(crate) migrations: &'p [Migration],
    /// The subtasks, each with the rights that it needs.
    pub(crate) subtasks: Vec<(&'static str, &'static [Right])>,
    pub(crate) dumps: dump::Folder,
}

/// Looks at everything that can be looked at with that store, or without a connection.
pub(crate) async fn examine(patient: &Patient<'_>, store: Result<&Store, &Remark>) -> Vec<Finding> {
    let mut findings = vec![here::tool()];
    match store {
        Ok(store) => {
            let (of_server, of_rights, of_state) = tokio::join!(
                server::examine(store),
                privileges::examine(store, &patient.subtasks),
                state::examine(store, patient.migrations),
            );
            findings.extend(of_server);
            findings.extend(of_rights);
            findings.extend(of_state);
            findings.extend(here::time_limits(store));
        }
        Err(unreachable) => findings.push(Finding::of_remark("server", Verdict::Wrong, unreachable.clone())),
    }
    findings.push(here::dumps(&patient.dumps));
    findings.push(here::mongod().await);
    findings
}
