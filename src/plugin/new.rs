//! `new:NAME` writes a migration file with the next number.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::templates;
use super::workspace::Workspace;
use crate::embed::pattern::{self, Pattern};
use crate::error::Error;
use crate::line::flags::Args;
use crate::model::file_name;
use crate::terminal;

/// Writes a migration file of this name into the workspace's migrations directory.
pub(super) fn new(args: &Args, name: &str) -> Result<(), Error> {
    check_name(name)?;
    let workspace = Workspace::find(args)?;
    let directory = workspace.directory()?;
    let names = match fs::read_dir(&directory) {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect::<Vec<_>>(),
        Err(_) => {
            return Err(Error::usage(format!("there is no migrations directory {}", directory.display())).with_hint(
                "run `cargo migrations init` to make it, or name yours: [workspace.metadata.migrations] directory = \"…\"",
            ));
        }
    };
    let setting = workspace.pattern()?;
    let pattern = Pattern::new(setting.unwrap_or(pattern::DEFAULT)).map_err(|unusable| {
        Error::usage(format!("`pattern` of [workspace.metadata.migrations] in Cargo.toml {}", unusable.reason))
            .with_hint(unusable.hint)
    })?;
    if let (None, Some(other)) = (setting, follows_another_pattern(&names, &pattern)) {
        return Err(Error::usage(format!(
            "the files in {}, such as `{other}`, do not match `{}`, the only file pattern that `new` knows",
            directory.display(),
            pattern.as_str()
        ))
        .with_hint(
            "if build.rs sets another pattern, set it in Cargo.toml too: [workspace.metadata.migrations] pattern = '…'",
        ));
    }
    let file = format!("{}_{name}.rs", next_number(&names, &pattern, SystemTime::now()));
    if pattern.number(&file).is_none() {
        return Err(Error::usage(format!("`{file}` does not match `{}`, the file pattern in Cargo.toml", pattern.as_str()))
            .with_hint("write the file by hand, under a name that matches"));
    }
    let path = directory.join(file);
    write_new(&path, &templates::migration(&sentence(name), &workspace.our_name()))?;
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

/// Returns one of the migration files, if there are some and none matches the pattern.
fn follows_another_pattern<'n>(names: &'n [String], pattern: &Pattern) -> Option<&'n String> {
    let files = names.iter().filter(|name| name.ends_with(".rs") && !name.starts_with('.') && *name != "mod.rs");
    if files.clone().any(|name| pattern.number(name).is_some()) { None } else { files.min() }
}

/// Returns the number that follows the highest in the file names: the present time where they are numbered by time, or else the
/// highest plus one, padded with zeros to the same width.
fn next_number(names: &[String], pattern: &Pattern, now: SystemTime) -> String {
    let rust = names.iter().filter(|name| name.ends_with(".rs"));
    let numbers = rust.filter_map(|name| pattern.number(name).or_else(|| leading_number(name)));
    match numbers.max_by(|a, b| file_name::compare(a, b)) {
        None => "0001".into(),
        Some(highest) => next_time(highest, now).unwrap_or_else(|| increment(highest)),
    }
}

/// Returns the digits that a name starts with.
fn leading_number(name: &str) -> Option<&str> {
    let digits = &name[..name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len())];
    file_name::is_number(digits).then_some(digits)
}

/// Returns the present time in UTC in the form of the highest number, if that is a time such as `20260203040506`. The result is
/// higher even if two files are written within a second, or if the clock of another machine was fast.
fn next_time(highest: &str, now: SystemTime) -> Option<String> {
    let after = time_of(highest)? + Duration::from_secs(1);
    let text = humantime::format_rfc3339_seconds(now.max(after)).to_string();
    Some(text.chars().filter(char::is_ascii_digit).collect())
}

/// Returns the time that a number of 14 digits stands for, if it is of this century.
fn time_of(number: &str) -> Option<SystemTime> {
    if number.len() != 14 || !number.starts_with("20") {
        return None;
    }
    let [date, time] = [&number[..8], &number[8..]];
    let text = format!("{}-{}-{}T{}:{}:{}Z", &date[..4], &date[4..6], &date[6..], &time[..2], &time[2..4], &time[4..]);
    humantime::parse_rfc3339(&text).ok()
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

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn default_pattern() -> Pattern {
        Pattern::new(pattern::DEFAULT).unwrap()
    }

    /// The next number at 2026-02-03 04:05:06 UTC.
    fn next(files: &[&str]) -> String {
        let now = humantime::parse_rfc3339("2026-02-03T04:05:06.789Z").unwrap();
        next_number(&names(files), &default_pattern(), now)
    }

    #[test]
    fn the_next_number_is_as_wide_as_the_last() {
        assert_eq!(next(&[]), "0001");
        assert_eq!(next(&["001_a.rs", "010_b.rs", "mod.rs", "999_c.txt"]), "011");
        assert_eq!(next(&["9_a.rs"]), "10");
        assert_eq!(next(&["20260203_a.rs", "0007_b.rs"]), "20260204");
        assert_eq!(next(&[&format!("{}_a.rs", "9".repeat(40))]), format!("1{}", "0".repeat(40)));
        assert_eq!(next(&["0001_a.rs", ".#0007_b.rs", "0003-c.rs"]), "0004");
    }

    #[test]
    fn where_files_are_numbered_by_time_the_next_number_is_the_present_time() {
        assert_eq!(next(&["0001_a.rs", "20250101000000_b.rs"]), "20260203040506");
        // In any case it is higher than the others.
        assert_eq!(next(&["20260203040506_a.rs"]), "20260203040507");
        assert_eq!(next(&["20991231235959_a.rs"]), "21000101000000");
        assert_eq!(next(&["20280228235960_a.rs"]), "20280229000000");
        // These are not times.
        for (number, following) in [
            ("20261303040506", "20261303040507"),
            ("20260230000000", "20260230000001"),
            ("20260203046000", "20260203046001"),
            ("00000000000041", "00000000000042"),
            ("10000000000000", "10000000000001"),
            ("020250101000000", "020250101000001"),
        ] {
            assert_eq!(next(&[&format!("{number}_a.rs")]), following);
        }
    }

    #[test]
    fn another_pattern_has_the_number_where_it_says() {
        let pattern = Pattern::new(r"(?:v1-)?(?P<migr_nr>[0-9]+)_[a-z_]+\.rs").unwrap();
        assert_eq!(next_number(&names(&["v1-007_a.rs"]), &pattern, SystemTime::now()), "008");
    }

    #[test]
    fn files_that_follow_another_pattern_are_noticed() {
        let other = |files: &[&str]| follows_another_pattern(&names(files), &default_pattern()).cloned();
        assert_eq!(other(&["m-8.rs", "m-7.rs", "mod.rs", "a.txt"]).as_deref(), Some("m-7.rs"));
        assert_eq!(other(&["m-7.rs", "0001_a.rs"]), None);
        assert_eq!(other(&["mod.rs", "a.txt", ".#m-7.rs", "m-7.rs~"]), None);
        assert_eq!(other(&[]), None);
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
