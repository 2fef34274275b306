//! What can be at the cursor, after the words before it.

use super::flags::{self, Flag, Value};
use super::vocabulary::{Named, Names, Subtask, Values};
use super::{Candidate, Offer};
use crate::line::split_unescaped;

/// The words before the cursor.
struct Before<'w> {
    flags: Vec<Flag>,
    /// The names of the tasks and environments.
    tasks: Vec<&'w str>,
    /// The flags, without their values.
    used: Vec<&'w str>,
    /// The flag whose value is at the cursor.
    open: Option<usize>,
}

/// Returns what the current word can become. `before` has the words between the program's name and that one.
pub(super) fn offer(before: &[String], current: &str, names: &Names) -> Offer {
    if current.contains('\\') {
        // It has been unquoted, and would have to be quoted again.
        return Offer::Candidates(Vec::new());
    }
    let before = Before::read(before);
    if let Some(open) = before.open {
        return value(&before.flags[open], "", current, names);
    }
    let with_value = current.split_once('=').and_then(|(name, text)| {
        let flag = before.flags.iter().find(|flag| flag.name == name && flag.value.is_some())?;
        Some((flag, name, text))
    });
    if let Some((flag, name, text)) = with_value {
        return value(flag, &format!("{name}="), text, names);
    }
    if current.starts_with('-') {
        return Offer::Candidates(flags(&before, current, names));
    }
    let candidates = match split_unescaped(current, &[':', ',']) {
        (_, None) => tasks(&before, current, names),
        (name, Some(text)) => match subtasks(names).find(|subtask| subtask.named.name == name) {
            Some(subtask) => options(subtask, current, text, names),
            None => Vec::new(),
        },
    };
    Offer::Candidates(candidates)
}

impl<'w> Before<'w> {
    fn read(words: &'w [String]) -> Self {
        let mut this = Self { flags: flags::all(), tasks: Vec::new(), used: Vec::new(), open: None };
        for word in words {
            if this.open.take().is_some() {
                continue;
            }
            if !word.starts_with('-') {
                this.tasks.push(split_unescaped(word, &[':', ',']).0);
                continue;
            }
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            this.used.push(name);
            let takes_next = |flag: &Flag| flag.name == name && flag.value.is_some() && value.is_none();
            this.open = this.flags.iter().position(takes_next);
        }
        this
    }
}

fn subtasks(names: &Names) -> impl Iterator<Item = &Subtask> {
    names.vocabulary.subtasks.iter().chain(&names.alone)
}

/// The values of a flag. `prefix` is the flag itself if the value is in the same word.
fn value(flag: &Flag, prefix: &str, text: &str, names: &Names) -> Offer {
    let plain = |words: &[String]| words.iter().map(|word| named(word, "")).collect();
    let values: Vec<Named> = match &flag.value {
        Some(Value::Path) => return Offer::Paths,
        Some(Value::Words(words)) => plain(words),
        Some(Value::Environment) => names.vocabulary.environments.clone(),
        Some(Value::Other) | None => Vec::new(),
    };
    let fitting = values.into_iter().filter(|value| value.name.starts_with(text));
    Offer::Candidates(fitting.map(|value| candidate(format!("{prefix}{}", value.name), &value.help)).collect())
}

fn named(name: &str, help: &str) -> Named {
    Named { name: name.to_owned(), help: help.to_owned() }
}

fn candidate(word: String, help: &str) -> Candidate {
    Candidate { word, help: help.to_owned() }
}

/// The flags that can still be given. One that goes with certain subtasks only is offered if one of these is on the line, or no
/// subtask is.
fn flags(before: &Before<'_>, current: &str, names: &Names) -> Vec<Candidate> {
    let is_taken = |flag: &Flag| {
        let mut takers = subtasks(names).filter(|subtask| subtask.flags.contains(&flag.name)).peekable();
        let is_for_some = takers.peek().is_some();
        let is_environment = |task: &&str| names.vocabulary.environments.iter().any(|env| env.name == **task);
        !is_for_some
            || before.tasks.iter().all(is_environment)
            || takers.any(|subtask| before.tasks.contains(&subtask.named.name.as_str()))
    };
    let is_used = |flag: &Flag| !flag.is_repeated && before.used.contains(&flag.name.as_str());
    let fitting = before.flags.iter().filter(|flag| flag.name.starts_with(current) && !is_used(flag) && is_taken(flag));
    fitting.map(|flag| candidate(flag.name.clone(), &flag.help)).collect()
}

