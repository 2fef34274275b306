//! Reads a migration's functions off the tokens of its file: what they take, under which condition they are compiled, and what is
//! certainly wrong with them. The compiler's own errors about them would point into generated code.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::cfg;
use super::tokens::{is_brace, is_ident, is_punct, shown};

/// A public function of a migration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) takes: Takes,
    /// The condition of its `#[cfg(…)]`: `feature = "x"`.
    pub(super) cfg: Option<String>,
    pub(super) wrong: Option<Wrong>,
}

/// What a function takes, as far as its text shows. `plain` means that its return type is written as `Result<()>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// `&Database` or `&Db`; it returns a `Result`.
    Database { plain: bool },
    /// `&mut Transaction`; it returns a `Result`.
    Transaction { plain: bool },
    /// Left to the compiler.
    Unknown,
}

/// Why a function cannot be a migration's, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// What the function is or does: `is not async`.
    pub(super) what: String,
    pub(super) write: String,
}

/// What the rest of the file says about the names in a signature.
pub(super) struct Names {
    /// Whether `Result` is certainly the prelude's.
    pub(super) has_our_result: bool,
    /// The types that are private to the file.
    private: BTreeSet<String>,
    /// What an alias called `Result` in this file stands for.
    result: Vec<TokenTree>,
}

impl Names {
    pub(super) fn of(tokens: &TokenStream, has_our_result: bool) -> Self {
        let mut names = Self { has_our_result, private: BTreeSet::new(), result: Vec::new() };
        let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let mut is_public = false;
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if word == "pub" => is_public = true,
                TokenTree::Ident(word) if !is_public && (word == "struct" || word == "enum") => {
                    names.private.extend(tokens.get(at + 1).map(ToString::to_string));
                }
                TokenTree::Ident(word) if word == "type" && is_ident(tokens.get(at + 1), "Result") => {
                    names.result = tokens[at..].iter().take_while(|token| !is_punct(Some(token), ';')).cloned().collect();
                }
                token if is_punct(Some(token), ';') || is_brace(token) => is_public = false,
                _ => {}
            }
        }
        names
    }
}

impl Function {
    /// A function of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self { takes: Takes::Unknown, cfg: None, wrong: None }
    }

    /// Returns the public function of that name. It stands at the top level of the file, or is imported there with `pub use`. There
    /// may be several, under different conditions.
    pub(super) fn find(tokens: &TokenStream, name: &str, names: &Names) -> Option<Self> {
        let mut found = all(tokens, name, names);
        if found.len() < 2 {
            return found.pop();
        }
        let conditions: Option<Vec<String>> = found.iter().map(|function| function.cfg.clone()).collect();
        let wrong = found.into_iter().find_map(|function| function.wrong);
        Some(Self { takes: Takes::Unknown, cfg: conditions.and_then(|all| cfg::combined("any", all)), wrong })
    }
}

/// Returns every public function of that name.
fn all(tokens: &TokenStream, name: &str, names: &Names) -> Vec<Function> {
    let mut found = Vec::new();
    let (mut public, mut used, mut is_async) = (false, false, false);
    let mut previous = String::new();
    let mut attributes: Vec<Group> = Vec::new();
    let mut is_attribute = false;
    let mut tokens = tokens.clone().into_iter();
    while let Some(token) = tokens.next() {
        let is_next_attribute = is_punct(Some(&token), '#');
        match &token {
            TokenTree::Ident(ident) => {
                let ident = ident.to_string();
                if public && previous == "fn" && ident == name {
                    let rest: Vec<TokenTree> = tokens.by_ref().take_while(|token| !is_brace(token)).collect();
                    let function = Function { cfg: cfg::of_attributes(&attributes), ..signature(&rest, is_async, names) };
                    found.push(function);
                    (public, used) = (false, false);
                    attributes.clear();
                }
                match ident.as_str() {
                    "pub" => (public, is_async) = (true, false),
                    "async" => is_async = true,
                    "use" => used = public,
                    _ if used && ident == name => {
                        found.push(Function { cfg: cfg::of_attributes(&attributes), ..Function::unknown() });
                        used = false;
                    }
                    _ => {}
                }
                previous = ident;
            }
            TokenTree::Group(group) => {
                if is_attribute {
                    attributes.push(group.clone());
                }
                if used && group.stream().into_iter().any(|token| matches!(token, TokenTree::Ident(i) if i == name)) {
                    found.push(Function { cfg: cfg::of_attributes(&attributes), ..Function::unknown() });
                    used = false;
                }
                if group.delimiter() == Delimiter::Brace {
                    (public, used) = (false, false);
                    attributes.clear();
                }
                previous.clear();
            }
            TokenTree::Punct(punct) => {
                if punct.as_char() == ';' {
                    (public, used) = (false, false);
                    attributes.clear();
                }
                previous.clear();
            }
            TokenTree::Literal(_) => {}
        }
        is_attribute = is_next_attribute;
    }
    found
}

