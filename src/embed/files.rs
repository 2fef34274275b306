//! Finds the migration files of a directory, in order, and what is wrong with them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::cfg;
use super::pattern::Pattern;
use super::rerun::RERUN;
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

impl File {
    /// The condition under which the migration is a part of the program: that of the file and that of its `up`.
    pub(super) fn condition(&self) -> Option<String> {
        let conditions = [&self.source.cfg, &self.source.up.as_ref().and_then(|up| up.cfg.clone())];
        cfg::combined("all", conditions.into_iter().flatten().cloned().collect())
    }
}

impl Found {
    fn add_problem(&mut self, message: String, hint: impl Into<String>) {
        self.problems.push(Problem { message, hint: hint.into() });
    }
}

/// Reads the directory's files whose names match the pattern.
pub(super) fn find(directory: &Path, pattern: &str) -> Found {
    let mut found = Found::default();
    let pattern = match Pattern::new(pattern) {
        Ok(pattern) => pattern,
        Err(unusable) => {
            found.add_problem(format!("the file pattern `{pattern}` in build.rs {}", unusable.reason), unusable.hint);
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
            Ok(entry) => read(&entry.path(), &pattern, &mut found),
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

/// Returns the names of the migrations in a directory, without the files' ending. The files are not read, so a file that cannot be a
/// migration may be among them.
#[cfg(feature = "cli")]
pub(crate) fn stems(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let files = entries.map(|entry| PathBuf::from(entry.file_name())).filter(|name| {
        let name = name.as_os_str();
        !is_hidden(name) && is_rust(name) && name != "mod.rs"
    });
    let mut stems: Vec<String> = files.filter_map(|name| Some(name.file_stem()?.to_str()?.to_owned())).collect();
    stems.sort();
    stems
}

/// Adds one file, or what is wrong with it. Anything but a Rust file is skipped, and so are `mod.rs` and hidden files.
fn read(path: &Path, pattern: &Pattern, found: &mut Found) {
    let name = path.file_name().unwrap_or_default();
    if is_hidden(name) {
        return;
    }
    let (shown, file) = (path.display(), name.display());
    let numbered = name.to_str().and_then(|name| Some((name, pattern.number(name)?)));
    if path.is_dir() {
        match numbered {
            Some(_) => found.add_problem(
                format!("{shown} has the name of a migration, but is a folder"),
                format!("rename the folder {shown}, or move it out of the directory"),
            ),
            // A link may lead out of the directory, or back to it.
            None if path.is_symlink() => {}
            None => look_for_misplaced(path, pattern, found),
        }
        return;
    }
    if !is_rust(name) || name == "mod.rs" {
        return;
    }
    let Some((name, number)) = numbered else {
        return found.add_problem(
            format!("the name of {shown} does not match `{}`", pattern.as_str()),
            format!("rename {file}, or move it out of the directory"),
        );
    };
    if path.is_symlink() && !path.exists() {
        return found.add_problem(
            format!("{shown} is a link to a file that does not exist"),
            format!("fix the link {file}, or remove it"),
        );
    }
    // Without this check, the build would wait for as long as nothing is written to a named pipe.
    if path.exists() && !path.is_file() {
        return found.add_problem(format!("{shown} is not a regular file"), format!("move {file} out of the directory"));
    }
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
    for (function, read) in [("up", &source.up), ("down", &source.down)] {
        if let Some(wrong) = read.as_ref().and_then(|read| read.wrong.as_ref()) {
            let line = source::line_of(&text, function).map(|line| format!(":{}", line + 1)).unwrap_or_default();
            return found.add_problem(
                format!("`{function}` in {shown}{line} {}", wrong.what),
                format!("in {file}, {}", wrong.write),
            );
        }
    }
    if let Some((what, write)) = source.rerun.as_ref().and_then(|rerun| rerun.wrong.as_ref()) {
        let line = source::line_of_item(&text, RERUN).map(|line| format!(":{}", line + 1)).unwrap_or_default();
        return found.add_problem(format!("`{RERUN}` in {shown}{line} {what}"), format!("in {file}, {write}"));
    }
    if source.up.is_none() {
        return found
            .add_problem(format!("{shown} has no `pub async fn up`"), format!("write one in {file}, or remove that file"));
    }
    found.files.push(File { path: path.to_owned(), name: name.to_owned(), number: number.to_owned(), source });
}

/// Adds a problem for each migration in a sub-folder, because only those in the directory itself are compiled in.
///
/// Other Rust files there are modules that migrations share. The name of a module cannot begin with a digit.
fn look_for_misplaced(folder: &Path, pattern: &Pattern, found: &mut Found) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            return found.add_problem(
                format!("the folder {} cannot be read: {error}", folder.display()),
                format!("check the permissions of {}, or move it out of the migrations directory", folder.display()),
            );
        }
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default();
        let begins_with_digit = name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit);
        if is_hidden(name) {
            continue;
        } else if path.is_dir() {
            if !path.is_symlink() {
                look_for_misplaced(&path, pattern, found);
            }
        } else if is_rust(name) && (begins_with_digit || name.to_str().is_some_and(|name| pattern.number(name).is_some())) {
            found.add_problem(
                format!("{} is in a sub-folder of the migrations directory, where no migration is found", path.display()),
                format!("move {} up into the directory itself, or out of it", name.display()),
            );
        }
    }
}

