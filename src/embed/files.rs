//! Finds the migration files of a directory, in order, and what is wrong with them.

use std::path::{Path, PathBuf};

use regex::Regex;

use super::source::{self, Source};
use crate::model::file_name;

/// What a directory holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The migration files, in the order in which they run.
    pub(super) files: Vec<File>,
    /// What is wrong with the directory or its files. With any of these, nothing runs.
    pub(super) problems: Vec<Problem>,
}

/// Something that is wrong, and what to do about it. The hint names the file: those of several problems are printed below all of
/// them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) hint: String,
}

/// A migration file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) number: String,
    pub(super) source: Source,
}

impl Found {
    fn add_problem(&mut self, message: String, hint: impl Into<String>) {
        self.problems.push(Problem { message, hint: hint.into() });
    }
}

/// Reads the directory's files whose names match the pattern.
pub(super) fn find(directory: &Path, pattern: &str) -> Found {
    let mut found = Found::default();
    let regex = match Regex::new(&format!("^(?:{pattern})$")) {
        Ok(regex) if regex.capture_names().flatten().any(|name| name == "migr_nr") => regex,
        Ok(_) => {
            found.add_problem(
                format!("the file pattern `{pattern}` in build.rs has no group named migr_nr"),
                "write the number as `(?P<migr_nr>[0-9]+)`",
            );
            return found;
        }
        Err(_) => {
            found.add_problem(
                format!("the file pattern `{pattern}` in build.rs is not a valid regular expression"),
                "fix the pattern in build.rs",
            );
            return found;
        }
    };
    let shown = directory.display();
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            found.add_problem(
                format!("the migrations directory {shown} does not exist"),
                "create it, or name another directory in build.rs",
            );
            return found;
        }
        Err(error) => {
            found.add_problem(
                format!("the migrations directory {shown} cannot be read: {error}"),
                "check its permissions, or name another directory in build.rs",
            );
            return found;
        }
    };
    for entry in entries {
        match entry {
            Ok(entry) => read(&entry.path(), pattern, &regex, &mut found),
            Err(error) => found.add_problem(
                format!("the migrations directory {shown} cannot be read: {error}"),
                format!("check the permissions of {shown}, and its disk"),
            ),
        }
    }
    found.problems.sort();
    found.files.sort_by(|a, b| file_name::compare(&a.number, &b.number).then_with(|| a.name.cmp(&b.name)));
    found
}

/// Adds one file, or what is wrong with it. Anything but a Rust file is skipped, and so is `mod.rs`.
fn read(path: &Path, pattern: &str, regex: &Regex, found: &mut Found) {
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    if !is_rust || path.file_name().is_some_and(|name| name == "mod.rs") || path.is_dir() {
        return;
    }
    let shown = path.display();
    let file = path.file_name().unwrap_or_default().display();
    let Some((name, number)) = path.file_name().and_then(|name| name.to_str()).and_then(|name| {
        let number = regex.captures(name)?.name("migr_nr")?.as_str();
        file_name::is_number(number).then(|| (name.to_owned(), number.to_owned()))
    }) else {
        return found.add_problem(
            format!("the name of {shown} does not match `{pattern}`"),
            format!("rename {file}, or move it out of the directory"),
        );
    };
    let text = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => {
            return found.add_problem(format!("{shown} is not valid UTF-8"), format!("save {file} as UTF-8"));
        }
        Err(error) => {
            return found
                .add_problem(format!("{shown} cannot be read: {error}"), format!("check the permissions of {file}"));
        }
    };
    let source = source::read(&text);
    if source.up.is_none() {
        return found
            .add_problem(format!("{shown} has no `pub async fn up`"), format!("write one in {file}, or remove that file"));
    }
    found.files.push(File { path: path.to_owned(), name, number, source });
}
