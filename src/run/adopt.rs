//! The run that registers what another tool's records say is done.

use super::adoption::Adoption;
use super::{Confirmed, Done, Failed, Scope, advice, carry_out, check_rights, locked, ours, plan, read};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Run, View};

/// Registers what another tool's records say is done. `make` makes the plan from what is registered here.
pub(crate) async fn adopt<'m>(
    scope: &Scope<'m>,
    subtask: &'static str,
    command: String,
    make: impl Fn(&View) -> Result<Adoption<'m>, Error>,
    confirm: impl AsyncFnOnce(&Adoption<'m>) -> Result<Confirmed>,
) -> Result<Done, Failed> {
    let view = read(&scope.store).await?;
    if let Some(restore) = view.cut_off_restore() {
        return Err(Error::of_remarks(ErrorKind::Undecided, [advice::cut_off(restore)]).into());
    }
    let shown = make(&view)?;
    confirm(&shown).await?;
    if shown.plan.steps.is_empty() {
        return Ok(Done::default());
    }
    check_rights(scope, &shown.plan).await?;
    let run = Run::new(subtask, command);
    locked(scope, &run, async |lock, mut session| {
        let view = ours(&scope.store, scope.store.view(&mut session).await)?;
        let plan = make(&view)?.plan;
        if !plan.is_part_of(&shown.plan) {
            return Err(plan::more_than_confirmed().into());
        }
        if plan.steps.is_empty() {
            return Ok(Done::default());
        }
        carry_out(scope, lock, &view, &plan, None).await
    })
    .await
}
