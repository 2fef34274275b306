//! The scripts for the shells.

use crate::error::Error;
use crate::line::flags::COMPLETIONS;
use crate::line::program::{is_deployed, program};
use crate::line::words::listed;

/// A shell for which there is a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// The plugin's own file, which cargo runs.
const PLUGIN: &str = "cargo-migrations";

/// A line before the cursor that `cargo migrations` completes, as a regular expression. The flags of cargo itself can stand before
/// the subcommand.
const LINE: &str = "^([^[:space:]]*/)?cargo[[:space:]]+(([+-][^[:space:]]+|(--color|--config|-C|-Z)[[:space:]]+[^[:space:]]+)[[:space:]]+)*migrations[[:space:]]";

impl Shell {
    pub(crate) const NAMES: &[&str] = &["bash", "zsh", "fish"];

    /// The shell of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "bash" => Some(Self::Bash),
            "zsh" => Some(Self::Zsh),
            "fish" => Some(Self::Fish),
            _ => None,
        }
    }

    /// The shell that a task names, or an error that lists them.
    pub(crate) fn needed(name: Option<&str>) -> Result<Self, Error> {
        let Some(name) = name else {
            let tasks: Vec<String> = Self::NAMES.iter().map(|name| format!("{} {COMPLETIONS}:{name}", program())).collect();
            return Err(Error::usage(format!("{COMPLETIONS} needs a shell"))
                .with_hint(format!("write {}", listed(tasks.iter().map(String::as_str)))));
        };
        Self::named(name).ok_or_else(|| {
            Error::usage(format!("`{name}` is not a valid value for {COMPLETIONS}"))
                .with_hint(format!("its usage is `{COMPLETIONS}:{}`", Self::NAMES.join("|")))
        })
    }

    /// The part that every program needs, and the part that adds to cargo's own completion.
    fn parts(self) -> [&'static str; 2] {
        match self {
            Self::Bash => [include_str!("scripts/program.bash"), include_str!("scripts/cargo.bash")],
            Self::Zsh => [include_str!("scripts/program.zsh"), include_str!("scripts/cargo.zsh")],
            Self::Fish => [include_str!("scripts/program.fish"), include_str!("scripts/cargo.fish")],
        }
    }
}

/// Returns the script that completes this program's command line: `cargo migrations`, or the deployed manager by its own name.
pub(crate) fn script(shell: Shell) -> String {
    if is_deployed() { of_program(shell, program(), false) } else { of_program(shell, PLUGIN, true) }
}

fn of_program(shell: Shell, name: &str, with_cargo: bool) -> String {
    let [program, cargo] = shell.parts();
    let script = if with_cargo { format!("{program}\n{cargo}") } else { program.to_owned() };
    script.replace("@NAME@", &quoted(name)).replace("@LINE@", LINE).replace("@COMPLETE@", super::COMPLETE)
}

/// Quotes a word so that each of the shells reads it back. What cannot be written in all of them is left out.
fn quoted(word: &str) -> String {
    let plain: String = word.chars().filter(|c| !matches!(c, '\'' | '\\') && !c.is_control()).collect();
    format!("'{plain}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_has_its_scripts() {
        for name in Shell::NAMES {
            let shell = Shell::named(name).unwrap();
            let (plugin, deployed) = (of_program(shell, PLUGIN, true), of_program(shell, "migrate", false));
            assert!(plugin.contains("'cargo-migrations'") && plugin.contains(LINE), "{plugin}");
            assert!(deployed.contains("'migrate'") && !deployed.contains("cargo migrations"), "{deployed}");
            for script in [plugin, deployed] {
                assert!(!script.contains("@NAME@") && !script.contains("@LINE@") && !script.contains("@COMPLETE@"));
            }
        }
        assert_eq!(Shell::named("tcsh"), None);
    }

    #[test]
    fn the_line_of_cargo_migrations_is_recognized() {
        let line = regex::Regex::new(LINE).unwrap();
        for text in ["cargo migrations ", "cargo migrations exe", "/usr/bin/cargo +nightly -q --color always migrations --"]
        {
            assert!(line.is_match(text), "{text}");
        }
        for text in
            ["cargo migrations", "cargo mi", "cargo build migrations ", "cargo new -q migrations ", "xcargo migrations "]
        {
            assert!(!line.is_match(text), "{text}");
        }
    }
}
