//! Reads a migration file's text: its description, which functions it has, whether it says that it may run again, and its checksum.
//!
//! The text is split into Rust's tokens, so that white space, line endings and comments make no difference.
//!
//! What `up` and `down` take is read too, where the text is plain. A build of 1,000 files from scratch needs 13 % less CPU time then
//! (docs/performance.md).

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::rerun::Rerun;
use super::signature::{Function, Names};
use super::tokens::doc_text;
use super::{cfg, checksum};

/// What is known of a migration file from its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// The first line of the file's own doc comment that is not empty.
    pub(super) description: Option<String>,
    /// The condition of the file's own `#![cfg(…)]`.
    pub(super) cfg: Option<String>,
    pub(super) up: Option<Function>,
    pub(super) down: Option<Function>,
    /// Its constant `RERUN`, if it has one.
    pub(super) rerun: Option<Rerun>,
    /// Whether `Result` is certainly the prelude's in this file.
    pub(super) has_our_result: bool,
    /// A checksum of the code: `v2:sha256:…`.
    pub(super) checksum: String,
    /// The checksum that an earlier version of this crate gave the same text: `sha256:…`.
    pub(super) former_checksum: String,
}

/// Reads the text of a migration file.
pub(super) fn read(text: &str) -> Source {
    // A byte order mark is not a token.
    let text = text.trim_start_matches('\u{feff}');
    let Ok(tokens) = TokenStream::from_str(text) else {
        // The compiler reports what is wrong, with the file's own line.
        return Source {
            description: None,
            cfg: None,
            up: Some(Function::unknown()),
            down: None,
            rerun: None,
            has_our_result: false,
            checksum: checksum::of_text(text),
            former_checksum: checksum::of_text(text),
        };
    };
    let has_our_result = has_our_result(&tokens);
    let names = Names::of(&tokens, has_our_result);
    Source {
        description: description(&tokens),
        cfg: cfg::of_file(&tokens),
        up: Function::find(&tokens, "up", &names),
        down: Function::find(&tokens, "down", &names),
        rerun: Rerun::find(&tokens),
        has_our_result,
        checksum: checksum::of_tokens(tokens.clone()),
        former_checksum: checksum::former(tokens),
    }
}

/// Returns the number of the line in which a public function of that name begins, if it can be found.
pub(super) fn line_of(text: &str, function: &str) -> Option<usize> {
    line_with(text, |words| words.first() == Some(&"pub") && words.windows(2).any(|pair| pair == ["fn", function]))
}

/// Returns the number of the line in which something of that name is declared that is no function, if it can be found.
pub(super) fn line_of_item(text: &str, name: &str) -> Option<usize> {
    let is_item = |word: &&str| ["const", "static", "use"].contains(word);
    line_with(text, |words| words.iter().take(3).any(is_item) && words.contains(&name))
}

/// Returns the number of the first line whose words are those.
fn line_with(text: &str, is_it: impl Fn(&[&str]) -> bool) -> Option<usize> {
    text.lines().position(|line| {
        let words: Vec<&str> =
            line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
        is_it(&words)
    })
}

/// Returns the first line of the file's own doc comment that is not empty.
fn description(tokens: &TokenStream) -> Option<String> {
    let mut tokens = tokens.clone().into_iter().peekable();
    loop {
        let (Some(TokenTree::Punct(hash)), Some(TokenTree::Punct(bang))) = (tokens.next(), tokens.next()) else {
            return None;
        };
        if hash.as_char() != '#' || bang.as_char() != '!' {
            return None;
        }
        let Some(TokenTree::Group(attribute)) = tokens.next() else { return None };
        if let Some(text) = doc_text(&attribute.stream())
            && let Some(line) = text.lines().map(str::trim).find(|line| !line.is_empty())
        {
            return Some(line.to_owned());
        }
    }
}

/// Whether the prelude's is the file's only glob import, and the file names nothing else `Result`.
fn has_our_result(tokens: &TokenStream) -> bool {
    let mut globs = Vec::new();
    let mut item: Vec<String> = Vec::new();
    for token in tokens.clone() {
        match &token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => {
                // Attributes and doc comments may precede it.
                let import = item.iter().position(|word| word == "use");
                let is_import = import.is_some();
                let text = item[import.unwrap_or(0)..].join("");
                if is_import && text.contains('*') {
                    globs.push(text);
                } else if item.iter().any(|word| word == "Result") && (is_import || item.iter().any(|word| word == "type")) {
                    return false;
                }
                item.clear();
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !item.iter().any(|word| word == "use") => {
                // The file may define a type or trait of that name.
                if item.iter().any(|word| matches!(word.as_str(), "struct" | "enum" | "trait"))
                    && item.iter().any(|w| w == "Result")
                {
                    return false;
                }
                item.clear();
            }
            TokenTree::Group(group) => {
                item.extend(group.to_string().split(|c: char| !c.is_alphanumeric() && c != '*').map(str::to_owned));
            }
            token => item.push(token.to_string()),
        }
    }
    globs == ["usecargo_migrations::prelude::*"]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "//! Give every note a slug.\n//!\n//! More.\nuse cargo_migrations::prelude::*;\n\n\
                        pub async fn up(db: &Database) -> Result<()> { Ok(()) }\n";

    #[test]
    fn the_first_doc_line_describes() {
        assert_eq!(read(FILE).description.as_deref(), Some("Give every note a slug."));
        assert_eq!(read("/*! In \"a\" \\block */").description.as_deref(), Some("In \"a\" \\block"));
        assert_eq!(read("#![allow(unused)]\n//!\n//! Late").description.as_deref(), Some("Late"));
        assert_eq!(read("/// Not the file's.\npub fn up() {}").description, None);
        assert_eq!(read("//! It's é").description.as_deref(), Some("It's é"));
        assert_eq!(read("").description, None);
    }

    #[test]
    fn the_preludes_result_is_recognized() {
        let prelude = "use cargo_migrations::prelude::*;";
        for ours in ["", "use std::io::Read;", "const A: i32 = 1; fn x() -> Result<()> { Ok(()) }", "use a::{b, c};"] {
            assert!(read(&format!("//! Doc.\n{prelude}\n{ours}")).has_our_result, "{ours}");
        }
        for theirs in [
            "use anyhow::Result;",
            "use anyhow::{Context, Result};",
            "use x::*;",
            "use x::{y::*, z};",
            "type Result<T> = x::Y<T>;",
            "use super::*;",
            "enum Result { A }",
        ] {
            assert!(!read(&format!("{prelude}\n{theirs}")).has_our_result, "{theirs}");
        }
        assert!(!read("use cargo_migrations::Result;").has_our_result);
    }

    #[test]
    fn a_file_that_does_not_parse_is_left_to_the_compiler() {
        let source = read("pub async fn up( {");
        assert!(source.up.is_some());
        assert_ne!(source.checksum, read("pub async fn up( [").checksum);
    }
}
