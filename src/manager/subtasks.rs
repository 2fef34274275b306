//! The subtasks that a manager has: the built-in ones and the team's own.

use std::fmt;

use super::subtask::Subtask;
use super::{MigrationsManager, builtin};
use crate::context::Context;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::line::program::{is_deployed, program};
use crate::line::words::{listed, nearest};

/// Names that the line uses otherwise, and those of built-in subtasks to come.
const RESERVED: &[&str] = &["init", "new", "migrations", "decode", "rehearse"];

/// Words that other tools use for what a subtask here does, each line with the subtask's name at its end.
const SYNONYMS: &[(&[&str], &str)] = &[
    (&["migrate", "up", "apply", "run"], "execute"),
    (&["down", "undo", "revert"], "rollback"),
    (&["status", "list"], "show_status"),
    (&["dump", "backup"], "dbdump"),
    (&["log"], "history"),
    (&["dryrun", "dry_run", "preview"], "plan"),
    (&["goto"], "to"),
    (&["create", "add", "generate"], "new"),
];

/// The subtask that does what other tools use this word for.
fn synonym(word: &str) -> Option<&'static str> {
    let (_, subtask) = SYNONYMS.iter().find(|(words, _)| words.contains(&word))?;
    // A deployed manager has no sources to write a migration to.
    Some(*subtask).filter(|subtask| *subtask != "new" || !is_deployed())
}

/// The subtasks of a manager, in the order in which `help` lists them.
pub struct Subtasks<M> {
    list: Vec<Subtask<M>>,
    pub(super) environments: Vec<Environment>,
    default: String,
    /// Calls in the wrong order, reported when the subtasks are checked.
    problems: Vec<String>,
}

impl<M: MigrationsManager> Subtasks<M> {
    /// The subtasks of `M`: the built-in ones, then its own.
    pub(crate) fn of() -> Result<Self, Error> {
        let built_in = Self {
            list: builtin::all(),
            environments: Vec::new(),
            default: builtin::DEFAULT.to_owned(),
            problems: Vec::new(),
        };
        let subtasks = M::subtasks(built_in);
        subtasks.check()?;
        Ok(subtasks)
    }

    /// Adds a subtask: `cargo migrations NAME`, `cargo migrations NAME:option`. The help text is what `help` shows.
    ///
    /// ```
    /// use cargo_migrations::prelude::*;
    ///
    /// struct Migrations;
    ///
    /// impl MigrationsManager for Migrations {
    ///     fn subtasks(subtasks: Subtasks<Self>) -> Subtasks<Self> {
    ///         subtasks
    ///             .add("reindex", "Rebuild the search index", Self::reindex)
    ///             .add("ping", "Greet the server", async |_: &Self, cx: &Context, _: Option<&str>| {
    ///                 cx.database().await?.run_command(doc! { "ping": 1 }).await?;
    ///                 Ok(())
    ///             })
    ///     }
    /// }
    ///
    /// impl Migrations {
    ///     async fn reindex(&self, cx: &Context, option: Option<&str>) -> Result<()> {
    ///         Ok(())
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn add(
        mut self,
        name: impl Into<String>,
        help: impl Into<String>,
        action: impl AsyncFn(&M, &Context, Option<&str>) -> Result<()> + 'static,
    ) -> Self {
        self.list.push(Subtask::own(name.into(), help.into(), action));
        self
    }

    /// Names further values that the subtask added last takes, after one plain value: `.takes(["to"])` for `copy:a,to=b`.
    /// Plain values after the first fill them in order. [`Context::options`] has them.
    #[must_use]
    pub fn takes<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        match self.list.last_mut().and_then(Subtask::own_options) {
            Some(options) => options.extend(names.into_iter().map(Into::into)),
            None => self.problems.push("the manager calls `takes` before it has added a subtask".into()),
        }
        self
    }

    /// Names the subtask that runs when the line has none; `show_status` unless set.
    #[must_use]
    pub fn default(mut self, name: impl Into<String>) -> Self {
        self.default = name.into();
        self
    }

    fn check(&self) -> Result<(), Error> {
        if let Some(problem) = self.problems.first() {
            return Err(Error::usage(problem.clone()).with_hint("call it after the `add` of the subtask that it is for"));
        }
        let subtasks = self.list.iter().map(|subtask| ("a subtask", subtask.name()));
        let names: Vec<_> =
            subtasks.chain(self.environments.iter().map(|env| ("an environment", env.name.as_str()))).collect();
        for (index, &(kind, name)) in names.iter().enumerate() {
            check_name(kind, name)?;
            match names[..index].iter().find(|(_, other)| *other == name) {
                None => {}
                Some((first, _)) if *first == kind && kind == "a subtask" => {
                    return Err(Error::usage(format!("the manager has two subtasks named `{name}`"))
                        .with_hint("rename one (to change a built-in, override its method instead)"));
                }
                Some((first, _)) => {
                    return Err(Error::usage(format!("the manager has both {first} and {kind} named `{name}`"))
                        .with_hint("rename one"));
                }
            }
        }
        self.environments.iter().try_for_each(Environment::check)?;
        if self.get(&self.default).is_none() {
            return Err(Error::usage(format!("the manager's default subtask `{}` does not exist", self.default))
                .with_hint("add it, or name another one"));
        }
        Ok(())
    }
}

