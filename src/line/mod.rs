//! The grammar of the command line's tasks, shared by the plugin and the manager.
//!
//! ```text
//! TASK   := NAME [ (':' | ',') OPTION (',' OPTION)* ]
//! OPTION := value | key=value          a backslash escapes ',' '=' ':' and itself
//! ```

pub(crate) mod flags;
pub(crate) mod program;
#[cfg(feature = "manager")]
pub(crate) mod quote;
pub(crate) mod words;

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// A task of the line: the name of a subtask or environment, and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) options: Vec<TaskOption>,
}

/// An option of a task, unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TaskOption {
    Plain(String),
    Keyed { key: String, value: String },
}

/// Why a word is not a valid task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TaskError {
    NoName,
    /// Nothing follows the separator, a `:` or `,`.
    EmptyOption {
        separator: char,
    },
    EmptyKey,
}

impl TaskError {
    /// Says what is wrong with the word.
    pub(crate) fn message(&self, word: &str) -> String {
        match self {
            Self::NoName => format!("`{word}` does not start with the name of a task"),
            Self::EmptyOption { .. } => format!("`{word}` has an empty option"),
            Self::EmptyKey => format!("`{word}` has an option that starts with `=`"),
        }
    }

    /// Says how to write the word.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoName => "write the name first, as in `execute:0002_x`".into(),
            Self::EmptyOption { separator } => format!("drop the `{separator}` or put a value after it"),
            Self::EmptyKey => "write `key=value`, or `\\=` for a value that starts with `=`".into(),
        }
    }
}

impl Task {
    /// Reads a word of the command line.
    ///
    /// # Errors
    /// The word is not a valid task.
    pub(crate) fn read(word: &str) -> Result<Self, Error> {
        word.parse().map_err(|error: TaskError| Error::usage(error.message(word)).with_hint(error.hint()))
    }
}

impl FromStr for Task {
    type Err = TaskError;

    fn from_str(word: &str) -> Result<Self, TaskError> {
        let (name, rest) = split_unescaped(word, &[':', ',']);
        if name.is_empty() {
            return Err(TaskError::NoName);
        }
        let mut options = Vec::new();
        let mut separator = if word[name.len()..].starts_with(':') { ':' } else { ',' };
        let mut rest = rest;
        while let Some(text) = rest {
            let (option, after) = split_unescaped(text, &[',']);
            options.push(TaskOption::read(option, separator)?);
            separator = ',';
            rest = after;
        }
        Ok(Self { name: unescape(name), options })
    }
}

impl TaskOption {
    /// Reads the option that follows the separator.
    fn read(text: &str, separator: char) -> Result<Self, TaskError> {
        match split_unescaped(text, &['=']) {
            ("", None) => Err(TaskError::EmptyOption { separator }),
            ("", Some(_)) => Err(TaskError::EmptyKey),
            (value, None) => Ok(Self::Plain(unescape(value))),
            (key, Some(value)) => Ok(Self::Keyed { key: unescape(key), value: unescape(value) }),
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.name))?;
        for (index, option) in self.options.iter().enumerate() {
            f.write_str(if index == 0 { ":" } else { "," })?;
            match option {
                TaskOption::Plain(value) => f.write_str(&escape(value))?,
                TaskOption::Keyed { key, value } => write!(f, "{}={}", escape(key), escape(value))?,
            }
        }
        Ok(())
    }
}

/// Splits the text at the first of `separators` that is not escaped with a backslash.
pub(crate) fn split_unescaped<'a>(text: &'a str, separators: &[char]) -> (&'a str, Option<&'a str>) {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if separators.contains(&c) {
            return (&text[..at], Some(&text[at + c.len_utf8()..]));
        }
    }
    (text, None)
}

/// Resolves escapes. A backslash before anything but `,`, `=`, `:` and itself stands for itself, as in Fabric.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(&next) if c == '\\' && matches!(next, ',' | '=' | ':' | '\\') => {
                out.push(next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, ',' | '=' | ':' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(value: &str) -> TaskOption {
        TaskOption::Plain(value.into())
    }

    fn keyed(key: &str, value: &str) -> TaskOption {
        TaskOption::Keyed { key: key.into(), value: value.into() }
    }

    fn task(name: &str, options: Vec<TaskOption>) -> Task {
        Task { name: name.into(), options }
    }

    #[test]
    fn both_separators_follow_the_name() {
        let expected = task("execute", vec![plain("001_test")]);
        assert_eq!("execute:001_test".parse(), Ok(expected.clone()));
        assert_eq!("execute,001_test".parse(), Ok(expected));
    }

    #[test]
    fn options_are_plain_or_keyed() {
        assert_eq!("restore:latest,to=copy".parse(), Ok(task("restore", vec![plain("latest"), keyed("to", "copy")])));
        assert_eq!("t:key=".parse(), Ok(task("t", vec![keyed("key", "")])));
        assert_eq!("t:a=b=c".parse(), Ok(task("t", vec![keyed("a", "b=c")])));
    }

    #[test]
    fn a_colon_in_an_option_needs_no_escape() {
        assert_eq!("t:http://x".parse(), Ok(task("t", vec![plain("http://x")])));
    }

    #[test]
    fn backslashes_escape_separators_and_themselves_and_nothing_else() {
        assert_eq!(r"t:a\,b\=c\:d\\e".parse(), Ok(task("t", vec![plain(r"a,b=c:d\e")])));
        assert_eq!(r"t:C\dir".parse(), Ok(task("t", vec![plain(r"C\dir")])));
        assert_eq!(r"t:end\".parse(), Ok(task("t", vec![plain(r"end\")])));
        assert_eq!(r"t:a\\,b".parse(), Ok(task("t", vec![plain(r"a\"), plain("b")])));
    }

    #[test]
    fn what_is_empty_is_refused() {
        for (word, error) in [
            ("", TaskError::NoName),
            (":x", TaskError::NoName),
            ("t:", TaskError::EmptyOption { separator: ':' }),
            ("t,", TaskError::EmptyOption { separator: ',' }),
            ("t:a,", TaskError::EmptyOption { separator: ',' }),
            ("t:,a", TaskError::EmptyOption { separator: ':' }),
            ("t:=v", TaskError::EmptyKey),
        ] {
            assert_eq!(word.parse::<Task>(), Err(error), "{word}");
        }
    }

    #[test]
    fn an_invalid_word_is_reported_with_a_hint() {
        let error = Task::read("execute:").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(error.to_string(), "`execute:` has an empty option");
        assert_eq!(error.hint(), Some("drop the `:` or put a value after it"));
    }

    fn option() -> impl Strategy<Value = TaskOption> {
        prop_oneof![
            r"[a-z,=:\\ é]{1,8}".prop_map(TaskOption::Plain),
            (r"[a-z,=:\\]{1,4}", r"[a-z,=:\\ é]{0,8}").prop_map(|(key, value)| TaskOption::Keyed { key, value }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(name in r"[a-z,=:\\]{1,8}", options in prop::collection::vec(option(), 0..4)) {
            let task = Task { name, options };
            prop_assert_eq!(task.to_string().parse(), Ok(task));
        }

        #[test]
        fn any_text_is_a_task_or_an_error_and_reads_back(word in r"[a-c,=:\\]{0,12}") {
            if let Ok(task) = word.parse::<Task>() {
                prop_assert_eq!(task.to_string().parse(), Ok(task));
            }
        }

        #[test]
        fn no_text_panics(word in any::<String>()) {
            let _ = word.parse::<Task>();
        }
    }
}
