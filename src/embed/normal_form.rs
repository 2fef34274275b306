//! The normal form of Rust's tokens: two texts have the same one if rustfmt makes the same of them.
//!
//! It may also be the same for texts that mean the same and that rustfmt does not change.

use proc_macro2::{Delimiter, Punct, Spacing, TokenStream, TokenTree};

use super::imports;
use super::tokens::{comma, ends_with, group_of, is_brace, is_ident, is_punct, without_docs, without_last_comma};

/// Where tokens stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the top of the file, or in braces.
    Block,
    /// In parentheses that may be a tuple.
    Tuple,
    /// In other parentheses or brackets.
    List,
}

/// Returns the tokens in their normal form.
pub(super) fn of(tokens: TokenStream, place: Place) -> Vec<TokenTree> {
    let mut tokens = with_merged_derives(without_docs(tokens));
    if place == Place::Block {
        tokens = imports::sorted(tokens);
    }
    let has_arms = place == Place::Block && tokens.windows(2).any(is_arrow);
    if has_arms {
        drop_leading_pipes(&mut tokens);
    }
    let mut out: Vec<TokenTree> = Vec::with_capacity(tokens.len());
    let mut in_where = false;
    for at in 0..tokens.len() {
        let (token, next) = (&tokens[at], tokens.get(at + 1));
        match token {
            TokenTree::Group(group) => {
                let is_unit = group.delimiter() == Delimiter::Parenthesis && group.stream().is_empty();
                if is_unit && ends_with(&out, "->") {
                    // `-> ()` is what a function returns anyway.
                    out.truncate(out.len() - 2);
                    continue;
                }
                let place = match group.delimiter() {
                    Delimiter::Brace => Place::Block,
                    Delimiter::Parenthesis if !is_call(out.last()) => Place::Tuple,
                    _ => Place::List,
                };
                let inner = of(group.stream(), place);
                if group.delimiter() == Delimiter::Brace {
                    in_where = false;
                    let is_arm = ends_with(&out, "=>");
                    // rustfmt puts the body of an arm or a closure into braces, or takes them away, as the line's length needs it.
                    if (is_arm || is_punct(out.last(), '|')) && !inner.iter().any(|token| is_punct(Some(token), ';')) {
                        out.extend(inner);
                    } else {
                        out.push(group_of(Delimiter::Brace, inner));
                    }
                    // Behind a brace, the comma between two arms is optional.
                    if is_arm && !out.last().is_some_and(is_brace) && !is_punct(next, ',') && next.is_some() {
                        out.push(comma());
                    }
                } else {
                    out.push(group_of(group.delimiter(), inner));
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ',' => {
                let is_only = place == Place::Tuple && !out.iter().any(|token| is_punct(Some(token), ','));
                let is_trailing = match next {
                    _ if has_arms && out.last().is_some_and(is_brace) => true,
                    None => !is_only,
                    Some(next) => {
                        let ends_where = is_brace(next) || is_punct(Some(next), ';') || is_punct(Some(next), '=');
                        is_punct(Some(next), '>') || is_punct(Some(next), '|') || in_where && ends_where
                    }
                };
                if !is_trailing {
                    out.push(token.clone());
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' && place == Place::Block => {
                in_where = false;
                let is_empty = out.is_empty() || is_punct(out.last(), ';');
                let is_optional = is_empty || next.is_none() && ends_in_jump(&out);
                if !is_optional {
                    out.push(token.clone());
                }
            }
            // `a.0.1`, in which the tokenizer sees a number with a fraction.
            TokenTree::Literal(fields) if is_punct(out.last(), '.') => {
                for (at, field) in fields.to_string().split('.').enumerate() {
                    let dot = TokenTree::Punct(Punct::new('.', Spacing::Alone));
                    out.extend((at > 0).then_some(dot));
                    out.extend(field.parse().ok().map(TokenTree::Literal));
                }
            }
            token => {
                in_where |= matches!(token, TokenTree::Ident(ident) if ident == "where");
                out.push(token.clone());
            }
        }
    }
    out
}

/// Makes one attribute of `#[derive(A)] #[derive(B)]`.
fn with_merged_derives(tokens: Vec<TokenTree>) -> Vec<TokenTree> {
    let mut out: Vec<TokenTree> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let before = out.len().checked_sub(3).map(|at| (derived(&out[at + 1]), is_punct(out.get(at), '#')));
        if let (Some((Some(first), true)), Some(second)) = (before, derived(&token))
            && is_punct(out.last(), '#')
        {
            let mut all = without_last_comma(first);
            all.push(comma());
            all.extend(second);
            let derive = TokenTree::Ident(proc_macro2::Ident::new("derive", proc_macro2::Span::call_site()));
            let attribute = group_of(Delimiter::Bracket, vec![derive, group_of(Delimiter::Parenthesis, all)]);
            out.truncate(out.len() - 2);
            out.push(attribute);
        } else {
            out.push(token);
        }
    }
    out
}

/// Returns what `derive(…)` in brackets derives.
fn derived(token: &TokenTree) -> Option<Vec<TokenTree>> {
    let TokenTree::Group(attribute) = token else { return None };
    let mut tokens = attribute.stream().into_iter();
    match (tokens.next(), tokens.next(), tokens.next()) {
        (Some(TokenTree::Ident(name)), Some(TokenTree::Group(names)), None) if name == "derive" => {
            Some(names.stream().into_iter().collect())
        }
        _ => None,
    }
}

/// Drops the `|` that a match arm may begin with.
fn drop_leading_pipes(tokens: &mut Vec<TokenTree>) {
    let mut before: Option<TokenTree> = None;
    let mut after_arrow = false;
    tokens.retain(|token| {
        let begins_arm = before.is_none() || is_punct(before.as_ref(), ',') || after_arrow;
        let keep = !(begins_arm && is_punct(Some(token), '|'));
        after_arrow = is_brace(token) && is_punct(before.as_ref(), '>');
        before = Some(token.clone());
        keep
    });
}

/// Whether these are the two tokens of `=>`.
fn is_arrow(tokens: &[TokenTree]) -> bool {
    is_punct(tokens.first(), '=') && is_punct(tokens.get(1), '>')
}

/// Whether the last statement is `return`, `break` or `continue`: a semicolon behind it changes nothing.
fn ends_in_jump(tokens: &[TokenTree]) -> bool {
    let start = tokens.iter().rposition(|token| is_punct(Some(token), ';')).map_or(0, |at| at + 1);
    let last = &tokens[start..];
    last.iter().enumerate().any(|(at, token)| {
        let is_jump = ["return", "break", "continue"].iter().any(|word| is_ident(Some(token), word));
        is_jump && (at == 0 || is_brace(&last[at - 1]))
    })
}

/// Whether what follows in parentheses are the arguments of a function.
fn is_call(before: Option<&TokenTree>) -> bool {
    const KEYWORDS: [&str; 12] =
        ["return", "in", "match", "if", "while", "let", "else", "mut", "ref", "move", "break", "as"];
    match before {
        Some(TokenTree::Ident(ident)) => KEYWORDS.iter().all(|keyword| ident != keyword),
        Some(TokenTree::Group(group)) => group.delimiter() != Delimiter::Brace,
        Some(TokenTree::Punct(punct)) => matches!(punct.as_char(), '>' | '?' | '!'),
        _ => false,
    }
}