/// Returns what the text of a signature shows. `rest` is the tokens between its name and its body.
fn signature(rest: &[TokenTree], is_async: bool, names: &Names) -> Function {
    // Generic functions are left to the compiler.
    let Some(TokenTree::Group(arguments)) = rest.first() else { return Function::unknown() };
    let returns = &rest[1..];
    let arguments: Vec<TokenTree> = arguments.stream().into_iter().collect();
    let wrong = wrong_return(returns, is_async, names).or_else(|| wrong_argument(&arguments));
    // `-> Result<…>`, with any path before the name.
    let is_result = last_name(returns).is_some_and(|name| name == "Result");
    let takes = if is_async && is_result { takes(&arguments, shown(returns) == "-> Result<()>") } else { Takes::Unknown };
    Function { takes, cfg: None, wrong }
}

fn takes(arguments: &[TokenTree], plain: bool) -> Takes {
    let at = arguments.iter().position(|token| is_punct(Some(token), '&'));
    let Some(argument) = at.map(|at| &arguments[at + 1..]) else { return Takes::Unknown };
    match (last_name(argument).as_deref(), is_ident(argument.first(), "mut")) {
        (Some("Database" | "Db"), false) => Takes::Database { plain },
        (Some("Transaction"), true) => Takes::Transaction { plain },
        _ => Takes::Unknown,
    }
}

/// Returns what is certainly wrong with what a function returns.
fn wrong_return(returns: &[TokenTree], is_async: bool, names: &Names) -> Option<Wrong> {
    const RESULT: &str = "return `Result<()>`";
    let wrong = |what: String, write: &str| Some(Wrong { what, write: write.to_owned() });
    let text = shown(returns);
    let is_result = last_name(returns).is_some_and(|name| name == "Result");
    if !is_async && (returns.is_empty() || is_result) {
        return wrong("is not `async`".into(), "write `pub async fn`");
    }
    if returns.is_empty() {
        return wrong("returns nothing".into(), RESULT);
    }
    let text = text.trim_start_matches("-> ");
    // Any other `Result` may be an alias, with parameters of its own.
    let is_known = text.starts_with("Result<") && names.has_our_result || text.starts_with("std::result::Result<");
    if is_known && is_result && !["<()>", "<(), "].iter().any(|unit| text.contains(&format!("Result{unit}"))) {
        return wrong(format!("returns `{text}`"), RESULT);
    }
    if let Some((_, error)) = text.split_once("Box<dyn ") {
        let is_error = error.split(['+', '>']).next().is_some_and(|name| name.trim().ends_with("Error"));
        if is_error && !(error.contains("Send") && error.contains("Sync")) {
            let write = "return `Result<()>`, or `Box<dyn Error + Send + Sync>` as the error";
            return wrong(format!("returns `{text}`, whose error cannot be sent between threads"), write);
        }
    }
    let all = returns.iter().chain(names.result.iter().filter(|_| is_result));
    let private = all.map(ToString::to_string).find(|word| names.private.contains(word))?;
    wrong(
        format!("returns `{private}`, which is private to the file"),
        &format!("write `pub` before the definition of `{private}`"),
    )
}

/// Returns what is certainly wrong with what a function takes.
fn wrong_argument(arguments: &[TokenTree]) -> Option<Wrong> {
    const WRITE: &str = "take `&Database`, `&Db` or `&mut Transaction`";
    if arguments.is_empty() {
        return Some(Wrong { what: "takes nothing".into(), write: WRITE.into() });
    }
    let colon = arguments.iter().position(|token| is_punct(Some(token), ':'))?;
    let argument = &arguments[colon + 1..];
    let end = argument.iter().position(|token| is_punct(Some(token), ',')).unwrap_or(argument.len());
    let text = shown(&argument[..end]);
    let is_wrong = match text.rsplit([':', ' ', '&']).next()? {
        "Database" | "Db" => !text.starts_with('&') || text.starts_with("&mut "),
        "Transaction" => !text.starts_with("&mut "),
        _ => false,
    };
    // A lifetime, or another type that has one of ours in it.
    let is_plain = text.chars().all(|c| c.is_alphanumeric() || "_:& ".contains(c));
    (is_wrong && is_plain).then(|| Wrong { what: format!("takes `{text}`"), write: WRITE.into() })
}

