//! `new:NAME` writes a migration file with the next number.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::templates;
use super::workspace::Workspace;
use crate::error::Error;
use crate::line::flags::Args;
use crate::model::file_name;
use crate::terminal;

/// Writes a migration file of this name into the workspace's migrations directory.
pub(super) fn new(args: &Args, name: &str) -> Result<(), Error> {
    check_name(name)?;
    let directory = Workspace::find(args)?.directory()?;
    let names = match fs::read_dir(&directory) {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect::<Vec<_>>(),
        Err(_) => {
            return Err(Error::usage(format!("there is no migrations directory {}", directory.display())).with_hint(
                "run `cargo migrations init` to make it, or name yours: [workspace.metadata.migrations] directory = \"…\"",
            ));
        }
    };
    let path = directory.join(format!("{}_{name}.rs", next_number(&names)));
    write_new(&path, &templates::migration(&sentence(name)))?;
    terminal::status("Created", &path.display().to_string());
    Ok(())
}

/// Returns an error, with a valid name in its hint, if a migration cannot have this name.
fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let unnumbered = name.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('_');
    let bare = name.strip_suffix(".rs").unwrap_or(name);
    if !name.is_empty() && name.chars().all(allowed) && unnumbered.len() == name.len() {
        return Ok(());
    }
    let suggestion = snake_case(bare.trim_start_matches(|c: char| c.is_ascii_digit()));
    let suggestion = if suggestion.is_empty() { "add_users".into() } else { suggestion };
    let reason = if name.chars().all(allowed) {
        "it must start with a letter, because `new` adds the number"
    } else {
        "it may only contain lower-case letters, digits and `_`"
    };
    Err(Error::usage(format!("`{name}` is not a valid migration name: {reason}"))
        .with_hint(format!("try `cargo migrations new:{suggestion}`")))
}

/// Converts any text to snake case: `AddUsers` and `add-users` become `add_users`.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out.trim_matches('_').to_owned()
}

/// Makes a sentence from a name: `add_users` becomes `Add users.`
fn sentence(name: &str) -> String {
    let words = name.replace('_', " ");
    let words = words.trim();
    let mut chars = words.chars();
    chars
        .next()
        .map_or_else(|| "What this does.".into(), |first| format!("{}{}.", first.to_ascii_uppercase(), chars.as_str()))
}

/// Returns the highest number in the file names plus one, padded with zeros to the same width.
fn next_number(names: &[String]) -> String {
    let numbers = names
        .iter()
        .filter(|name| name.ends_with(".rs"))
        .map(|name| &name[..name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len())]);
    let highest = numbers.filter(|number| file_name::is_number(number)).max_by(|a, b| file_name::compare(a, b));
    highest.map_or_else(|| "0001".into(), increment)
}

/// Adds one to a decimal number of any length, and keeps its leading zeros.
fn increment(number: &str) -> String {
    let mut digits: Vec<u8> = number.bytes().collect();
    for digit in digits.iter_mut().rev() {
        if *digit != b'9' {
            *digit += 1;
            return digits.into_iter().map(char::from).collect();
        }
        *digit = b'0';
    }
    format!("1{}", "0".repeat(number.len()))
}

/// Writes a new file. It is an error if the file exists.
pub(super) fn write_new(path: &Path, text: &str) -> Result<(), Error> {
    let written = fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Error::usage(format!("{} cannot be written", path.display())).caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(names: &[&str]) -> String {
        next_number(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn the_next_number_is_as_wide_as_the_last() {
        assert_eq!(next(&[]), "0001");
        assert_eq!(next(&["001_a.rs", "010_b.rs", "mod.rs", "999_c.txt"]), "011");
        assert_eq!(next(&["9_a.rs"]), "10");
        assert_eq!(next(&["20260203_a.rs", "0007_b.rs"]), "20260204");
        assert_eq!(next(&[&format!("{}_a.rs", "9".repeat(40))]), format!("1{}", "0".repeat(40)));
    }

    #[test]
    fn an_invalid_name_is_refused_with_a_valid_one() {
        assert!(check_name("add_users").is_ok() && check_name("utf8_names").is_ok());
        for (name, valid) in [
            ("AddUsers", "add_users"),
            ("add-users", "add_users"),
            ("0003_x", "x"),
            ("add users.rs", "add_users"),
            ("é", "add_users"),
            ("../up", "up"),
        ] {
            let error = check_name(name).unwrap_err();
            assert_eq!(error.hint(), Some(format!("try `cargo migrations new:{valid}`").as_str()), "{name}");
        }
    }
}
