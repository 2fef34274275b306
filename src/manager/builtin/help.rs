//! `help`: the subtasks and environments.

use crate::context::Context;
use crate::environment::Environment;
use crate::error::Result;
use crate::line::flags::help_of;
use crate::line::program::{is_deployed, program};
use crate::manager::declaration::{Asks, Declaration, First, Group, Named, Reach, ValueKind, any_values};
use crate::manager::texts::{MIGRATIONS, NOTHING};
use crate::manager::subtask::{Subtask, first_paragraph};
use crate::manager::{MigrationsManager, Subtasks};
use crate::model::PLUGIN_SUBTASKS;
use crate::model::right::{self, On, Right};
use crate::report::columns;
use crate::store::{BACKFILLS, LOCK, LOG};

pub(super) const DECLARATION: Declaration = Declaration {
    name: "help",
    group: Group::Look,
    summary: "List the subtasks, or describe one",
    about: "SUBTASK is the name of a subtask or an environment.",
    first: First::Subtask,
    options: &[],
    check: any_values,
    reach: |_| Reach::Nothing,
    goal: None,
    asks: |_| Asks::Never,
    needs_files: false,
    flags: &[],
    common_flags: &[],
    writes: NOTHING,
    rights: right::NONE,
    exits: &[
        (0, "done"),
        (2, "there is no such subtask"),
    ],
    examples: &["help", "help:execute"],
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
    cx.reporter().println(format!(
        "Usage: {program} [FLAGS] [TASK...]\n\nTasks, run from left to right:\n{}\n{}\
         A migration is named by file name, stem or number. `{program} help:NAME`\n\
         describes a task. `{program} --help` lists the flags.",
        listed(&subtasks),
        environments(subtasks.environments())
    ));
    Ok(())
}

