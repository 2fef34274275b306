//! `completions`: prints the script with which a shell completes the command line.

use crate::completion::{self, Shell};
use crate::context::Context;
use crate::error::Result;
use crate::line::flags::COMPLETIONS;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Group, Reach};
use crate::manager::texts::NOTHING;
use crate::model::right;

pub(super) const DECLARATION: Declaration = Declaration {
    name: COMPLETIONS,
    group: Group::Develop,
    summary: "Print the script with which a shell completes the line",
    about: "It completes subtasks, environments, migrations, dumps and flags, from the names that the last
run left. Nothing is built, and no server is asked.",
    first: First::NeedsOneOf(Shell::NAMES),
    options: &[],
    check: |options| Shell::needed(options.first()).map(|_| ()),
    reach: |_| Reach::Nothing,
    goal: None,
    asks: |_| Asks::Never,
    needs_files: false,
    flags: &[],
    common_flags: &[],
    writes: NOTHING,
    rights: right::NONE,
    exits: &[(0, "done"), (2, "no shell is named, or there is no script for it")],
    examples: &["completions:bash"],
};

/// Prints the script with which a shell (`bash`, `zsh` or `fish`) completes the command line of this program.
///
/// # Errors
/// There is no script for that shell, or none is named.
pub async fn completions<M: MigrationsManager>(_: &M, cx: &Context, shell: Option<&str>) -> Result<()> {
    let shell = Shell::needed(shell)?;
    cx.reporter().println(completion::script(shell).trim_end());
    Ok(())
}
