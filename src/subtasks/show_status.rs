use crate::error::{Error, ErrorKind, Result};
use crate::manager::{Context, MigrationsManager};
use crate::report::{Event, StatusOf, ago};
use crate::status::State;
use crate::{plan, run, standing};

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
    let (standings, beside) = standing::all(cx.migrations(), &view);
    let rows = plan::status(&standings, &beside);
    let notes: Vec<String> = standings.iter().filter_map(note).collect();
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
    if cx.args().check && !open.is_empty() {
        let interrupted = standings.iter().any(|standing| standing.needs_decision);
        let message = if interrupted {
            format!("{} not done, interrupted ones among them", crate::report::migrations(open.len()))
        } else {
            format!("{} not registered; `cargo migrations execute` runs what is left", crate::report::migrations(open.len()))
        };
        return Err(Error::new(ErrorKind::Unregistered, message).into());
    }
    Ok(())
}

/// What is known of a migration beyond its state.
fn note(standing: &standing::Standing<'_, '_>) -> Option<String> {
    let attempt = standing.attempt?;
    let name = standing.migration.stem();
    match standing.state {
        State::Interrupted if standing.needs_decision => plan::decision_needed(standing),
        State::Interrupted => Some(format!(
            "{name} was interrupted ({}); it is transactional, so nothing of it took effect",
            plan::interrupted(attempt)
        )),
        State::Failed => Some(format!(
            "{name} failed ({}): {}",
            plan::interrupted(attempt),
            attempt.error.as_deref().unwrap_or("the log does not say why")
        )),
        _ => None,
    }
}
