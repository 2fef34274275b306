//! House rules that no compiler checks.

use std::path::{Path, PathBuf};

use super::support::CRATE;

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_and_holds_one_thing() {
    let mut files = Vec::new();
    sources(&Path::new(CRATE).join("src"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap().lines().count();
        assert!(code <= 300, "{} has {code} lines of code", file.display());
    }
}

#[test]
fn only_the_terminal_and_the_reports_print() {
    let mut files = Vec::new();
    sources(&Path::new(CRATE).join("src"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.strip_prefix(CRATE).unwrap().display().to_string();
        // The build script's half talks to cargo.
        let may = ["src/terminal/mod.rs", "src/report/human.rs", "src/report/json.rs", "src/embed/mod.rs"]
            .contains(&name.as_str());
        let prints = text.lines().any(|line| {
            let code = line.trim_start();
            !code.starts_with("//") && (code.contains("println!(") || code.contains("stdout()") || code.contains("stderr()"))
        });
        assert!(may || !prints, "{name} prints");
    }
}
