//! `show_status`: where each migration stands.

use crate::context::Context;
use crate::error::{Error, ErrorKind, Remark, Result};
use crate::line::flags::TaskFlag;
use crate::line::program::program;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, any_values};
use crate::manager::texts::NOTHING;
use crate::model::State;
use crate::model::right;
use crate::report::{Status, migrations};
use crate::run::{self, advice, standing, status, warnings};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "show_status",
    group: Group::Look,
    summary: "Show which migrations are registered",
    about: "The states are registered, ignored (registered without running), unregistered, failed,
interrupted, and missing (registered, but without a file). What is unregistered or
failed is what `execute` would run; `plan` shows it in order.",
    first: First::Nothing,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    goal: None,
    asks: |_| Asks::Never,
    needs_files: true,
    flags: &[TaskFlag::Check],
    common_flags: &["--format"],
    writes: NOTHING,
    rights: right::LOOKS,
    exits: &[
        (0, "done, whatever the states are"),
        (1, "the server failed"),
        (2, "the command line, the configuration or the files are wrong"),
        (4, "`--check` found something"),
    ],
    examples: &["show_status --check", "show_status --format json"],
};

/// Shows where each migration stands. Writes nothing to the database.
///
/// # Errors
/// The server failed, or `--check` found a migration that is unregistered, failed or interrupted, or that has no file.
pub async fn show_status<M: MigrationsManager>(_: &M, cx: &Context, _: Option<&str>) -> Result<()> {
    let store = cx.store().await?;
    cx.tell_shared_numbers();
    let view = run::read(&store).await?;
    let duplicates = warnings::duplicate_names(&view.entries);
    if !duplicates.is_empty() {
        cx.reporter().remark(&run::duplicates_remark(&store, &duplicates));
    }
    let known = standing::all(cx.migrations(), &view);
    let cut_off = view.cut_off_restore().map(advice::cut_off);
    let decisions: Vec<Remark> = advice::all_undecided(&known).into_iter().chain(advice::renumbered(&known, |_| true)).collect();
    let is_undecided = cut_off.is_some() || !decisions.is_empty();
    let rows = status::rows(&known);
    let open = rows.iter().filter(|row| row.state.is_open()).count();
    let missing = known.missing.len();
    let remarks = cut_off.into_iter().chain(known.files.iter().filter_map(remark)).chain(decisions);
    let remarks = remarks.chain(warnings::of_another_program(&known.files)).chain(advice::without_file(&known)).collect();
    let at_work = super::at_work(&view);
    let fails_check = cx.args().check && (open > 0 || missing > 0 || is_undecided);
    cx.reporter().report(&Status { database: store.database().name(), rows, remarks, at_work, fails_check });
    if fails_check {
        return Err(check_failed(open, missing, is_undecided).into());
    }
    Ok(())
}

fn check_failed(open: usize, missing: usize, is_undecided: bool) -> Error {
    let are = |count| if count == 1 { "is" } else { "are" };
    let found = [
        (open > 0).then(|| format!("{} {} unregistered, failed or interrupted", migrations(open), are(open))),
        (missing > 0).then(|| format!("{} {} missing", migrations(missing), are(missing))),
        is_undecided.then(|| "a decision is needed".to_owned()),
    ];
    let found: Vec<String> = found.into_iter().flatten().collect();
    let hint = if missing > 0 || is_undecided {
        "see the warnings above".to_owned()
    } else {
        format!("run `{} execute`", program())
    };
    Error::new(ErrorKind::Check, found.join("; ")).with_hint(hint)
}

/// What is known about a migration in addition to its state, unless it needs a decision.
fn remark(standing: &standing::Standing<'_, '_>) -> Option<Remark> {
    let attempt = standing.attempt?;
    let name = standing.migration.stem();
    let what = advice::interrupted(attempt);
    match standing.state {
        State::Interrupted if standing.is_half_done => advice::to_be_run_again(standing),
        State::Interrupted => {
            Some(Remark::new(format!("{name} was interrupted ({what}), and had no effect since it is transactional")))
        }
        State::Failed => {
            let why = attempt.error.as_deref().unwrap_or("the log does not say why");
            Some(Remark::new(format!("{name} failed ({what}): {why}")))
        }
        _ => None,
    }
}
