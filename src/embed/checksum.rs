//! The checksum of a migration file's code.
//!
//! It is that of the file's tokens in a normal form: comments, white space and whatever else rustfmt changes make no difference.
//! [`former`] is the checksum that databases may have from an earlier version of this crate.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use sha2::{Digest, Sha256};

use super::normal_form::{self, Place};
use super::tokens::{doc_text, write};

/// Returns the checksum of the tokens in their normal form: `v2:sha256:…`.
pub(super) fn of_tokens(tokens: TokenStream) -> String {
    let mut text = String::new();
    write(normal_form::of(tokens, Place::Block), &mut text);
    format!("v2:{}", of_text(&text))
}

/// Returns the checksum of the tokens without doc comments: `sha256:…`.
pub(super) fn former(tokens: TokenStream) -> String {
    of_text(&former_text(tokens))
}

/// Returns the checksum of a text.
pub(super) fn of_text(text: &str) -> String {
    use std::fmt::Write as _;
    // A literal may contain line endings, and git may have converted them.
    let digest = Sha256::digest(text.replace("\r\n", "\n").as_bytes());
    digest.iter().fold(String::from("sha256:"), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Returns the tokens as text, as an earlier version of this crate wrote them.
fn former_text(tokens: TokenStream) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "//! Give every note a slug.\n//!\n//! More.\nuse cargo_migrations::prelude::*;\n\n\
                        pub async fn up(db: &Database) -> Result<()> { Ok(()) }\n";

    fn checksum(text: &str) -> String {
        of_tokens(text.parse().unwrap())
    }

    #[test]
    fn it_depends_on_the_code_alone() {
        let original = checksum(FILE);
        assert!(original.starts_with("v2:sha256:") && original.len() == 10 + 64);
        assert_eq!(original, checksum(&FILE.replace('\n', "\r\n")), "line endings");
        assert_eq!(original, checksum(&FILE.replace(";\n", ";   \n")), "white space at line ends");
        assert_eq!(original, checksum(&FILE.replace("More.", "Much more.")), "doc comments");
        assert_eq!(original, checksum(&format!("{FILE}// a comment /* nested */\n/// \n")), "comments");
        for (a, b) in [
            (FILE, &*FILE.replace("Ok(())", "Ok::<_, ()>(())")),
            ("const A: &str = \"a b\";", "const A: &str = \"a  b\";"),
            ("#![allow(x)]", "#[allow(x)]"),
            ("const A: (u8,) = (1,);", "const A: (u8) = (1);"),
            ("fn f() { a(); b() }", "fn f() { b(); a() }"),
            ("fn f() { match a { A => b(), B => c() } }", "fn f() { match a { B => c(), A => b() } }"),
            ("fn f() { let f = |x| { a; b }; }", "fn f() { let f = |x| a; b; }"),
            ("fn f() -> u8 { a }", "fn f() -> u8 { a; }"),
            ("use a::{b, c};", "use a::b;"),
            ("use a::{self};", "use a;"),
            ("const A: [u8; 2] = [1, 2];", "const A: [u8; 2] = [2, 1];"),
            ("#[derive(A, B)] struct X;", "#[derive(A)] struct X;"),
        ] {
            assert_ne!(checksum(a), checksum(b), "{a}\n{b}");
        }
    }

    #[test]
    fn what_rustfmt_changes_makes_no_difference() {
        for (before, after) in [
            ("fn f(a: u8, b: u8,) { g(a, b,); h::<u8, u16,>(1,) }", "fn f(a: u8, b: u8) { g(a, b); h::<u8, u16>(1) }"),
            ("const A: X = X { a: [1, 2,], b: (1, 2,), };", "const A: X = X { a: [1, 2], b: (1, 2) };"),
            ("use b::{d, c,};\nuse a::{b};\nfn f() {}", "use a::b;\nuse b::{c, d};\nfn f() {}"),
            ("use a::{b::{d, c}, self};", "use a::{self, b::{c, d}};"),
            ("#[cfg(x)] use b; pub use a; pub(crate) use c;", "pub use a; #[cfg(x)] use b; pub(crate) use c;"),
            ("mod b; mod a; extern crate d; extern crate c;", "mod a; mod b; extern crate c; extern crate d;"),
            ("fn f() { match a { A => { b() } B => { c(); } } }", "fn f() { match a { A => b(), B => { c(); }, } }"),
            ("fn f() { match a { A => if b { c() } B => d(), } }", "fn f() { match a { A => { if b { c() } } B => d(), } }"),
            ("#![allow(x)] use a::{c, b};", "#![allow(x)] use a::{b, c};"),
            ("fn f() { match a { | A | B => b(), | C => c, } }", "fn f() { match a { A | B => b(), C => c } }"),
            ("fn f() { a.map(|x| { x + 1 }).map(|| { y }) }", "fn f() { a.map(|x| x + 1).map(|| y) }"),
            ("fn f() { if a { return } loop { break; } return b }", "fn f() { if a { return; } loop { break; } return b; }"),
            ("fn f<T>() -> () where T: A, { a();; b() }", "fn f<T>() where T: A { a(); b() }"),
            ("fn f() { a.0.1; b(1.5) }", "fn f() { a.0 .1; b(1.5) }"),
            ("#[derive(A)] #[derive(B, C,)] struct X;", "#[derive(A, B, C)] struct X;"),
        ] {
            assert_eq!(checksum(before), checksum(after), "{before}");
        }
    }

    #[test]
    fn the_former_checksum_is_that_of_the_tokens_as_they_stand() {
        let former = |text: &str| former(text.parse().unwrap());
        assert_eq!(former("fn a() {}"), "sha256:92d33b7bea830e8effc0315d8afd29c264662936a772ba898464c8466eb7a432");
        assert_eq!(former(FILE), former(&FILE.replace("More.", "Much more.")));
        assert_ne!(former("f(a,)"), former("f(a)"));
    }

    #[test]
    fn real_code_in_rustfmts_other_styles_is_the_same() {
        use std::process::Command;
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut changed = 0;
        for folder in ["mongomigrations", "src/db", "src/plugin", "src/run"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                let mut rustfmt = Command::new("rustfmt");
                rustfmt.args([
                    "--edition",
                    "2024",
                    "--config",
                    "max_width=60,use_small_heuristics=Off,reorder_imports=true",
                ]);
                let output = rustfmt.stdin(std::fs::File::open(&path).unwrap()).output().expect("rustfmt");
                assert!(output.status.success(), "{}", path.display());
                let after = String::from_utf8(output.stdout).unwrap();
                changed += usize::from(after != text);
                assert_eq!(checksum(&text), checksum(&after), "{}", path.display());
            }
        }
        assert!(changed > 10, "rustfmt changed {changed} files");
    }
}
