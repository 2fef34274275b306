//! What is read off a migration file's text: its description, which functions it has, and its checksum.
//!
//! The text is split into Rust's tokens, so that white space, line endings and comments count for nothing.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use sha2::{Digest, Sha256};

/// What a migration file's text tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) description: Option<String>,
    pub(super) has_up: bool,
    pub(super) has_down: bool,
    pub(super) checksum: String,
}

pub(super) fn read(text: &str) -> Source {
    // A byte order mark is no token.
    let text = text.trim_start_matches('\u{feff}');
    match TokenStream::from_str(text) {
        Ok(tokens) => Source {
            description: description(&tokens),
            has_up: has_public_fn(&tokens, "up"),
            has_down: has_public_fn(&tokens, "down"),
            checksum: checksum(&canonical(tokens)),
        },
        // The compiler will say what is wrong, at the file's own line: let it.
        Err(_) => Source { description: None, has_up: true, has_down: false, checksum: checksum(text) },
    }
}

/// The first line of the file's own doc comment that holds anything.
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

/// The text of `doc = "…"`, which is what a doc comment is to the compiler.
fn doc_text(attribute: &TokenStream) -> Option<String> {
    let mut tokens = attribute.clone().into_iter();
    let (Some(TokenTree::Ident(name)), Some(TokenTree::Punct(_)), Some(TokenTree::Literal(text))) =
        (tokens.next(), tokens.next(), tokens.next())
    else {
        return None;
    };
    (name == "doc").then(|| unquote(&text.to_string()))
}

/// The value of a string literal. Of the escapes, those that doc comments are turned into.
fn unquote(literal: &str) -> String {
    if let Some(raw) = literal.strip_prefix('r') {
        return raw.trim_matches('#').trim_matches('"').to_owned();
    }
    let mut out = String::new();
    let mut chars = literal.trim_matches('"').chars();
    // `trim_matches` would take an escaped quote at the end too, but leaves its backslash, which then stands for nothing.
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('u') => {
                    let code: String = chars.by_ref().take_while(|&c| c != '}').filter(|&c| c != '{').collect();
                    out.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
                }
                Some(other) => out.push(other),
                None => out.push('"'),
            },
            c => out.push(c),
        }
    }
    out
}

/// Whether a public function of that name stands at the top of the file, or is imported there with `pub use`.
fn has_public_fn(tokens: &TokenStream, name: &str) -> bool {
    let mut public = false;
    let mut previous = String::new();
    let mut used = false;
    for token in tokens.clone() {
        match &token {
            TokenTree::Ident(ident) => {
                let ident = ident.to_string();
                if public && previous == "fn" && ident == name {
                    return true;
                }
                match ident.as_str() {
                    "pub" => public = true,
                    "use" => used = public,
                    _ if used && ident == name => return true,
                    _ => {}
                }
                previous = ident;
            }
            TokenTree::Group(group) => {
                if used && group.stream().into_iter().any(|token| matches!(token, TokenTree::Ident(i) if i == name)) {
                    return true;
                }
                if group.delimiter() == Delimiter::Brace {
                    (public, used) = (false, false);
                }
                previous.clear();
            }
            TokenTree::Punct(punct) => {
                if punct.as_char() == ';' {
                    (public, used) = (false, false);
                }
                previous.clear();
            }
            TokenTree::Literal(_) => {}
        }
    }
    false
}

/// The tokens, one space apart, without doc comments.
fn canonical(tokens: TokenStream) -> String {
    fn write(tokens: TokenStream, out: &mut String) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    let bang = matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == '!')
                        .then(|| tokens.next())
                        .flatten();
                    if let Some(TokenTree::Group(group)) = tokens.peek()
                        && group.delimiter() == Delimiter::Bracket
                        && doc_text(&group.stream()).is_some()
                    {
                        tokens.next();
                        continue;
                    }
                    out.push_str(if bang.is_some() { "# ! " } else { "# " });
                }
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("( ", ") "),
                        Delimiter::Brace => ("{ ", "} "),
                        Delimiter::Bracket => ("[ ", "] "),
                        Delimiter::None => ("", ""),
                    };
                    out.push_str(open);
                    write(group.stream(), out);
                    out.push_str(close);
                }
                token => {
                    out.push_str(&token.to_string());
                    out.push(' ');
                }
            }
        }
    }
    let mut out = String::new();
    write(tokens, &mut out);
    out
}

fn checksum(text: &str) -> String {
    use std::fmt::Write as _;
    // A literal may hold a line ending: git may have turned it.
    let digest = Sha256::digest(text.replace("\r\n", "\n").as_bytes());
    digest.iter().fold(String::from("sha256:"), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
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
    fn functions_are_found_at_the_top_only() {
        let source = read(FILE);
        assert!(source.has_up && !source.has_down);
        assert!(!read("mod m { pub async fn up() {} }").has_up);
        assert!(!read("// pub async fn up() {}\nconst S: &str = \"pub fn up()\";").has_up);
        assert!(!read("async fn up() {}").has_up);
        assert!(read("pub(crate) async fn down() {}").has_down);
        assert!(read("pub use crate::shared::{up, down};").has_down);
        assert!(read("pub use crate::shared::nothing as down;").has_down);
        assert!(!read("use crate::shared::up;").has_up);
        assert!(!read("pub struct A; fn up() {}").has_up);
    }

    #[test]
    fn the_checksum_is_the_codes() {
        let checksum = |text: &str| read(text).checksum;
        let original = checksum(FILE);
        assert!(original.starts_with("sha256:") && original.len() == 7 + 64);
        assert_eq!(original, checksum(&FILE.replace('\n', "\r\n")), "line endings");
        assert_eq!(original, checksum(&FILE.replace(";\n", ";   \n")), "white space at line ends");
        assert_eq!(original, checksum(&FILE.replace("More.", "Much more.")), "doc comments");
        assert_eq!(original, checksum(&format!("{FILE}// a comment /* nested */\n/// \n")), "comments");
        assert_ne!(original, checksum(&FILE.replace("Ok(())", "Ok::<_, ()>(())")), "code");
        assert_ne!(checksum("const A: &str = \"a b\";"), checksum("const A: &str = \"a  b\";"), "literals");
        assert_ne!(checksum("#![allow(x)]"), checksum("#[allow(x)]"));
    }

    #[test]
    fn what_is_no_rust_is_left_to_the_compiler() {
        let source = read("pub async fn up( {");
        assert!(source.has_up);
        assert_ne!(source.checksum, read("pub async fn up( [").checksum);
    }
}
