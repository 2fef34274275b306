//! The order of imports, which rustfmt changes.

use proc_macro2::{Delimiter, TokenTree};

use super::tokens::{comma, group_of, is_brace, is_ident, is_punct, without_last_comma, write};

/// Returns the tokens with each run of `use`, of `mod x;` and of `extern crate` items, and the names within each `use`, in order.
pub(super) fn sorted(tokens: Vec<TokenTree>) -> Vec<TokenTree> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut run: Vec<(String, Vec<TokenTree>)> = Vec::new();
    let mut kind = None;
    let mut at = 0;
    while at < tokens.len() {
        let found = import(&tokens[at..]);
        let this = found.as_ref().map(|(kind, _)| *kind);
        if this != kind {
            flush(&mut run, &mut out);
            kind = this;
        }
        if let Some((_, end)) = found {
            let item = import_tokens(&tokens[at..at + end]);
            let mut text = String::new();
            write(item.clone(), &mut text);
            run.push((text, item));
            at += end;
            continue;
        }
        // Up to where the next item or statement may begin.
        while let Some(token) = tokens.get(at) {
            out.push(token.clone());
            at += 1;
            let is_inner_attribute = at >= 3 && is_punct(tokens.get(at - 3), '#') && is_punct(tokens.get(at - 2), '!');
            if is_inner_attribute && matches!(token, TokenTree::Group(_)) {
                break;
            }
            if is_punct(Some(token), ';') || is_brace(token) {
                break;
            }
        }
    }
    flush(&mut run, &mut out);
    out
}

fn flush(run: &mut Vec<(String, Vec<TokenTree>)>, out: &mut Vec<TokenTree>) {
    run.sort_by(|(a, _), (b, _)| a.cmp(b));
    out.extend(run.drain(..).flat_map(|(_, item)| item));
}

/// Returns which kind of import the tokens begin with, and where it ends.
fn import(tokens: &[TokenTree]) -> Option<(&'static str, usize)> {
    let mut at = 0;
    while is_punct(tokens.get(at), '#') && matches!(tokens.get(at + 1), Some(TokenTree::Group(_))) {
        at += 2;
    }
    if is_ident(tokens.get(at), "pub") {
        at += 1;
        at += usize::from(matches!(tokens.get(at), Some(TokenTree::Group(_))));
    }
    let kind = if is_ident(tokens.get(at), "use") {
        "use"
    } else if is_ident(tokens.get(at), "mod") && is_punct(tokens.get(at + 2), ';') {
        "mod"
    } else if is_ident(tokens.get(at), "extern") && is_ident(tokens.get(at + 1), "crate") {
        "extern crate"
    } else {
        return None;
    };
    let end = tokens[at..].iter().position(|token| is_punct(Some(token), ';'))?;
    Some((kind, at + end + 1))
}

/// Returns an import with the names in its braces sorted, and without braces around a single one.
fn import_tokens(tokens: &[TokenTree]) -> Vec<TokenTree> {
    let mut out = Vec::with_capacity(tokens.len());
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let names = inner.split(|token| is_punct(Some(token), ',')).filter(|name| !name.is_empty());
                let mut names: Vec<(String, Vec<TokenTree>)> = names
                    .map(|name| {
                        let name = import_tokens(name);
                        (name.iter().map(ToString::to_string).collect(), name)
                    })
                    .collect();
                names.sort_by(|(a, _), (b, _)| a.cmp(b));
                match &names[..] {
                    [(text, name)] if text != "self" && !text.starts_with("selfas") => out.extend(name.iter().cloned()),
                    _ => {
                        let all = names.into_iter().flat_map(|(_, name)| name.into_iter().chain([comma()])).collect();
                        out.push(group_of(Delimiter::Brace, without_last_comma(all)));
                    }
                }
            }
            token => out.push(token.clone()),
        }
    }
    out
}
