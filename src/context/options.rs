//! The options of a task.

use crate::error::Error;
use crate::line::TaskOption;
use crate::migration::{Migration, names};

/// The options of a task: `a`, `b` and `to` = `c` of `copy:a,b,to=c`, their escapes resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The subtask that they are for.
    subtask: String,
    plain: Vec<String>,
    named: Vec<(String, String)>,
    /// The index of the migration that the first plain value names, if it is to name one.
    migration: Option<usize>,
    /// The options of the task that this one is about.
    about: Option<Box<Options>>,
}

/// The values that a subtask takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takes<'t> {
    pub(crate) first: bool,
    /// Further values, by name.
    pub(crate) names: &'t [&'t str],
    /// Whether plain values after the first fill the names in order.
    pub(crate) fills_names: bool,
}

impl Options {
    /// Takes the line's options. An error says what the subtask takes instead.
    pub(crate) fn new(subtask: &str, options: &[TaskOption], takes: Takes<'_>) -> Result<Self, String> {
        let Takes { first: takes_first, names, fills_names } = takes;
        let mut this = Self::only(subtask, None);
        let mut unnamed = names.iter().filter(|_| fills_names);
        let most = usize::from(takes_first) + if fills_names { names.len() } else { 0 };
        for option in options {
            let (name, value) = match option {
                TaskOption::Keyed { key, value } if names.contains(&key.as_str()) => (key.as_str(), value),
                TaskOption::Keyed { key, .. } => return Err(format!("no option `{key}`")),
                TaskOption::Plain(value) if takes_first && this.plain.is_empty() => {
                    this.plain.push(value.clone());
                    continue;
                }
                TaskOption::Plain(value) => match unnamed.next() {
                    Some(name) => {
                        this.plain.push(value.clone());
                        (*name, value)
                    }
                    None => return Err(one_too_many(value, most)),
                },
            };
            if this.get(name).is_some() {
                return Err(format!("`{name}` once, not twice"));
            }
            this.named.push((name.to_owned(), value.clone()));
        }
        Ok(this)
    }

    /// No options but a first plain value.
    pub(crate) fn only(subtask: &str, first: Option<&str>) -> Self {
        Self { subtask: subtask.to_owned(), plain: first.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    /// The options of a task that is about another one, whose name is its first plain value.
    pub(crate) fn about_task(subtask: &str, about: Self) -> Self {
        let first = about.subtask.clone();
        Self { about: Some(Box::new(about)), ..Self::only(subtask, Some(&first)) }
    }

    /// The subtask that they are for.
    pub(crate) fn subtask(&self) -> &str {
        &self.subtask
    }

    /// The options of the task that this one is about.
    pub(crate) fn about(&self) -> Option<&Self> {
        self.about.as_deref()
    }

    pub(crate) fn about_mut(&mut self) -> Option<&mut Self> {
        self.about.as_deref_mut()
    }

    /// The migration that `word` names. If it is the first plain value, that may have been looked up already.
    pub(crate) fn find_migration<'m>(&self, word: &str, migrations: &'m [Migration]) -> Result<&'m Migration, Error> {
        match self.migration {
            Some(index) if self.first() == Some(word) => Ok(&migrations[index]),
            _ => names::find(migrations, word),
        }
    }

    /// Notes which migration the first plain value names.
    pub(crate) fn set_migration(&mut self, index: usize) {
        self.migration = Some(index);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.plain.len() + self.named.len()
    }

    /// The values that were given by name.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.named.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first plain value: what the subtask gets as its `option`.
    pub fn first(&self) -> Option<&str> {
        self.plain.first().map(String::as_str)
    }

    /// All plain values, in order.
    pub fn plain(&self) -> impl Iterator<Item = &str> {
        self.plain.iter().map(String::as_str)
    }

    /// The value of a name that the subtask [takes](crate::Subtasks::takes).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.named.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a subtask takes that got one value too many.
fn one_too_many(value: &str, most: usize) -> String {
    match most {
        0 => format!("no value, and `{value}` is one"),
        1 => format!("one value at most, and `{value}` is a second one"),
        _ => format!("{most} values at most, and `{value}` is one more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Task;

    fn options(word: &str, names: &[&str]) -> Result<Options, String> {
        let task: Task = word.parse().unwrap();
        Options::new("t", &task.options, Takes { first: true, names, fills_names: true })
    }

    #[test]
    fn names_of_a_built_in_are_filled_by_key_only() {
        let options = |word: &str, first| {
            let task: Task = word.parse().unwrap();
            Options::new("t", &task.options, Takes { first, names: &["to", "run"], fills_names: false })
        };
        assert_eq!(options("t:a,to=b", true).unwrap().get("to"), Some("b"));
        assert_eq!(options("t:a,b", true), Err("one value at most, and `b` is a second one".into()));
        assert_eq!(options("t:b", false), Err("no value, and `b` is one".into()));
    }

    #[test]
    fn one_plain_value_is_the_most_unless_more_are_named() {
        assert_eq!(options("t:a", &[]).unwrap().first(), Some("a"));
        assert_eq!(options("t:a,b", &[]), Err("one value at most, and `b` is a second one".into()));
        assert_eq!(options("t:k=v", &[]), Err("no option `k`".into()));
    }

    #[test]
    fn names_are_filled_by_key_or_in_order() {
        assert_eq!(options("t:a,to=b", &["to"]).unwrap().get("to"), Some("b"));
        let by_place = options("t:a,b", &["to"]).unwrap();
        assert_eq!((by_place.get("to"), by_place.plain().count()), (Some("b"), 2));
        assert_eq!(options("t:to=b", &["to"]).unwrap().first(), None);
        assert_eq!(options("t:to=b,to=c", &["to"]), Err("`to` once, not twice".into()));
    }
}
