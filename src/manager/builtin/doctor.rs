//! `doctor`: what may keep runs from working.

use crate::context::Context;
use crate::doctor::{self, Patient};
use crate::error::chain::error_text;
use crate::error::{Error, ErrorKind, Remark, Result};
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach, any_values};
use crate::manager::texts::NOTHING;
use crate::manager::{MigrationsManager, Subtasks};
use crate::model::right;
use crate::report::{Diagnosis, Finding, Verdict};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "doctor",
    group: Group::Look,
    summary: "Look for what may keep runs from working",
    about: "It looks at the server and its replica set, the clocks, the rights that the user has and
each subtask needs, the lock, the migrations that need a person, the time-outs in the
connection string, what dumps and restores have left, and the mongod for local servers.
Each has a line, with what to do about it. What cannot be found out says why.",
    first: First::Nothing,
    options: &[],
    check: any_values,
    reach: |_| Reach::Database,
    goal: None,
    asks: |_| Asks::Never,
    // What is wrong with them is one of its findings.
    needs_files: false,
    flags: &[],
    common_flags: &["--format"],
    writes: NOTHING,
    rights: right::LOOKS,
    exits: &[
        (0, "nothing is wrong"),
        (2, "the command line or the configuration is wrong"),
        (4, "something is wrong"),
    ],
    examples: &["doctor", "doctor --format json"],
};

/// Looks for what may keep runs from working, and says what to do about it. It needs no right: what the user may not read is
/// reported as not known.
///
/// # Errors
/// Something is wrong (exit code 4), or the configuration names no server or database.
pub async fn doctor<M: MigrationsManager>(_: &M, cx: &Context, _: Option<&str>) -> Result<()> {
    let subtasks = Subtasks::<M>::of()?;
    let subtasks = subtasks.iter().filter_map(|subtask| Some((subtask.declaration()?.name, subtask.declaration()?.rights)));
    let patient = Patient { migrations: cx.migrations(), subtasks: subtasks.collect(), dumps: cx.dumps() };
    let store = match cx.store().await {
        Ok(store) => Ok(store),
        // A server that cannot be reached is a finding, and a wrong setting is an error as everywhere.
        Err(error) if error.kind() == ErrorKind::Failed => {
            let text = error_text(&error);
            Err(Remark { message: text, hint: error.hint().map(str::to_owned) })
        }
        Err(error) => return Err(error.into()),
    };
    let database = match &store {
        Ok(store) => store.database().name(),
        Err(_) => cx.site().database(),
    };
    let mut findings: Vec<Finding> =
        cx.problems().map(|problem| Finding::of_remark("files", Verdict::Wrong, problem)).collect();
    findings.extend(doctor::examine(&patient, store.as_ref()).await);
    cx.reporter().report(&Diagnosis { database, findings: &findings });
    let wrong: Vec<_> = findings.iter().filter(|finding| finding.is_wrong()).map(Finding::to_remark).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Error::of_remarks(ErrorKind::Check, wrong).into()) }
}
