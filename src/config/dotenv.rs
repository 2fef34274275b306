//! Variables from a file `.env`. They are kept in the configuration: only the process itself may change its environment, and only
//! before it has threads.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::Remark;
use crate::model::variables;

/// The name of the file.
pub(super) const FILE: &str = ".env";

/// What a file sets. Without `Debug`: there are passwords in it.
#[derive(Default)]
pub(super) struct DotEnv {
    variables: BTreeMap<String, String>,
}

impl DotEnv {
    /// Reads the nearest file, upwards from the workspace's root. With `cargo run` it is from the package's folder, and without
    /// cargo from the working folder. It is not an error if there is none.
    pub(super) fn nearest() -> Result<Self, Remark> {
        // Cargo names the folder of the package that it runs.
        let folder = [variables::WORKSPACE_ROOT, variables::CARGO_PACKAGE_DIR].into_iter().find_map(std::env::var_os);
        let folder = folder.map_or_else(std::env::current_dir, |folder| Ok(PathBuf::from(folder)));
        let Ok(folder) = folder else { return Ok(Self::default()) };
        let file = folder.ancestors().map(|folder| folder.join(FILE)).find(|file| is_there(file));
        file.map_or_else(|| Ok(Self::default()), |file| Self::read(&file))
    }

    fn read(path: &Path) -> Result<Self, Remark> {
        let shown = path.display();
        let fix = format!("fix {shown}, or remove it");
        let bytes = std::fs::read(path)
            .map_err(|error| Remark::new(format!("{shown} cannot be read: {error}")).with_hint(fix.clone()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Remark::new(format!("{shown} is not valid UTF-8")).with_hint(format!("save {shown} as UTF-8")))?;
        // The parser's own error shows the line, which may have a password in it.
        Self::parse(&text).map_err(|line| {
            Remark::new(format!("line {line} of {shown} is not `NAME=value`")).with_hint(format!(
                "fix line {line} of {shown}: a value with spaces, quotes or `$` stands between single quotes"
            ))
        })
    }

    /// Returns what the text sets. An error is the number of the line in which it is not valid.
    fn parse(text: &str) -> Result<Self, usize> {
        let lines = Lines::of(text.trim_start_matches('\u{feff}'));
        let read = Rc::clone(&lines.read);
        let mut variables = BTreeMap::new();
        for item in dotenvy::from_read_iter(lines) {
            match item {
                // If a name is set again, the last one counts, as in a shell and in `$NAME`.
                Ok((name, value)) => {
                    variables.insert(name, value);
                }
                Err(dotenvy::Error::LineParse(rest, _)) => {
                    // A value between quotes may have several lines, and an end that is missing makes it reach to the end.
                    return Err(read.get().saturating_sub(rest.trim_end().matches('\n').count()).max(1));
                }
                Err(_) => return Err(read.get().max(1)),
            }
        }
        Ok(Self { variables })
    }

    /// The value of a variable. What the process's environment sets wins.
    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name).or_else(|| self.variables.get(name).map(OsString::from))
    }

    /// Whether the file, and not the process's environment, sets a variable.
    pub(super) fn sets(&self, name: &str) -> bool {
        std::env::var_os(name).is_none() && self.variables.contains_key(name)
    }
}

/// Whether there is a file of that name. It may be a pipe, as password managers provide one.
fn is_there(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| !metadata.is_dir())
}

/// A text that is read line by line, so that it is known how far the parser is.
struct Lines {
    lines: std::vec::IntoIter<String>,
    /// How many lines have been read.
    read: Rc<Cell<usize>>,
    /// What is left of the last one.
    rest: Vec<u8>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        Self { lines: lines.into_iter(), read: Rc::default(), rest: Vec::new() }
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            let Some(line) = self.lines.next() else { return Ok(0) };
            self.read.set(self.read.get() + 1);
            self.rest = line.into_bytes();
        }
        let count = self.rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_shells_write_them() {
        let text =
            "\u{feff}# A comment.\r\nexport CM_A=b\r\n\r\nCM_B='c $d' # e\r\nCM_C=\"x\ny\"\nCM_A=again\nCM_D=${CM_A}z\n";
        let file = DotEnv::parse(text).unwrap();
        for (name, value) in [("CM_A", "again"), ("CM_B", "c $d"), ("CM_C", "x\ny"), ("CM_D", "againz")] {
            assert_eq!(file.variable(name), Some(value.into()), "{name}");
            assert!(file.sets(name));
        }
        assert_eq!(file.variable("CM_E"), None);
    }

    #[test]
    fn what_the_environment_sets_wins() {
        let file = DotEnv::parse("PATH=x\n").unwrap();
        assert_eq!(file.variable("PATH"), std::env::var_os("PATH"));
        assert!(!file.sets("PATH"));
    }

    #[test]
    fn an_error_has_the_number_of_its_line_and_nothing_else_of_it() {
        for (text, line) in [
            ("A=b\n# A B\nhush hush\n", 3),
            ("A=b\nB=hush hush\nC=d\n", 2),
            ("A=b\n\nB='hush\nC=d\nE=f\n", 3),
            ("A='x\ny'\nB=\"hush\" hush\n", 3),
            ("hush", 1),
        ] {
            assert_eq!(DotEnv::parse(text).map(|_| ()), Err(line), "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, "A=b\nMONGO_USER_PASSWORD=hush hush\n").unwrap();
        let remark = DotEnv::read(&path).err().unwrap();
        assert_eq!(remark.message, format!("line 2 of {} is not `NAME=value`", path.display()));
        assert!(!format!("{remark:?}").contains("hush"));
    }
}
