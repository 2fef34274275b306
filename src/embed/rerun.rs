//! Reads off the tokens of a migration file whether it has `pub const RERUN: Rerun = …;`, and what is wrong with it. The compiler's
//! own errors about it would point into generated code, and a condition would make builds of the same file differ.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::cfg;
use super::tokens::{is_brace, is_ident, is_punct, shown};

/// What the constant is called.
pub(super) const RERUN: &str = "RERUN";

/// The declaration that is certainly right.
const WRITE: &str = "write `pub const RERUN: Rerun = Rerun::Safe;`, or remove it";

/// The constant of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rerun {
    /// What is wrong with it, and what to do.
    pub(super) wrong: Option<(String, String)>,
}

impl Rerun {
    /// Finds the constant, or whatever else of its name stands at the top level of the file.
    pub(super) fn find(tokens: &TokenStream) -> Option<Self> {
        let mut found: Vec<Self> = Vec::new();
        let mut item: Vec<TokenTree> = Vec::new();
        for token in tokens.clone() {
            let ends = is_punct(Some(&token), ';') || is_brace(&token) && !Head::of(&item).goes_on_after_braces();
            item.push(token);
            if ends {
                found.extend(of_item(&item));
                item.clear();
            }
        }
        let wrong = found.iter().position(|rerun| rerun.wrong.is_some());
        if found.is_empty() { None } else { Some(found.swap_remove(wrong.unwrap_or(0))) }
    }
}

/// An item: its attributes, its visibility, and what follows.
struct Head<'t> {
    attributes: Vec<Group>,
    is_public: bool,
    rest: &'t [TokenTree],
}

impl<'t> Head<'t> {
    fn of(item: &'t [TokenTree]) -> Self {
        let mut at = 0;
        let mut attributes = Vec::new();
        while is_punct(item.get(at), '#') {
            // An inner attribute, `#![…]`, is the file's.
            let is_inner = is_punct(item.get(at + 1), '!');
            let group = at + if is_inner { 2 } else { 1 };
            let Some(TokenTree::Group(attribute)) = item.get(group) else { break };
            if !is_inner {
                attributes.push(attribute.clone());
            }
            at = group + 1;
        }
        let is_public = is_ident(item.get(at), "pub");
        if is_public {
            let is_within =
                |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis);
            at += 1 + usize::from(item.get(at + 1).is_some_and(is_within));
        }
        Self { attributes, is_public, rest: &item[at..] }
    }

    /// Whether braces may be a part of it that is not its last: in an import, and in a value.
    fn goes_on_after_braces(&self) -> bool {
        let begins_with = |word: &&str| is_ident(self.rest.first(), word);
        let has_value = || self.rest.iter().any(|token| is_punct(Some(token), '='));
        begins_with(&"use") || ["const", "static"].iter().any(begins_with) && has_value()
    }
}

/// Reads one item, if it is of that name.
fn of_item(item: &[TokenTree]) -> Option<Rerun> {
    let Head { attributes, is_public, rest: item } = Head::of(item);
    let wrong = |what: String, write: &str| Some(Rerun { wrong: Some((what, write.to_owned())) });
    if is_ident(item.first(), "use") {
        return imports(item).then(|| wrong("is imported".into(), WRITE))?;
    }
    let name = item.iter().position(|token| is_ident(Some(token), RERUN))?;
    // `const`, `static`, `static mut`: in other items, the name is a part of something else.
    if name > 2 || !(is_ident(item.first(), "const") || is_ident(item.first(), "static")) {
        return None;
    }
    if is_ident(item.first(), "static") {
        return wrong("is not a `const`".into(), WRITE);
    }
    if !is_public {
        return wrong("is not `pub`".into(), WRITE);
    }
    if let Some(condition) = cfg::of_attributes(&attributes) {
        return wrong(
            format!("stands under `#[cfg({condition})]`"),
            "remove the condition from `RERUN`: it has to hold in every build",
        );
    }
    let rest = &item[name + 1..];
    let equals = rest.iter().position(|token| is_punct(Some(token), '=')).unwrap_or(rest.len());
    let (of_type, value) = (&rest[..equals], rest.get(equals + 1..).unwrap_or_default());
    let of_type = shown(of_type.get(1..).unwrap_or_default());
    if last(&of_type) != "Rerun" {
        return wrong(format!("is of type `{of_type}`"), WRITE);
    }
    let value = shown(value.get(..value.len().saturating_sub(1)).unwrap_or_default());
    let is_path = value.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':');
    if !is_path {
        return wrong("has a value that is computed".into(), WRITE);
    }
    if !["Safe", "Unknown"].contains(&last(&value)) {
        return wrong(format!("is `{value}`, and neither `Rerun::Safe` nor `Rerun::Unknown`"), WRITE);
    }
    Some(Rerun { wrong: None })
}