/// The subtasks and environments that can follow the tasks before.
fn tasks(before: &Before<'_>, current: &str, names: &Names) -> Vec<Candidate> {
    let is_alone = |task: &&str| names.alone.iter().any(|subtask| subtask.named.name == **task);
    if before.tasks.iter().any(is_alone) {
        return Vec::new();
    }
    let alone = names.alone.iter().filter(|_| before.tasks.is_empty());
    let subtasks = names.vocabulary.subtasks.iter().chain(alone);
    let environments = names.vocabulary.environments.iter();
    // Between two environments there has to be a task.
    let follows_environment = before.tasks.last().is_some_and(|task| environments.clone().any(|env| env.name == *task));
    let environments = environments.filter(|_| !follows_environment && !before.used.contains(&"--env"));

    let subtasks: Vec<&Subtask> = subtasks.filter(|subtask| subtask.named.name.starts_with(current)).collect();
    let environments: Vec<&Named> = environments.filter(|environment| environment.name.starts_with(current)).collect();
    let is_only = subtasks.len() + environments.len() == 1;
    let mut candidates = Vec::new();
    for subtask in subtasks {
        let Named { name, help } = &subtask.named;
        if !subtask.needs_value {
            candidates.push(candidate(name.clone(), help));
        }
        // The shell then leaves the cursor after the name, where a person writes a space or a `:`.
        if subtask.needs_value || takes_known(subtask) && (is_only || name == current) {
            candidates.push(candidate(format!("{name}:"), help));
        }
    }
    candidates.extend(environments.into_iter().map(|environment| candidate(environment.name.clone(), &environment.help)));
    candidates
}

/// Whether there is something to offer after its name.
fn takes_known(subtask: &Subtask) -> bool {
    !matches!(subtask.values, Values::Nothing | Values::Unknown) || !subtask.options.is_empty()
}

/// The values at the end of `word`, which is a task. `text` is what follows its name.
fn options(subtask: &Subtask, word: &str, text: &str, names: &Names) -> Vec<Candidate> {
    let mut open = text;
    let mut given = Vec::new();
    while let (option, Some(rest)) = split_unescaped(open, &[',']) {
        given.push(option);
        open = rest;
    }
    let prefix = &word[..word.len() - open.len()];
    let key = |option: &str| split_unescaped(option, &['=']).1.map(|_| split_unescaped(option, &['=']).0.to_owned());
    let keys: Vec<String> = given.iter().filter_map(|option| key(option)).collect();
    let left: Vec<&String> = subtask.options.iter().filter(|option| !keys.contains(option)).collect();

    let has_first = keys.len() < given.len();
    let values = if has_first { Vec::new() } else { first_values(subtask, names) };
    let values: Vec<Named> = values.into_iter().filter(|value| value.name.starts_with(open)).collect();
    let keys: Vec<&String> = left.iter().copied().filter(|option| option.starts_with(open)).collect();
    let is_only = values.len() + keys.len() == 1;
    let mut candidates = Vec::new();
    for Named { name, help } in &values {
        candidates.push(candidate(format!("{prefix}{name}"), help));
        if !left.is_empty() && (is_only || name == open) {
            candidates.push(candidate(format!("{prefix}{name},"), help));
        }
    }
    candidates.extend(keys.into_iter().map(|option| candidate(format!("{prefix}{option}="), "")));
    candidates
}

