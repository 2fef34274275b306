//! Rust's tokens: what they are, and their text.

use proc_macro2::{Delimiter, Group, Punct, Spacing, TokenStream, TokenTree};

/// Writes the tokens, separated by single spaces.
pub(super) fn write(tokens: Vec<TokenTree>, out: &mut String) {
    for token in tokens {
        if let TokenTree::Group(group) = token {
            let (open, close) = delimiters(group.delimiter());
            out.push_str(open);
            write(group.stream().into_iter().collect(), out);
            out.push_str(close);
        } else {
            out.push_str(&token.to_string());
            out.push(' ');
        }
    }
}

/// Returns the tokens as people write them: `-> Result<(), Box<dyn Error>>`.
pub(super) fn shown(tokens: &[TokenTree]) -> String {
    let mut out = String::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                out.push_str(open);
                out.push_str(&shown(&inner));
                out.push_str(close);
            }
            TokenTree::Punct(punct) => match punct.as_char() {
                ',' => out.push_str(", "),
                '=' => out.push_str(" = "),
                '+' => out.push_str(" + "),
                '>' if out.ends_with('-') => out.push_str("> "),
                c => out.push(c),
            },
            token => {
                if out.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    out.push(' ');
                }
                out.push_str(&token.to_string());
            }
        }
    }
    out
}

fn delimiters(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("( ", ") "),
        Delimiter::Brace => ("{ ", "} "),
        Delimiter::Bracket => ("[ ", "] "),
        Delimiter::None => ("", ""),
    }
}

/// Returns the tokens without doc comments, also those that are written as attributes.
pub(super) fn without_docs(tokens: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if is_punct(tokens.get(at), '#') {
            let group = at + if is_punct(tokens.get(at + 1), '!') { 2 } else { 1 };
            if let Some(TokenTree::Group(attribute)) = tokens.get(group)
                && attribute.delimiter() == Delimiter::Bracket
                && doc_text(&attribute.stream()).is_some()
            {
                at = group + 1;
                continue;
            }
        }
        out.push(tokens[at].clone());
        at += 1;
    }
    out
}

/// Returns the text of `doc = "…"`, the attribute that a doc comment stands for.
pub(super) fn doc_text(attribute: &TokenStream) -> Option<String> {
    let mut tokens = attribute.clone().into_iter();
    let (Some(TokenTree::Ident(name)), Some(TokenTree::Punct(_)), Some(TokenTree::Literal(text))) =
        (tokens.next(), tokens.next(), tokens.next())
    else {
        return None;
    };
    (name == "doc").then(|| unquote(&text.to_string()))
}

/// Returns the value of a string literal. It knows the escapes that occur when a doc comment becomes an attribute.
fn unquote(literal: &str) -> String {
    if let Some(raw) = literal.strip_prefix('r') {
        return raw.trim_matches('#').trim_matches('"').to_owned();
    }
    let mut out = String::new();
    let mut chars = literal.trim_matches('"').chars();
    // `trim_matches` also removes an escaped quote at the end, but not its backslash: a lone backslash stands for the quote.
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

pub(super) fn without_last_comma(mut tokens: Vec<TokenTree>) -> Vec<TokenTree> {
    if is_punct(tokens.last(), ',') {
        tokens.pop();
    }
    tokens
}

pub(super) fn ends_with(tokens: &[TokenTree], puncts: &str) -> bool {
    let count = puncts.len();
    tokens.len() >= count && tokens[tokens.len() - count..].iter().zip(puncts.chars()).all(|(t, c)| is_punct(Some(t), c))
}

pub(super) fn is_punct(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == c)
}

pub(super) fn is_ident(token: Option<&TokenTree>, text: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == text)
}

pub(super) fn is_brace(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

pub(super) fn group_of(delimiter: Delimiter, tokens: Vec<TokenTree>) -> TokenTree {
    TokenTree::Group(Group::new(delimiter, tokens.into_iter().collect()))
}

pub(super) fn comma() -> TokenTree {
    TokenTree::Punct(Punct::new(',', Spacing::Alone))
}
