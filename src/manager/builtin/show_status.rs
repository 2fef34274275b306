use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::manager::MigrationsManager;
use crate::model::state::State;
use crate::report::{Event, StatusOf, ago};
use crate::run;
use crate::run::advice;
use crate::run::plan;
use crate::run::standing;

/// Shows where each migration stands. Writes nothing to the database.
///
/// # Errors
/// The server failed, or `--check` found something unregistered, failed or interrupted.
pub async fn show_status<M: MigrationsManager>(_: &M, cx: &Context, _: Option<&str>) -> Result<()> {
    let store = cx.store().await?;
    let view = run::read(cx, &store).await?;
    let duplicates = plan::duplicate_names(&view.entries);
    if !duplicates.is_empty() {
        cx.reporter().warning(run::duplicates_warning(&store, &duplicates));
    }
    let known = standing::all(cx.migrations(), &view);
    let rows = plan::status(&known);
    let cut_off = view.cut_off_restore().map(advice::cut_off);
    let notes = cut_off.into_iter().chain(known.standings.iter().filter_map(note));
    let notes: Vec<String> = notes.chain(known.lost.iter().map(|attempt| advice::file_gone(attempt))).collect();
    let at_work = view.lease.as_ref().and_then(|lease| lease.live()).map(|holder| {
        format!(
            "{}@{} (pid {}) is at work on it: {}, for {}",
            holder.user,
            holder.host,
            holder.pid,
            holder.command,
            ago(holder.held_for)
        )
    });
    cx.reporter().event(&Event::Status(&StatusOf {
        database: store.database().name(),
        rows: &rows,
        notes: &notes,
        at_work,
    }));
    let open: Vec<State> = rows.iter().map(|row| row.state).filter(|state| state.is_open()).collect();
    let is_undecided = !known.lost.is_empty() || known.standings.iter().any(|standing| standing.needs_decision);
    if cx.args().check && (!open.is_empty() || is_undecided || view.cut_off_restore().is_some()) {
        let message = if open.is_empty() {
            "what is told above needs a decision".to_owned()
        } else if is_undecided {
            format!("{} not done, interrupted ones among them", crate::report::migrations(open.len()))
        } else {
            format!("{} not registered; `cargo migrations execute` runs what is left", crate::report::migrations(open.len()))
        };
        return Err(Error::new(ErrorKind::Check, message).into());
    }
    Ok(())
}

/// What is known of a migration beyond its state.
fn note(standing: &standing::Standing<'_, '_>) -> Option<String> {
    let attempt = standing.attempt?;
    let name = standing.migration.stem();
    match standing.state {
        State::Interrupted if standing.needs_decision => advice::decision_needed(standing),
        State::Interrupted => Some(format!(
            "{name} was interrupted ({}); it is transactional, so nothing of it took effect",
            advice::interrupted(attempt)
        )),
        State::Failed => Some(format!(
            "{name} failed ({}): {}",
            advice::interrupted(attempt),
            attempt.error.as_deref().unwrap_or("the log does not say why")
        )),
        _ => None,
    }
}
