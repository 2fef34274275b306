//! `help`: the subtasks and environments.

use crate::context::Context;
use crate::environment::Environment;
use crate::error::Result;
use crate::line::flags::TaskFlag;
use crate::line::program::{is_deployed, program};
use crate::manager::declaration::{Asks, Declaration, First, Reach, any_values};
use crate::manager::subtask::Subtask;
use crate::manager::{MigrationsManager, Subtasks};
use crate::model::PLUGIN_SUBTASKS;
use crate::report::columns;

pub(super) const DECLARATION: Declaration = Declaration {
    name: "help",
    help: "List the subtasks, or describe one

SUBTASK is the name of a subtask or an environment.

$ help:execute",
    first: First::Subtask,
    options: &[],
    check: any_values,
    reach: |_| Reach::Nothing,
    asks: |_| Asks::Never,
    needs_files: false,
    flags: &[],
};

/// Lists the subtasks, built in and the manager's own, with their help texts; or describes one.
///
/// # Errors
/// There is no such subtask.
pub async fn help<M: MigrationsManager>(_: &M, cx: &Context, subtask: Option<&str>) -> Result<()> {
    let subtasks = Subtasks::<M>::of()?;
    let program = program();
    if let Some(environment) = subtask.and_then(|name| subtasks.environment_named(name)) {
        let text = format!("{program} {} TASK\n\n{}", environment.name, environment.help);
        cx.reporter().println(text);
        return Ok(());
    }
    if let Some(name) = subtask {
        cx.reporter().println(described(subtasks.find(name)?, program));
        return Ok(());
    }
    let mut rows: Vec<Vec<String>> = subtasks
        .iter()
        .map(|subtask| {
            let default = if subtask.name() == subtasks.default_name() { " (default)" } else { "" };
            vec![format!("  {}", subtask.short_usage()), format!("{}{default}", first_paragraph(subtask.help()))]
        })
        .collect();
    if !is_deployed() {
        rows.extend(PLUGIN_SUBTASKS.map(|subtask| vec![format!("  {}", subtask.usage()), subtask.help.to_owned()]));
    }
    let table = columns(&rows, None);
    let environments = environments(subtasks.environments());
    cx.reporter().println(format!(
        "Usage: {program} [FLAGS] [TASK...]\n\nTasks, run from left to right:\n{table}\n{environments}\
         A migration is named by file name, stem or number. `{program} --help` lists the flags."
    ));
    Ok(())
}

/// How wide the text is that is laid out here.
const WIDTH: usize = 80;

/// The text of `help:NAME`: usage, help, and the flags that go with it.
fn described<M>(subtask: &Subtask<M>, program: &str) -> String {
    let mut text = format!("{program} {}\n\n", subtask.usage());
    if subtask.is_built_in() {
        // An example is written without the program, which has another name where the manager is deployed.
        let lines = subtask.help().lines().map(|line| match line.strip_prefix("$ ") {
            Some(tasks) => format!("$ {program} {tasks}"),
            None => line.to_owned(),
        });
        text.push_str(&lines.collect::<Vec<_>>().join("\n"));
    } else {
        text.push_str(subtask.help());
    }
    let flags: Vec<TaskFlag> = TaskFlag::all().filter(|flag| subtask.takes_flag(*flag)).collect();
    if !flags.is_empty() {
        text.push_str(&format!("\n\nFlags that go with it (`{program} --help` lists the others):"));
    }
    for flag in flags {
        text.push_str(&format!("\n{:<10} {}", flag.as_str(), wrapped(&flag.help(), 11)));
    }
    text
}

/// Breaks a text into lines between its words. All lines but the first are indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// The environments, if there are any.
fn environments(environments: &[Environment]) -> String {
    if environments.is_empty() {
        return String::new();
    }
    let rows = environments.iter().map(|env| vec![format!("  {}", env.name), first_paragraph(&env.help)]);
    format!(
        "Environments, written before the tasks that run in them (`staging execute`):\n{}\n",
        columns(&rows.collect::<Vec<_>>(), None)
    )
}

/// A column has room for one line.
fn first_paragraph(help: &str) -> String {
    let first = help.trim().lines().take_while(|line| !line.trim().is_empty());
    first.map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    impl MigrationsManager for Plain {
        fn subtasks(subtasks: Subtasks<Self>) -> Subtasks<Self> {
            subtasks.add("copy", "Copy it\n\n$ as it is written", async |_: &Self, _: &Context, _: Option<&str>| Ok(()))
        }
    }

    fn text(name: &str) -> String {
        described(Subtasks::<Plain>::of().unwrap().find(name).unwrap(), "migrate")
    }

    #[test]
    fn a_built_in_is_described_with_an_example_and_its_flags() {
        let execute = text("execute");
        assert!(
            execute.starts_with("migrate execute[:MIGRATION]\n\nRun the unregistered migrations, or one\n\n"),
            "{execute}"
        );
        for part in ["\n$ migrate execute:0002_x --wait 60s\n", "\n3    refused: ", "\n--strict   refuse what is otherwise"]
        {
            assert!(execute.contains(part), "{part}: {execute}");
        }
        assert!(!execute.contains("--check"), "{execute}");
        assert!(text("show_status").contains("\n--check    exit 4 if "), "{}", text("show_status"));
        assert!(!text("ignore").contains("Flags that"), "{}", text("ignore"));
    }

    #[test]
    fn every_built_in_fits_the_width_and_has_one_line_in_the_list() {
        for subtask in Subtasks::<Plain>::of().unwrap().iter() {
            assert!(first_paragraph(subtask.help()).chars().count() <= 70, "{}", subtask.name());
            for line in described(subtask, "cargo migrations").lines() {
                assert!(line.chars().count() <= WIDTH + 8, "{line}");
            }
        }
    }

    #[test]
    fn the_help_of_a_teams_own_is_left_as_it_is() {
        assert_eq!(text("copy"), "migrate copy[:VALUE]\n\nCopy it\n\n$ as it is written");
    }

    #[test]
    fn words_are_kept_together() {
        let text = "word ".repeat(30);
        let lines: Vec<String> = wrapped(&text, 11).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("           word") && lines[0].chars().count() <= WIDTH - 11, "{lines:?}");
        assert_eq!(wrapped("", 11), "");
    }
}
