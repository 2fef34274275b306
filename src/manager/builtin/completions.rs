//! `completions`: prints the script with which a shell completes the command line.

use crate::completion::{self, Shell};
use crate::context::Context;
use crate::error::Result;
use crate::line::flags::COMPLETIONS;
use crate::manager::MigrationsManager;
use crate::manager::declaration::{Asks, Declaration, First, Reach};

pub(super) const DECLARATION: Declaration = Declaration {
    name: COMPLETIONS,
    help: "Print the script with which a shell completes the line

It completes subtasks, environments, migrations, dumps and flags, from the names
that the last run left. Nothing is built, and no server is asked.

$ completions:bash",
    first: First::NeedsOneOf(Shell::NAMES),
    options: &[],
    check: |options| Shell::needed(options.first()).map(|_| ()),
    reach: |_| Reach::Nothing,
    asks: |_| Asks::Never,
    needs_files: false,
    flags: &[],
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
