//! `check`: the files, their numbers and the manager, without a server.

use crate::context::Context;
use crate::error::{Error, ErrorKind, Remark, Result};
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, any_values};
use crate::manager::texts::NOTHING;
use crate::model::right;
use crate::report::Checked;
use crate::run::warnings;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "check",
    group: Group::Look,
    summary: "Check the migration files and the manager, without a server",
    about: "It checks the names and numbers of the files, their functions, and the configuration,
and reports everything that is wrong as one error. It fits in CI.",
    first: First::Nothing,
    options: &[],
    check: any_values,
    reach: |_| Reach::Configuration,
    goal: None,
    asks: |_| Asks::Never,
    // It reports what is wrong with them, together with everything else.
    needs_files: false,
    flags: &[],
    common_flags: &[],
    writes: NOTHING,
    rights: right::NONE,
    exits: &[
        (0, "nothing is wrong"),
        (2, "something is wrong, or the command line is"),
    ],
    examples: &["check"],
};

/// Checks the migration files, their numbers, and the manager's configuration. It needs no server.
///
/// # Errors
/// One error names everything that is wrong. Exit code 2.
pub async fn check<M: MigrationsManager>(_: &M, cx: &Context, _: Option<&str>) -> Result<()> {
    let mut problems: Vec<Remark> = cx.problems().collect();
    problems.extend(warnings::shared_numbers(cx.migrations()));
    problems.extend(cx.config().check().err().map(Remark::from));
    if problems.is_empty() {
        cx.reporter().report(&Checked { migrations: cx.migrations().len() });
        return Ok(());
    }
    Err(Error::of_remarks(ErrorKind::Usage, problems).into())
}