/// The last name of a path: `Rerun` of `cargo_migrations::Rerun`.
fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or_default()
}

/// Whether an import brings the name in.
fn imports(item: &[TokenTree]) -> bool {
    item.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Group(group) => imports(&group.stream().into_iter().collect::<Vec<_>>()),
        // `RERUN as other` is imported under another name.
        token => is_ident(Some(token), RERUN) && !is_ident(item.get(at + 1), "as"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with the constant of a file. `None` if it has none.
    fn wrong(text: &str) -> Option<Option<String>> {
        Rerun::find(&text.parse().unwrap()).map(|rerun| rerun.wrong.map(|(what, _)| what))
    }

    #[test]
    fn the_constant_is_found_at_the_top_only() {
        for text in [
            "pub const RERUN: Rerun = Rerun::Safe;",
            "//! Doc.\n#![allow(x)]\nuse a::{b, c};\npub async fn up() {}\n/// Why.\npub(super) const RERUN: cargo_migrations::Rerun = \
             cargo_migrations::Rerun::Unknown;",
            "pub const A: [u8; 2] = { [1, 2] };\npub const RERUN: Rerun = Safe;",
            "pub const fn f() -> i32 { 1 }\nstruct S<const N: usize> {}\npub const RERUN: Rerun = Rerun::Safe;",
            "#[doc = \"cfg\"] pub const RERUN: Rerun = Rerun::Safe;",
        ] {
            assert_eq!(wrong(text), Some(None), "{text}");
        }
        for text in [
            "mod m { pub const RERUN: Rerun = Rerun::Safe; }",
            "// pub const RERUN: Rerun = Rerun::Safe;\nconst S: &str = \"RERUN\";",
            "const OTHER: bool = RERUN == 1;",
            "pub fn rerun() { let RERUN = 1; }",
            "use x::RERUN as other;",
            "",
        ] {
            assert_eq!(wrong(text), None, "{text}");
        }
    }

    #[test]
    fn whatever_is_wrong_with_it_is_said() {
        for (text, what) in [
            ("const RERUN: Rerun = Rerun::Safe;", "is not `pub`"),
            ("pub static RERUN: Rerun = Rerun::Safe;", "is not a `const`"),
            ("pub static mut RERUN: Rerun = Rerun::Safe;", "is not a `const`"),
            ("pub use crate::shared::RERUN;", "is imported"),
            ("use crate::{shared::{a, RERUN}};", "is imported"),
            ("#[cfg(unix)] pub const RERUN: Rerun = Rerun::Safe;", "stands under `#[cfg(unix)]`"),
            (
                "#[cfg_attr(unix, cfg(test))] pub const RERUN: Rerun = Rerun::Safe;",
                "stands under `#[cfg(any(not(unix), test))]`",
            ),
            (
                "pub const RERUN: Rerun = Rerun::Safe; #[cfg(windows)] pub const RERUN: Rerun = Rerun::Safe;",
                "stands under `#[cfg(windows)]`",
            ),
            ("pub const RERUN: bool = true;", "is of type `bool`"),
            ("pub const RERUN: Option<Rerun> = None;", "is of type `Option<Rerun>`"),
            ("pub const RERUN: Rerun = Rerun::Save;", "is `Rerun::Save`, and neither `Rerun::Safe` nor `Rerun::Unknown`"),
            ("pub const RERUN: Rerun = rerun();", "has a value that is computed"),
            (
                "pub const RERUN: Rerun = if cfg!(unix) { Rerun::Safe } else { Rerun::Unknown };",
                "has a value that is computed",
            ),
            ("pub const RERUN: Rerun = Rerun::default();", "has a value that is computed"),
        ] {
            assert_eq!(wrong(text), Some(Some(what.to_owned())), "{text}");
        }
    }
}
