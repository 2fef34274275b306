//! The flags of the line, as clap has them.

use clap::{CommandFactory as _, ValueHint};

use crate::line::flags::Args;

/// A flag of the line.
#[derive(Debug)]
pub(super) struct Flag {
    /// Its long name: `--format`.
    pub(super) name: String,
    pub(super) help: String,
    /// What follows it. `None` if it takes no value.
    pub(super) value: Option<Value>,
    /// Whether it may be given more than once.
    pub(super) is_repeated: bool,
}

/// What follows a flag.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Words(Vec<String>),
    Environment,
    Path,
    /// Something of which there is no list.
    Other,
}

/// Returns all flags.
pub(super) fn all() -> Vec<Flag> {
    let mut definition = Args::command();
    definition.build();
    let flags = definition.get_arguments().filter(|argument| !argument.is_hide_set());
    flags.filter_map(|argument| Some(flag(argument, argument.get_long()?))).collect()
}

fn flag(argument: &clap::Arg, long: &str) -> Flag {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let takes_value = argument.get_action().takes_values();
    Flag {
        name: format!("--{long}"),
        help: help.lines().next().unwrap_or_default().to_owned(),
        value: takes_value.then(|| value(argument)),
        is_repeated: matches!(argument.get_action(), clap::ArgAction::Count),
    }
}

fn value(argument: &clap::Arg) -> Value {
    let words: Vec<String> = argument.get_possible_values().iter().map(|possible| possible.get_name().to_owned()).collect();
    let is_path = matches!(argument.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath);
    match argument.get_id().as_str() {
        "env" => Value::Environment,
        _ if !words.is_empty() => Value::Words(words),
        _ if is_path => Value::Path,
        _ => Value::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_flag_comes_from_its_definition() {
        let flags = all();
        let value = |name: &str| flags.iter().find(|flag| flag.name == name).unwrap().value.as_ref();
        assert_eq!(value("--env"), Some(&Value::Environment));
        assert_eq!(value("--format"), Some(&Value::Words(vec!["human".into(), "json".into()])));
        assert_eq!(value("--manifest-path"), Some(&Value::Path));
        assert_eq!(value("--wait"), Some(&Value::Other));
        for name in ["--yes", "--release", "--help", "--version"] {
            assert_eq!(value(name), None, "{name}");
        }
    }
}
