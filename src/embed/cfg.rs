//! The conditions of `#[cfg(…)]`, which generated code repeats.

use proc_macro2::{Group, TokenStream, TokenTree};

use super::tokens::{is_ident, is_punct, shown};

/// Returns the condition of a file's own attributes: `#![cfg(…)]`.
pub(super) fn of_file(tokens: &TokenStream) -> Option<String> {
    let mut tokens = tokens.clone().into_iter();
    let mut attributes = Vec::new();
    while let (Some(hash), Some(bang), Some(TokenTree::Group(attribute))) = (tokens.next(), tokens.next(), tokens.next()) {
        if !is_punct(Some(&hash), '#') || !is_punct(Some(&bang), '!') {
            break;
        }
        attributes.push(attribute);
    }
    of_attributes(&attributes)
}

/// Returns the condition of attributes, without their `#`.
pub(super) fn of_attributes(attributes: &[Group]) -> Option<String> {
    let all = attributes.iter().filter_map(|attribute| {
        let tokens: Vec<TokenTree> = attribute.stream().into_iter().collect();
        of_attribute(&tokens)
    });
    combined("all", all.collect())
}

/// Returns the condition of `cfg(…)`, or of `cfg_attr(…, cfg(…))`.
fn of_attribute(tokens: &[TokenTree]) -> Option<String> {
    let Some(TokenTree::Group(group)) = tokens.get(1) else { return None };
    if is_ident(tokens.first(), "cfg") {
        return Some(shown(&group.stream().into_iter().collect::<Vec<_>>()));
    }
    if !is_ident(tokens.first(), "cfg_attr") {
        return None;
    }
    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
    let mut parts = inner.split(|token| is_punct(Some(token), ','));
    let condition = shown(parts.next()?);
    let inner = combined("all", parts.filter_map(of_attribute).collect())?;
    Some(format!("any(not({condition}), {inner})"))
}

/// Returns one condition of several.
pub(super) fn combined(how: &str, mut conditions: Vec<String>) -> Option<String> {
    match conditions.len() {
        0 | 1 => conditions.pop(),
        _ => Some(format!("{how}({})", conditions.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conditions_of_a_file_are_combined() {
        for (text, condition) in [
            ("//! Doc.\n#![allow(x)]\nfn a() {}", None),
            ("//! Doc.\n#![cfg(unix)]\n#[cfg(windows)] fn a() {}", Some("unix")),
            ("#![cfg(unix)]\n#![cfg(not(windows))]", Some("all(unix, not(windows))")),
            ("#![cfg_attr(unix, allow(x), cfg(debug_assertions))]", Some("any(not(unix), debug_assertions)")),
            ("#![cfg_attr(unix, allow(x))]", None),
        ] {
            let found = of_file(&text.parse().unwrap());
            assert_eq!(found.as_deref(), condition, "{text}");
        }
    }
}
