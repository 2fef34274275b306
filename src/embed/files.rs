//! The migration files of a directory, in order, and what is wrong with it.

use std::path::{Path, PathBuf};

use regex::Regex;

use super::source::{self, Source};
use crate::model::file_name;

/// What a directory holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order in which they run.
    pub(super) files: Vec<File>,
    /// One message each; with any of these, nothing runs.
    pub(super) problems: Vec<String>,
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) number: String,
    pub(super) source: Source,
}

pub(super) fn find(directory: &Path, pattern: &str) -> Found {
    let mut found = Found::default();
    let regex = match Regex::new(&format!("^(?:{pattern})$")) {
        Ok(regex) if regex.capture_names().flatten().any(|name| name == "migr_nr") => regex,
        Ok(_) => {
            found.problems.push(format!(
                "the file pattern `{pattern}` in build.rs has no group named migr_nr; \
                 write the number as `(?P<migr_nr>[0-9]+)`"
            ));
            return found;
        }
        Err(_) => {
            found
                .problems
                .push(format!("the file pattern `{pattern}` in build.rs is not a regular expression; mend it there"));
            return found;
        }
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            found.problems.push(format!(
                "the migrations directory {} does not exist; create it, or name another one in build.rs",
                directory.display()
            ));
            return found;
        }
        Err(error) => {
            found.problems.push(format!("the migrations directory {} cannot be read: {error}", directory.display()));
            return found;
        }
    };
    for entry in entries {
        match entry {
            Ok(entry) => read(&entry.path(), pattern, &regex, &mut found),
            Err(error) => found.problems.push(format!("{} cannot be read: {error}", directory.display())),
        }
    }
    found.problems.sort();
    found.files.sort_by(|a, b| file_name::compare(&a.number, &b.number).then_with(|| a.name.cmp(&b.name)));
    found
}

fn read(path: &Path, pattern: &str, regex: &Regex, found: &mut Found) {
    let is_rust = path.extension().is_some_and(|extension| extension == "rs");
    if !is_rust || path.file_name().is_some_and(|name| name == "mod.rs") || path.is_dir() {
        return;
    }
    let shown = path.display();
    let Some((name, number)) = path.file_name().and_then(|name| name.to_str()).and_then(|name| {
        let number = regex.captures(name)?.name("migr_nr")?.as_str();
        file_name::is_number(number).then(|| (name.to_owned(), number.to_owned()))
    }) else {
        found.problems.push(format!(
            "the name of {shown} does not match `{pattern}`; rename the file, or move it out of the directory"
        ));
        return;
    };
    let text = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => return found.problems.push(format!("{shown} is not UTF-8; save it as UTF-8")),
        Err(error) => return found.problems.push(format!("{shown} cannot be read: {error}")),
    };
    let source = source::read(&text);
    if source.up.is_none() {
        found.problems.push(format!("{shown} has no `pub async fn up`; write one, or remove the file"));
        return;
    }
    found.files.push(File { path: path.to_owned(), name, number, source });
}
