//! The options of a task.

use crate::line::TaskOption;

/// The options of a task: `a`, `b` and `to` = `c` of `copy:a,b,to=c`, their escapes resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    plain: Vec<String>,
    named: Vec<(String, String)>,
    /// The index of the migration that the first plain value names, if it is to name one.
    migration: Option<usize>,
}

impl Options {
    /// Takes the line's options. Plain values after the first fill `names` in order. An error says what the subtask takes instead.
    pub(crate) fn new(options: &[TaskOption], takes_first: bool, names: &[&str]) -> Result<Self, String> {
        let mut this = Self::default();
        let mut unnamed = names.iter();
        let most = usize::from(takes_first) + names.len();
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

    /// Notes which migration the first plain value names.
    pub(crate) fn set_migration(&mut self, index: usize) {
        self.migration = Some(index);
    }

    pub(crate) fn migration(&self) -> Option<usize> {
        self.migration
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
        Options::new(&task.options, true, names)
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