/// Returns the last name of the first path: `Result` for `-> anyhow::Result<()>`.
fn last_name(tokens: &[TokenTree]) -> Option<String> {
    let names = tokens.iter().take_while(|token| !is_punct(Some(token), '<') && !is_punct(Some(token), ','));
    names.filter_map(|token| if let TokenTree::Ident(name) = token { Some(name.to_string()) } else { None }).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, name: &str) -> Option<Function> {
        let tokens: TokenStream = text.parse().unwrap();
        Function::find(&tokens, name, &Names::of(&tokens, true))
    }

    #[test]
    fn functions_are_found_at_the_top_only() {
        for none in [
            "mod m { pub async fn up() {} }",
            "// pub async fn up() {}\nconst S: &str = \"pub fn up()\";",
            "async fn up() {}",
            "use crate::shared::up;",
            "pub struct A; fn up() {}",
        ] {
            assert_eq!(find(none, "up"), None, "{none}");
        }
        for some in [
            "pub use crate::shared::{up, down};",
            "pub use crate::shared::nothing as down;",
            "pub(crate) fn down(_: &Database) -> impl Future<Output = Result<()>> {}",
        ] {
            assert_eq!(find(some, "down"), Some(Function::unknown()), "{some}");
        }
    }

    #[test]
    fn a_signature_whose_text_is_clear_is_not_left_to_the_compiler() {
        for (signature, takes) in [
            ("async fn up(db: &Database) -> Result<()>", Takes::Database { plain: true }),
            ("async fn up(_: &mongodb::Database) -> std::result::Result<(), Own>", Takes::Database { plain: false }),
            ("async fn up(db: &Db) -> Result<(), mongodb::error::Error>", Takes::Database { plain: false }),
            ("async fn up(tx: &mut Transaction) -> anyhow::Result<()>", Takes::Transaction { plain: false }),
            ("async fn up(tx: &mut Transaction) -> Result<()>", Takes::Transaction { plain: true }),
            ("async fn up(db: &Collection<Database>) -> Result<()>", Takes::Unknown),
            ("fn up(db: &Database) -> impl Future<Output = Result<()>>", Takes::Unknown),
            ("async fn up<'a>(db: &'a Database) -> Result<()>", Takes::Unknown),
        ] {
            let found = find(&format!("pub {signature} {{}}"), "up").unwrap();
            assert_eq!((found.takes, found.wrong), (takes, None), "{signature}");
        }
    }

    #[test]
    fn what_is_certainly_wrong_is_found_and_nothing_else_is() {
        for (text, what) in [
            ("pub fn up(db: &Database) -> Result<()> {}", "is not `async`"),
            ("pub async fn up(db: &Database) {}", "returns nothing"),
            ("pub async fn up(db: &Database) -> Result<u64> {}", "returns `Result<u64>`"),
            ("pub async fn up(db: &Database) -> Result<Vec<u8>, Own> {}", "returns `Result<Vec<u8>, Own>`"),
            (
                "pub async fn up(db: &Database) -> Result<(), Box<dyn std::error::Error>> {}",
                "returns `Result<(), Box<dyn std::error::Error>>`, whose error cannot be sent between threads",
            ),
            (
                "struct Own; pub async fn up(db: &Database) -> Result<(), Own> {}",
                "returns `Own`, which is private to the file",
            ),
            (
                "#[derive(Debug)] enum Own { A } type Result<T> = std::result::Result<T, Own>;
                 pub async fn up(db: &Database) -> Result<()> {}",
                "returns `Own`, which is private to the file",
            ),
            ("pub async fn up() -> Result<()> {}", "takes nothing"),
            ("pub async fn up(db: Database) -> Result<()> {}", "takes `Database`"),
            ("pub async fn up(db: &mut Db) -> Result<()> {}", "takes `&mut Db`"),
            ("pub async fn up(tx: &Transaction) -> Result<()> {}", "takes `&Transaction`"),
        ] {
            let wrong = find(text, "up").unwrap().wrong.unwrap_or_else(|| panic!("{text}"));
            assert!(wrong.what.starts_with(what), "{text}: {}", wrong.what);
        }
        for text in [
            "pub async fn up(db: &Database) -> Result<(), Box<dyn Error + Send + Sync>> {}",
            "pub async fn up(db: &Database) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {}",
            "pub struct Own; pub async fn up(db: &Database) -> Result<(), Own> {}",
            "pub(super) enum Own { A } pub async fn up(db: &Database) -> Result<(), Own> {}",
            "pub async fn up(db: &Database) -> anyhow::Result<()> {}",
            "pub async fn up(db: &Database) -> my::Result<Own> {}",
            "pub async fn up(db: &Handle<Database>) -> Result<()> {}",
            "pub async fn up(db: &'static mut Database) -> Result<()> {}",
        ] {
            assert_eq!(find(text, "up").unwrap().wrong, None, "{text}");
        }
    }

    #[test]
    fn conditions_are_read() {
        let cfg = |text: &str| find(text, "down").unwrap().cfg;
        let down = "pub async fn down(db: &Database) -> Result<()> {}";
        assert_eq!(cfg(&format!("#[cfg(windows)] fn x() {{}} {down}")), None);
        assert_eq!(cfg(&format!("#[cfg(windows)] use x; {down}")), None);
        assert_eq!(cfg(&format!("#[cfg(unix)] /// Doc.\n{down}")).as_deref(), Some("unix"));
        assert_eq!(cfg("#[cfg(unix)] pub use shared::down;").as_deref(), Some("unix"));
        let both = format!("#[cfg(unix)] {down} #[cfg(windows)] #[cfg(not(unix))] {down}");
        assert_eq!(cfg(&both).as_deref(), Some("any(unix, all(windows, not(unix)))"));
        assert_eq!(cfg(&format!("{down} #[cfg(unix)] {down}")), None);
    }
}
