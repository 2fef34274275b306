//! The rules of the house that no compiler checks: docs/architecture.md describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;

use super::support::CRATE;

/// The rooms of `src`, from the ground up. A room may import only those that come before it.
const FLOORS: [&str; 26] = [
    "model",
    "error",
    "crash",
    "line",
    "config",
    "embed",
    "durable",
    "terminal",
    "connect",
    "store",
    "report",
    "completion",
    "plugin",
    "process",
    "mongod",
    "db",
    "backfill",
    "migration",
    "environment",
    "dump",
    "run",
    "doctor",
    "context",
    "manager",
    "runner",
    "dispatch",
];

/// A source file, by its path below `src`, without its unit tests.
struct Source {
    path: String,
    code: String,
    text: String,
}

fn sources() -> Vec<Source> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.push(path);
            }
        }
    }
    let root = Path::new(CRATE).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    assert!(files.len() > 100, "the sources are where this test looks");
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            let (before_tests, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
            let is_code = |line: &&str| !line.trim_start().starts_with("//");
            let code = before_tests.lines().filter(is_code).map(|line| format!("{line}\n")).collect();
            Source { path: file.strip_prefix(&root).unwrap().display().to_string(), code, text }
        })
        .collect()
}

/// `run` of `run/plan.rs`, `config` of `config.rs`
fn room(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap()
}

#[test]
fn a_room_imports_only_what_lies_below_it() {
    let import = Regex::new(r"\bcrate::([a-z_]+)").unwrap();
    let floor = |room: &str| FLOORS.iter().position(|name| *name == room);
    for Source { path, code, .. } in sources() {
        if ["lib.rs", "main.rs"].contains(&path.as_str()) {
            continue;
        }
        let own = floor(room(&path)).unwrap_or_else(|| panic!("{path} is in a room without a floor"));
        for (_, [imported]) in import.captures_iter(&code).map(|captures| captures.extract()) {
            let below = floor(imported).unwrap_or_else(|| panic!("{path} imports `crate::{imported}`, which is not a room"));
            assert!(below <= own, "{path} imports {imported}, which lies above it");
        }
    }
}

#[test]
fn the_files_of_a_room_do_not_import_each_other_in_circles() {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Source { path, code, .. } in sources() {
        let Some((folder, file)) = path.rsplit_once('/') else { continue };
        if file == "mod.rs" {
            continue;
        }
        let absolute = folder.replace('/', "::");
        let sibling = Regex::new(&format!(r"\b(?:super|crate::{absolute})::(?:\{{[^}}]*?\b)?([a-z_]+)")).unwrap();
        let names = sibling.captures_iter(&code).map(|captures| format!("{folder}/{}", &captures[1]));
        imports.insert(format!("{folder}/{}", file.trim_end_matches(".rs")), names.collect());
    }
    for start in imports.keys() {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&String> = imports[start].iter().collect();
        while let Some(file) = next.pop() {
            assert_ne!(file, start, "{start} imports itself through {reached:?}");
            if let Some(further) = imports.get(file).filter(|_| reached.insert(file)) {
                next.extend(further);
            }
        }
    }
}

#[test]
fn few_files_lie_at_the_root() {
    let at_root: Vec<String> = sources().into_iter().map(|source| source.path).filter(|path| !path.contains('/')).collect();
    assert!(at_root.len() <= 6, "{at_root:?}");
}

#[test]
fn every_file_says_what_it_is_and_holds_one_thing() {
    for Source { path, text, .. } in sources() {
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("//!") || path == "lib.rs" && first.starts_with("#![cfg_attr(feature"),
            "{path} does not begin with `//!`"
        );
        let lines = text.split("#[cfg(test)]").next().unwrap().lines().count();
        assert!(lines <= 350, "{path} has {lines} lines before its tests");
    }
}

#[test]
fn one_file_prints() {
    let prints = Regex::new(r"println!\(|stdout\(\)|stderr\(\)").unwrap();
    // The build script's half talks to cargo on stdout.
    let may = ["terminal/streams.rs", "embed/mod.rs"];
    for Source { path, code, .. } in sources() {
        assert!(may.contains(&path.as_str()) || !prints.is_match(&code), "{path} prints");
    }
}

#[test]
fn server_codes_and_variables_have_names() {
    let code_literal = Regex::new(r"code\w*(?:\(\))?\s*(?:==|!=)\s*-?\d|matches!\([^)]*code[^)]*\d").unwrap();
    let variable_literal = Regex::new(r#"\b(?:var|var_os|env|env_remove)\(\s*""#).unwrap();
    for Source { path, code, .. } in sources() {
        if path != "error/codes.rs" {
            let found = code_literal.find(&code).map(|found| found.as_str());
            assert_eq!(found, None, "{path}: a server's code belongs into error/codes.rs");
        }
        // `ssh` gets the shell to use, and cargo sets variables for build scripts: these are not ours.
        if !["model/variables.rs", "environment/ssh.rs", "embed/mod.rs"].contains(&path.as_str()) {
            let code = code.replace(r#"var_os("PATH")"#, "");
            let found = variable_literal.find(&code).map(|found| found.as_str());
            assert_eq!(found, None, "{path}: a variable's name belongs into model/variables.rs");
        }
    }
}

#[test]
fn every_dependency_is_used_and_builds_with_our_rust() {
    let manifest = std::fs::read_to_string(Path::new(CRATE).join("Cargo.toml")).unwrap();
    let (_, after) = manifest.split_once("\n[dependencies]\n").unwrap();
    let names = after.lines().take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once(" = "));
    let all: String = sources().into_iter().map(|source| source.code).collect();
    for (name, _) in names.filter(|(name, _)| !name.starts_with('#')) {
        let library = name.replace('-', "_");
        assert!(Regex::new(&format!(r"\b{library}(::|;)")).unwrap().is_match(&all), "{name} is not used");
    }
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(CRATE)
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let version = |text: &str| text.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = packages.iter().find(|package| package["name"] == "cargo-migrations").unwrap();
    let ours = version(ours["rust_version"].as_str().unwrap());
    for package in packages {
        let theirs = package["rust_version"].as_str().map(version).unwrap_or_default();
        assert!(theirs <= ours, "{} needs Rust {theirs:?}", package["name"]);
    }
}

#[test]
fn every_file_of_a_built_in_is_in_the_list() {
    let sources = sources();
    let list = &sources.iter().find(|source| source.path == "manager/builtin/mod.rs").unwrap().code;
    let listed = list.split_once("built_ins! {").unwrap().1.split_once('}').unwrap().0;
    let listed: BTreeSet<&str> = listed.split_whitespace().collect();
    let prefix = "manager/builtin/";
    let files: BTreeSet<&str> = sources
        .iter()
        .filter_map(|source| source.path.strip_prefix(prefix)?.strip_suffix(".rs").filter(|name| *name != "mod"))
        .collect();
    assert_eq!(files, listed);
}

/// A deployed manager has another name than the plugin, and `line/program.rs` knows it.
#[test]
fn hints_name_this_program_by_its_name() {
    let may_say = ["line/program.rs", "lib.rs", "runner.rs"];
    let literal: Vec<String> = sources()
        .into_iter()
        .filter(|source| !source.path.starts_with("plugin/") && !may_say.contains(&source.path.as_str()))
        .flat_map(|source| {
            let lines = source.code.lines().filter(|line| line.contains("`cargo migrations"));
            lines.map(|line| format!("{}: {}", source.path, line.trim())).collect::<Vec<_>>()
        })
        .collect();
    assert!(literal.is_empty(), "use `program()`:\n{}", literal.join("\n"));
}