/// Whether the name begins with a dot, as the names of editors' locks do.
fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Whether the name is that of a Rust file. On some systems it may be in upper case.
fn is_rust(name: &OsStr) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("rs"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::embed::pattern;

    fn write(directory: &Path, name: &str) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "pub async fn up(db: &Database) -> Result<()> { Ok(()) }\n").unwrap();
    }

    /// Returns the names of the migrations that are found, and the problems, with paths below the directory.
    fn found(directory: &Path) -> (Vec<String>, Vec<String>) {
        let found = find(directory, pattern::DEFAULT);
        let below = |message: &str| message.replace(&format!("{}/", directory.display()), "");
        (
            found.files.into_iter().map(|file| file.name).collect(),
            found.problems.iter().map(|problem| below(&problem.message)).collect(),
        )
    }

    #[test]
    fn hidden_files_and_backups_are_skipped() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "0001_a.rs",
            ".#0001_a.rs",
            ".0002_b.rs",
            ".helper.rs",
            ".git/0003_c.rs",
            "0001_a.rs~",
            "#0001_a.rs#",
            "0001_a.rs.orig",
            "mod.rs",
            "notes.txt",
        ] {
            write(directory.path(), name);
        }
        // Emacs marks a file that is being edited with a link to nowhere.
        #[cfg(unix)]
        std::os::unix::fs::symlink("user@host.4711:1770000000", directory.path().join(".#0002_b.rs")).unwrap();
        assert_eq!(found(directory.path()), (vec!["0001_a.rs".to_owned()], vec![]));
        #[cfg(feature = "cli")]
        assert_eq!(stems(directory.path()), ["0001_a"]);
    }

    #[test]
    fn a_migration_in_a_sub_folder_is_a_problem_and_a_shared_module_is_not() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "0001_a.rs",
            "2026/0005_x.rs",
            "2026/07/0006-y.rs",
            "2026/.0007_z.rs",
            "2026/0008_z.rs~",
            "shared/mod.rs",
            "shared/helper.rs",
            "shared/0009.txt",
        ] {
            write(directory.path(), name);
        }
        let problem = |name| format!("{name} is in a sub-folder of the migrations directory, where no migration is found");
        let problems = ["2026/0005_x.rs", "2026/07/0006-y.rs"].map(problem).to_vec();
        assert_eq!(found(directory.path()), (vec!["0001_a.rs".to_owned()], problems));
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed_to_files_and_what_cannot_be_a_migration_is_a_problem() {
        use std::os::unix::fs::symlink;
        let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let directory = directory.path();
        write(elsewhere.path(), "x.rs");
        symlink(elsewhere.path().join("x.rs"), directory.join("0001_linked.rs")).unwrap();
        symlink("nowhere.rs", directory.join("0002_dangling.rs")).unwrap();
        symlink(".", directory.join("itself")).unwrap();
        fs::create_dir(directory.join("0003_folder.rs")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(directory.join("0004_socket.rs")).unwrap();
        write(directory, "0005_upper.RS");
        let problems = [
            "0002_dangling.rs is a link to a file that does not exist".to_owned(),
            "0003_folder.rs has the name of a migration, but is a folder".to_owned(),
            "0004_socket.rs is not a regular file".to_owned(),
            format!("the name of 0005_upper.RS does not match `{}`", pattern::DEFAULT),
        ];
        assert_eq!(found(directory), (vec!["0001_linked.rs".to_owned()], problems.to_vec()));
    }
}
