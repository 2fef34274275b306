//! The indexes of the registry and the log. They are created only where the view does not show that they are there.

use super::Scope;
use super::plan::Plan;
use super::step::Step;
use super::warnings;
use crate::crash;
use crate::error::{Remark, describe};
use crate::line::words::listed;
use crate::store::{NoIndex, Store, View};

/// Whether a run with this plan creates an index first.
pub(super) fn lacks(view: &View, plan: &Plan<'_>) -> bool {
    !view.was_settled || names_are_new(plan) && !view.has_unique_names
}

/// Creates what is missing. Returns whether the server keeps the registry's names unique.
pub(super) async fn create(scope: &Scope<'_>, view: &View, plan: &Plan<'_>) -> bool {
    let is_unique = view.has_unique_names || names_are_new(plan) && keep_names_unique(scope, view).await;
    if !view.was_settled {
        // Only speed depends on it.
        let _ = scope.store.index_log().await;
        crash::point("indexes created");
    }
    is_unique
}

/// Whether the plan adds names to the registry.
fn names_are_new(plan: &Plan<'_>) -> bool {
    !plan.steps.iter().all(Step::is_removal)
}

/// Lets the server keep the registry's names unique, if it can. Returns whether it does.
async fn keep_names_unique(scope: &Scope<'_>, view: &View) -> bool {
    let duplicates = warnings::duplicate_names(&view.entries);
    if !duplicates.is_empty() {
        scope.reporter.remark(&duplicates_remark(&scope.store, &duplicates));
        return false;
    }
    match scope.store.keep_names_unique().await {
        Ok(()) => return true,
        Err(NoIndex::Duplicates) => scope.reporter.remark(&duplicates_remark(&scope.store, &[])),
        Err(NoIndex::Other(error)) => scope.reporter.warning(format!(
            "the server does not keep the names in `{}` unique ({}). Everything works without it",
            scope.store.registry_name(),
            describe::describe(&error)
        )),
    }
    false
}

/// How to clean up the duplicates that migopy may have left.
pub(crate) fn duplicates_remark(store: &Store, names: &[&str]) -> Remark {
    let which = if names.is_empty() { "some names".into() } else { listed(names.iter().copied()) };
    Remark::new(format!(
        "the registry `{}` has more than one document for {which}, so the server cannot keep the names unique",
        store.registry_name()
    ))
    .with_hint("delete all but one of the documents of each name")
}
