//! Whether the manager's crate forbids a lint.
//!
//! Migration files have public functions in a private module, which the lint `unreachable_pub` reports. Generated code allows it, but
//! that is an error where the lint is forbidden. The compiler has no way to allow a lint only if that is possible, so this is read
//! off the places in which a team forbids one.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use crate::model::variables::CARGO_ENCODED_RUSTFLAGS;

/// The only lint that generated code allows.
const LINT: &str = "unreachable_pub";

/// What a crate says about its lints.
#[derive(Debug)]
pub(super) struct Lints {
    /// Whether `unreachable_pub` is forbidden.
    pub(super) forbids: bool,
    /// The files that were read, relative to the package's folder: a copy of the workspace watches its own.
    pub(super) files: Vec<PathBuf>,
}

/// Reads the lints of the package in this folder, for its programs and its library.
pub(super) fn of_package(folder: &Path) -> Lints {
    let is_file = |file: &PathBuf| folder.join(file).is_file();
    let read = |file: &PathBuf| fs::read_to_string(folder.join(file)).ok();
    let mut files: Vec<PathBuf> = ["src/main.rs", "src/lib.rs"].map(PathBuf::from).into_iter().filter(is_file).collect();
    // The package may inherit its lints from the workspace.
    let above = (0..folder.ancestors().count()).map(|levels| PathBuf::from("../".repeat(levels) + "Cargo.toml"));
    for manifest in above.filter(is_file) {
        let is_root = read(&manifest).is_some_and(|text| text.contains("[workspace"));
        files.push(manifest);
        if is_root {
            break;
        }
    }
    let flags = env::var(CARGO_ENCODED_RUSTFLAGS).unwrap_or_default();
    let forbids = files.iter().filter_map(read).chain([flags]).any(|text| forbids(&text));
    Lints { forbids, files }
}

/// Whether a source file, a manifest or a list of flags forbids the lint.
fn forbids(text: &str) -> bool {
    let lint = LINT.replace('_', "[_-]");
    let forms = [
        // `#![forbid(…)]`
        format!(r"forbid\s*\([^)]*\b{lint}\b"),
        // `unreachable_pub = "forbid"`, `unreachable_pub = { level = "forbid" }`, and as a table of its own
        format!(r#"\b{lint}\s*(?:=[^\n]*|\.level\s*=\s*|\]\s*(?:[^\[]*\n)?\s*level\s*=\s*)["']forbid["']"#),
        // `-Funreachable_pub`, `--forbid=unreachable_pub`
        format!(r"(?:-F|--forbid)[\x1f\s=]?{lint}\b"),
    ];
    text.contains("unreachable") && forms.iter().any(|form| Regex::new(form).is_ok_and(|form| form.is_match(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_forbid_a_lint_is_known_and_no_other_level_is_one() {
        for text in [
            "#![forbid(unsafe_code, unreachable_pub)]",
            "#![forbid(\n    missing_docs,\n    unreachable_pub,\n)]",
            "[lints.rust]\nunreachable_pub = \"forbid\"\n",
            "[lints.rust]\nunreachable-pub = { level = \"forbid\", priority = 1 }\n",
            "[lints.rust]\nunreachable_pub.level = \"forbid\"\n",
            "[workspace.lints.rust.unreachable_pub]\npriority = 1\nlevel = \"forbid\"\n",
            "-Cdebuginfo=1\u{1f}-F\u{1f}unreachable_pub",
            "-Funreachable-pub",
            "--forbid=unreachable_pub",
        ] {
            assert!(forbids(text), "{text}");
        }
        for text in [
            "#![forbid(unsafe_code)]\n#![warn(unreachable_pub)]",
            "[lints.rust]\nunreachable_pub = \"warn\"\nunsafe_code = \"forbid\"\n",
            "[lints.rust.unreachable_pub]\nlevel = \"warn\"\n[lints.rust.unsafe_code]\nlevel = \"forbid\"\n",
            "-Wunreachable_pub\u{1f}-Funsafe_code",
        ] {
            assert!(!forbids(text), "{text}");
        }
    }
}
