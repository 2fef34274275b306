//! Quotes a command line for a shell.

use super::{Task, TaskOption};

/// Returns `cargo migrations TASK`, quoted for a POSIX shell.
pub(crate) fn cargo_command(subtask: &str, option: Option<&str>) -> String {
    let options = option.into_iter().map(|option| TaskOption::Plain(option.to_owned())).collect();
    let task = Task { name: subtask.to_owned(), options }.to_string();
    // Only a NUL byte cannot be quoted, and no process argument can contain one.
    let quoted = shlex::try_quote(&task).map_or_else(|_| task.replace('\0', ""), |quoted| quoted.into_owned());
    format!("cargo migrations {quoted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_survives_a_shell_and_the_grammar() {
        for option in ["0001_a", "a b", "it's", "a,b=c:d", r"back\slash", "$HOME `x` \"y\""] {
            let command = cargo_command("mytask", Some(option));
            let words = shlex::split(&command).unwrap();
            assert_eq!(words.len(), 3, "{command}");
            let task: Task = words[2].parse().unwrap();
            assert_eq!(task.options, [TaskOption::Plain(option.to_owned())], "{command}");
        }
        assert_eq!(cargo_command("execute", None), "cargo migrations execute");
    }
}