/// The subtasks in their groups.
fn listed<M>(subtasks: &Subtasks<M>) -> String {
    let mut rows: Vec<(Group, Vec<String>)> = subtasks
        .iter()
        .map(|subtask| {
            let default = if subtask.name() == subtasks.default_name() { " (default)" } else { "" };
            let cells = vec![format!("  {}", subtask.short_usage()), format!("{}{default}", subtask.summary())];
            (subtask.group(), cells)
        })
        .collect();
    if !is_deployed() {
        let usages = PLUGIN_SUBTASKS.map(|subtask| vec![format!("  {}", subtask.usage()), subtask.help.to_owned()]);
        rows.extend(usages.map(|cells| (Group::Develop, cells)));
    }
    rows.sort_by_key(|(group, _)| Group::ALL.iter().position(|other| other == group));
    let (groups, cells): (Vec<Group>, Vec<Vec<String>>) = rows.into_iter().unzip();
    let table = columns(&cells, None);
    let mut text = String::new();
    let mut before = None;
    for (group, line) in groups.into_iter().zip(table.lines()) {
        if before.replace(group) != Some(group) {
            text.push_str(&format!("\n{}:\n", group.title()));
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// How wide the text is that is laid out here.
const WIDTH: usize = 80;

/// The page of `help:NAME`.
fn described<M>(subtask: &Subtask<M>, program: &str) -> String {
    let usage = format!("{program} {}\n\n", subtask.usage());
    match subtask.declaration() {
        Some(declaration) => usage + page(declaration, program).trim_end(),
        None => usage + subtask.own_help(),
    }
}

/// What is declared about a built-in subtask, as people read it.
fn page(declaration: &Declaration, program: &str) -> String {
    let Declaration { summary, about, first, options, flags, common_flags, writes, exits, examples, .. } = declaration;
    let mut text = format!("{summary}\n");
    for paragraph in about.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        text.push_str(&format!("\n{}\n", wrapped(paragraph, 0)));
    }
    let mut values = Vec::new();
    if is_about_migrations(*first, options) {
        values.push(("MIGRATION".to_owned(), "a file name, a stem or a number: `0002_x.rs`, `0002_x`, `2`".to_owned()));
    }
    values.extend(options.iter().map(|Named { name, value, help, .. }| (format!("{name}={value}"), (*help).to_owned())));
    section(&mut text, "Values:", &values);
    let names = flags.iter().map(|flag| flag.as_str()).chain(common_flags.iter().copied());
    let flags: Vec<_> = names.map(|name| (name.to_owned(), help_of(name))).collect();
    section(&mut text, &format!("Flags (`{program} --help` lists all):"), &flags);
    text.push_str("\nExamples:\n");
    for example in *examples {
        // An example is written without the program, which has another name where the manager is deployed.
        text.push_str(&format!("$ {program} {example}\n"));
    }
    text.push_str(&format!("\n{}\n", wrapped(&format!("Writes to the database: {writes}."), 0)));
    text.push_str(&format!("{}\n", wrapped(&format!("Needs these rights: {}.", rights_needed(declaration)), 0)));
    let exits: Vec<_> = exits.iter().map(|(code, meaning)| (code.to_string(), (*meaning).to_owned())).collect();
    section(&mut text, "Exit codes:", &exits);
    text
}

/// The rights of a declaration, and the role that has them.
fn rights_needed(declaration: &Declaration) -> String {
    let Declaration { rights, writes, .. } = declaration;
    if rights.is_empty() {
        return "none".to_owned();
    }
    let each = rights.iter().map(|Right { on, actions, is_for_standalone }| {
        let on = match on {
            On::Registry => "`migrations`".to_owned(),
            On::Log => format!("`{LOG}`"),
            On::Lock => format!("`{LOCK}`"),
            On::Backfills => format!("`{BACKFILLS}`"),
            On::Database => "every collection of the database".to_owned(),
        };
        let server = if *is_for_standalone { " of a standalone server" } else { "" };
        format!("{} on {on}{server}", actions.join(", "))
    });
    let more = if *writes == MIGRATIONS { ", in addition to what the migrations need" } else { "" };
    format!("{}; as in the role {}{more}", each.collect::<Vec<_>>().join("; "), right::role(rights))
}

/// Whether a value names a migration, so that its forms are to be explained.
fn is_about_migrations(first: First, options: &[Named]) -> bool {
    let in_first = match first {
        First::Migration
        | First::MigrationWithoutFile
        | First::NeedsMigration
        | First::MigrationOrNamed
        | First::NeedsMigrationWithoutFile
        | First::NeedsPlace { .. } => true,
        First::Anything | First::Nothing | First::NeedsDump | First::Subtask | First::Task | First::OneOf(_) | First::NeedsOneOf(_) => false,
    };
    in_first || options.iter().any(|named| named.kind != ValueKind::Text)
}

/// Adds names and what they mean below a heading, if there are any.
fn section(text: &mut String, heading: &str, rows: &[(String, String)]) {
    let Some(longest) = rows.iter().map(|(name, _)| name.chars().count()).max() else { return };
    text.push_str(&format!("\n{heading}\n"));
    for (name, meaning) in rows {
        text.push_str(&format!("{name:<longest$}  {}\n", wrapped(meaning, longest + 2)));
    }
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
        let start = "migrate execute[:MIGRATION|to=…]\n\nRun the unregistered migrations, or one\n\n";
        assert!(execute.starts_with(start), "{execute}");
        for part in [
            "\nMIGRATION     a file name, a stem or a number",
            "\nto=MIGRATION  run what is unregistered up to",
            "\n$ migrate execute:0002_x --wait 60s\n",
            "\n3    refused: ",
            "\n--strict  refuse what is otherwise",
            "\n--wait    ",
            "\nWrites to the database: the registry, ",
            "\nNeeds these rights: find, insert, ",
        ] {
            assert!(execute.contains(part), "{part}: {execute}");
        }
        assert!(!execute.contains("--check"), "{execute}");
        assert!(text("show_status").contains("\n--check   exit 4 if "), "{}", text("show_status"));
        assert!(!text("check").contains("Flags"), "{}", text("check"));
    }

    #[test]
    fn every_page_is_complete() {
        for subtask in Subtasks::<Plain>::of().unwrap().iter() {
            let Some(declaration) = subtask.declaration() else { continue };
            let name = declaration.name;
            for text in [declaration.summary, declaration.about, declaration.writes] {
                assert!(!text.is_empty(), "{name}");
            }
            assert!(declaration.exits.iter().any(|(code, _)| *code == 0), "{name}");
            assert!(declaration.exits.iter().any(|(code, _)| *code == 2), "{name}");
            assert!(declaration.exits.is_sorted(), "{name}");
            for flag in declaration.common_flags {
                assert!(!help_of(flag).is_empty(), "{name}: there is no {flag}");
            }
            assert!(!declaration.examples.is_empty(), "{name}");
            for example in declaration.examples {
                let word = example.split(' ').next().unwrap();
                let task: crate::line::Task = word.parse().unwrap();
                assert_eq!(task.name, name, "{example}");
                if declaration.first != First::Task {
                    subtask.read(&task).unwrap();
                }
            }
        }
    }

    #[test]
    fn the_list_has_groups() {
        let list = listed(&Subtasks::<Plain>::of().unwrap());
        let groups: Vec<&str> = list.lines().filter(|line| line.ends_with(':')).collect();
        assert_eq!(groups, Group::ALL.map(|group| format!("{}:", group.title())));
        let own = list.split("Your own:\n").nth(1).unwrap();
        assert!(own.starts_with("  copy[:VALUE]"), "{list}");
    }

    #[test]
    fn every_built_in_fits_the_width_and_has_one_line_in_the_list() {
        for subtask in Subtasks::<Plain>::of().unwrap().iter() {
            assert!(subtask.summary().chars().count() <= 70, "{}", subtask.name());
            // The usage is one line, however many values there are.
            for line in described(subtask, "cargo migrations").lines().skip(1) {
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
