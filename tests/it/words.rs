//! The words that this project does not use. Everything that a person reads is plain English: messages, help, docs, comments.

use std::path::{Path, PathBuf};

use regex::Regex;

use super::support::CRATE;

/// A pattern, and what to write in its place.
const NOT: [(&str, &str); 10] = [
    (r"\bmend(s|ed|ing)?\b", "fix"),
    (r"\banew\b", "again"),
    (r"\b(?:told|tells?)\b", "printed, reported, shown"),
    (r"\bahead of\b", "before"),
    (r"\bbeside\b", "next to, in addition to"),
    (r"\bwhole\b", "complete, entire"),
    (r"\bfor done\b", "mark as done"),
    (r"\b(?:what|that) came of\b", "the result of"),
    (r"\b(?i:somebody|whoever|nobody)\b", "who does it: the process, the user, the other run"),
    (r"// The same\b", "what the item does"),
];

/// `X is no Y` is to be `X is not a Y`, unless nothing else can be said.
const IS_NO: &str = r"\b(\w+) is no (\w+)";

fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                walk(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md" || extension == "py") {
                out.push(path);
            }
        }
    }
    let root = Path::new(CRATE);
    let mut files = vec![root.join("README.md"), root.join("CHANGELOG.md"), root.join("CONTRIBUTING.md")];
    for folder in ["src", "docs", "xtask", "examples", "mongomigrations", "benches", "tests"] {
        walk(&root.join(folder), &mut files);
    }
    // This list has to name them.
    files.retain(|file| !file.ends_with("tests/it/words.rs"));
    files
}

#[test]
fn riddles_are_not_written() {
    let patterns = NOT.map(|(pattern, better)| (Regex::new(pattern).unwrap(), better));
    let is_no = Regex::new(IS_NO).unwrap();
    let mut found = Vec::new();
    for file in files() {
        let shown = file.strip_prefix(CRATE).unwrap().display().to_string();
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let at = format!("{shown}:{}", number + 1);
            // The name of a file is not a word.
            let line = &line.replace("beside.py", "");
            for (pattern, better) in &patterns {
                if let Some(word) = pattern.find(line) {
                    found.push(format!("{at}: `{}` (better: {better})", word.as_str()));
                }
            }
            for captures in is_no.captures_iter(line) {
                let (before, after) = (&captures[1], &captures[2]);
                if !["there", "There", "that", "which"].contains(&before)
                    && !["longer", "older", "need", "more"].contains(&after)
                {
                    found.push(format!("{at}: `{}` (better: is not a)", &captures[0]));
                }
            }
        }
    }
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}