fn check_name(kind: &str, name: &str) -> Result<(), Error> {
    let is_valid = !name.is_empty()
        && !name.starts_with('-')
        && !name.contains([':', ',', '=', '\\'])
        && !name.contains(char::is_whitespace);
    if !is_valid {
        let message = format!("the manager adds {kind} named `{name}`, which cannot be written on the line");
        return Err(Error::usage(message)
            .with_hint("give it another name, without spaces, `:`, `,`, `=` and backslashes, and without a leading `-`"));
    }
    if RESERVED.contains(&name) {
        return Err(Error::usage(format!("the manager adds {kind} named `{name}`, which is a reserved name"))
            .with_hint("give it another name"));
    }
    Ok(())
}

impl<M> Subtasks<M> {
    pub(crate) fn get(&self, name: &str) -> Option<&Subtask<M>> {
        self.list.iter().find(|subtask| subtask.name() == name)
    }

    /// The subtask of that name, or an error that suggests others.
    pub(crate) fn find(&self, name: &str) -> Result<&Subtask<M>, Error> {
        self.get(name).ok_or_else(|| self.unknown(name))
    }

    pub(crate) fn unknown(&self, name: &str) -> Error {
        let environments = || self.environments.iter().map(|environment| environment.name.as_str());
        let own = self.list.iter().filter(|subtask| !subtask.is_built_in()).map(Subtask::name);
        // What the team itself has named so is more likely meant than what other tools do.
        let is_own = !nearest(name, own.chain(environments())).is_empty();
        let near = match synonym(name).filter(|_| !is_own) {
            Some(subtask) => vec![subtask],
            None => nearest(name, self.list.iter().map(Subtask::name).chain(environments())),
        };
        let program = program();
        let hint = match near[..] {
            [] => format!("`{program} help` lists them"),
            _ => format!("did you mean {}? `{program} help` lists them all", listed(near)),
        };
        Error::usage(format!("there is no subtask or environment named `{name}`")).with_hint(hint)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Subtask<M>> {
        self.list.iter()
    }

    pub(crate) fn default_name(&self) -> &str {
        &self.default
    }
}

impl<M> fmt::Debug for Subtasks<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(Subtask::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Plain;

    impl MigrationsManager for Plain {}

    struct WithOwn;

    impl MigrationsManager for WithOwn {
        fn subtasks(subtasks: Subtasks<Self>) -> Subtasks<Self> {
            subtasks
                .add("migrate_users", "Move the users", async |_: &Self, _: &Context, _: Option<&str>| Ok(()))
                .environment("backup_site", "Where the backups are", |env| env)
        }
    }

    fn hint<M: MigrationsManager>(word: &str) -> String {
        Subtasks::<M>::of().unwrap().unknown(word).hint().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_words_of_other_tools_lead_to_the_subtask_that_does_it() {
        for (words, subtask) in SYNONYMS {
            for word in *words {
                let expected = format!("did you mean `{subtask}`? `cargo migrations help` lists them all");
                assert_eq!(hint::<Plain>(word), expected, "{word}");
                assert!(Subtasks::<Plain>::of().unwrap().get(word).is_none(), "{word}");
            }
            assert!(*subtask == "new" || Subtasks::<Plain>::of().unwrap().get(subtask).is_some(), "{subtask}");
        }
    }

    #[test]
    fn a_name_of_the_teams_own_is_suggested_first() {
        for (word, expected) in [
            ("migrate", "did you mean `migrate_users`"),
            ("backup", "did you mean `backup_site`"),
            ("undo", "did you mean `rollback`?"),
        ] {
            let hint = hint::<WithOwn>(word);
            assert!(hint.starts_with(expected), "{hint}");
        }
    }
}