/// What is known of the subtask's first value. Names that would have to be quoted are left out.
fn first_values(subtask: &Subtask, names: &Names) -> Vec<Named> {
    let plain = |words: &[String]| words.iter().map(|word| named(word, "")).collect::<Vec<_>>();
    let mut values = match &subtask.values {
        Values::Nothing | Values::Unknown => Vec::new(),
        Values::Migrations => plain(&names.migrations),
        Values::Dumps => plain(&names.dumps),
        Values::Words(words) => plain(words),
        Values::Subtasks => {
            let subtasks = names.vocabulary.subtasks.iter().map(|subtask| &subtask.named);
            subtasks.chain(&names.vocabulary.environments).cloned().collect()
        }
    };
    values.retain(|value| value.name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+')));
    values
}

#[cfg(test)]
mod tests {
    use super::super::{Vocabulary, answer};
    use super::*;

    fn subtask(name: &str, values: Values, needs_value: bool) -> Subtask {
        Subtask { named: named(name, ""), values, needs_value, options: Vec::new(), flags: Vec::new() }
    }

    fn names() -> Names {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let subtasks = vec![
            Subtask { flags: words(&["--check"]), ..subtask("show_status", Values::Nothing, false) },
            Subtask { flags: words(&["--strict"]), ..subtask("execute", Values::Migrations, false) },
            subtask("forget", Values::Unknown, true),
            Subtask { options: words(&["to", "only"]), ..subtask("restore", Values::Dumps, true) },
            Subtask { options: words(&["keep"]), ..subtask("dumps", Values::Nothing, false) },
            subtask("mongod", Values::Words(words(&["start", "stop"])), false),
            subtask("help", Values::Subtasks, false),
            subtask("mytask", Values::Unknown, false),
        ];
        let environments = vec![named("staging", "The staging cluster"), named("eu", "")];
        Names {
            vocabulary: Vocabulary { subtasks, environments, dumps: None },
            alone: vec![
                Subtask { flags: words(&["--path"]), ..subtask("init", Values::Nothing, false) },
                subtask("new", Values::Unknown, true),
            ],
            migrations: words(&["0001_a", "0002_b", "0010_c"]),
            dumps: words(&["2026-02-03_04_05_06_789", "a b", "latest"]),
        }
    }

    fn offered(text: &str) -> Vec<String> {
        let answer = answer(&format!("cargo migrations {text}"), &names());
        answer.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_task_is_a_subtask_or_an_environment() {
        assert_eq!(
            offered(""),
            [
                "show_status",
                "execute",
                "forget:",
                "restore:",
                "dumps",
                "mongod",
                "help",
                "mytask",
                "init",
                "new:",
                "staging",
                "eu"
            ]
        );
        assert_eq!(offered("s"), ["show_status", "staging"]);
        assert_eq!(answer("cargo-migrations st", &names()), "staging\tThe staging cluster\n");
        assert_eq!(offered("qqq"), Vec::<String>::new());
    }

    #[test]
    fn a_value_that_may_follow_leaves_the_choice() {
        assert_eq!(offered("exe"), ["execute", "execute:"]);
        assert_eq!(offered("e"), ["execute", "eu"]);
        assert_eq!(offered("dumps"), ["dumps", "dumps:"]);
        assert_eq!(offered("forg"), ["forget:"]);
        assert_eq!(offered("show"), ["show_status"]);
        assert_eq!(offered("my"), ["mytask"]);
        assert_eq!(offered("restore:lat"), ["restore:latest", "restore:latest,"]);
    }

    #[test]
    fn what_follows_a_name_is_what_it_takes() {
        assert_eq!(offered("execute:"), ["execute:0001_a", "execute:0002_b", "execute:0010_c"]);
        assert_eq!(offered("execute,000"), ["execute,0001_a", "execute,0002_b"]);
        assert_eq!(offered("execute:0010_c"), ["execute:0010_c"]);
        assert_eq!(offered("execute:0001_a,"), Vec::<String>::new());
        assert_eq!(offered("mongod:st"), ["mongod:start", "mongod:stop"]);
        assert_eq!(offered("help:e"), ["help:execute", "help:eu"]);
        for nothing in ["forget:0", "mytask:", "qqq:0", "staging:0", "show_status:", "new:a"] {
            assert_eq!(offered(nothing), Vec::<String>::new(), "{nothing}");
        }
    }

    #[test]
    fn options_by_name_are_offered_once() {
        assert_eq!(
            offered("restore:"),
            ["restore:2026-02-03_04_05_06_789", "restore:latest", "restore:to=", "restore:only="]
        );
        assert_eq!(offered("restore:latest,"), ["restore:latest,to=", "restore:latest,only="]);
        assert_eq!(offered("restore:latest,to=x,"), ["restore:latest,to=x,only="]);
        assert_eq!(offered("restore:to=x,l"), ["restore:to=x,latest", "restore:to=x,latest,"]);
        assert_eq!(offered("restore:latest,to="), Vec::<String>::new());
        assert_eq!(offered("dumps:"), ["dumps:keep="]);
        // Between the grammar's escapes and the shell's, it is not clear what the shell would replace.
        assert_eq!(offered(r"restore:a\\,b,t"), Vec::<String>::new());
    }

    #[test]
    fn an_environment_is_followed_by_its_tasks() {
        assert_eq!(offered("staging exe"), ["execute", "execute:"]);
        assert_eq!(offered("staging e"), ["execute", "execute:"]);
        assert_eq!(offered("staging execute e"), ["execute", "eu"]);
        assert_eq!(offered("--env staging e"), ["execute", "execute:"]);
        assert_eq!(offered("execute ini"), Vec::<String>::new());
        assert_eq!(offered("new:x "), Vec::<String>::new());
        assert_eq!(offered("init e"), Vec::<String>::new());
    }

    #[test]
    fn flags_and_their_values() {
        assert_eq!(offered("--for"), ["--format"]);
        assert_eq!(offered("--format "), ["human", "json"]);
        assert_eq!(offered("--format=j"), ["--format=json"]);
        assert_eq!(offered("--format json exe"), ["execute", "execute:"]);
        assert_eq!(offered("--format json --fo"), Vec::<String>::new());
        assert_eq!(offered("--env s"), ["staging"]);
        assert_eq!(offered("--env="), ["--env=staging", "--env=eu"]);
        assert_eq!(offered("--manifest-path "), ["/"]);
        assert_eq!(offered("--manifest-path=a"), ["/"]);
        assert_eq!(offered("--wait "), Vec::<String>::new());
        assert_eq!(offered("--verbose --verb"), ["--verbose"]);
        assert!(offered("-").iter().any(|flag| flag == "--yes"));
    }

    #[test]
    fn a_flag_of_certain_subtasks_is_offered_with_them() {
        assert_eq!(offered("execute --s"), ["--strict"]);
        assert_eq!(offered("mongod --s"), Vec::<String>::new());
        assert_eq!(offered("--s"), ["--strict"]);
        assert_eq!(offered("staging --ch"), ["--check"]);
        assert_eq!(offered("init --pa"), ["--path"]);
        assert_eq!(offered("execute --pa"), Vec::<String>::new());
    }
}
