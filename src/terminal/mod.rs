//! What people see on stderr: cargo's right-aligned status lines, warnings and errors. Apart from this module, only the progress
//! bars of `report` write there.

#[cfg(feature = "manager")]
pub(crate) mod hop;
#[cfg(feature = "manager")]
pub(crate) mod stdin;

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use regex::Regex;

use crate::error::hint_of;
use crate::line::flags::Color;
use crate::model::variables::CARGO_TERM_COLOR;

const GREEN: Style = AnsiColor::Green.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();
#[cfg(feature = "manager")]
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();

/// Turns colour on or off as cargo does: by the flag, else by CARGO_TERM_COLOR, else by NO_COLOR and whether the output is a
/// terminal.
pub(crate) fn choose_color(flag: Option<Color>) {
    let choice = match flag {
        Some(Color::Always) => ColorChoice::Always,
        Some(Color::Never) => ColorChoice::Never,
        Some(Color::Auto) => ColorChoice::Auto,
        None => match std::env::var(CARGO_TERM_COLOR).as_deref() {
            Ok("always") => ColorChoice::Always,
            Ok("never") => ColorChoice::Never,
            _ => ColorChoice::Auto,
        },
    };
    choice.write_global();
}

/// Whether text on stderr is coloured, for code that does not write through this module.
#[cfg(feature = "manager")]
pub(crate) fn stderr_has_color() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}

/// `   Executing 0002_x (2 of 3)`
pub(crate) fn status(verb: &str, message: &str) {
    line(&format!("{GREEN}{verb:>12}{GREEN:#} {message}"));
}

/// `warning: …`, with its hint below it.
#[cfg(feature = "manager")]
pub(crate) fn warning(message: &str, hint: Option<&str>) {
    let hint = hint.map(|hint| format!("\n{}", hint_line(hint))).unwrap_or_default();
    line(&format!("{YELLOW}warning{YELLOW:#}{b}:{b:#} {message}{hint}", b = Style::new().bold()));
}

/// `note: …`
#[cfg(feature = "manager")]
pub(crate) fn note(message: &str) {
    line(&format!("{CYAN}note{CYAN:#}{b}:{b:#} {message}", b = Style::new().bold()));
}

/// Whether questions can be asked: stdin and stderr are a terminal, here or at the sender of the line.
#[cfg(feature = "manager")]
pub(crate) fn can_ask() -> bool {
    use std::io::IsTerminal as _;
    crate::terminal::hop::can_ask() || std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether stderr is a terminal.
#[cfg(feature = "manager")]
pub(crate) fn is_on_terminal() -> bool {
    use std::io::IsTerminal as _;
    std::io::stderr().is_terminal()
}

/// The width of the terminal that stderr is shown on, which may be the sender's.
#[cfg(feature = "manager")]
pub(crate) fn columns() -> Option<u16> {
    let here = || console::Term::stderr().size_checked().map(|(_, columns)| columns);
    crate::terminal::hop::columns().or_else(here)
}

/// Writes to stderr without changes, for code that draws there.
#[cfg(feature = "manager")]
pub(crate) fn draw(text: &[u8]) -> std::io::Result<()> {
    let mut stderr = std::io::stderr().lock();
    stderr.write_all(text)?;
    stderr.flush()
}

/// Whether both stdout and stderr are coloured. Another machine that runs the line gets the same setting.
#[cfg(feature = "manager")]
pub(crate) fn is_colored() -> bool {
    stderr_has_color() && anstream::AutoStream::choice(&std::io::stdout()) != ColorChoice::Never
}

/// Prints a question, and leaves the cursor after it.
#[cfg(feature = "manager")]
pub(crate) fn question(text: &str) {
    let mut stderr = anstream::stderr();
    let _ = write!(stderr, "{YELLOW}{:>12}{YELLOW:#} {} ", "Confirm", scrub(text));
    if crate::terminal::hop::can_ask() {
        let _ = stderr.write_all(&[crate::terminal::hop::ENQUIRY]);
    }
    let _ = stderr.flush();
}

/// `error: …`, with its causes and its hint below it.
pub(crate) fn error(error: &(dyn StdError + 'static), describe: impl Fn(&(dyn StdError + 'static)) -> String) {
    error_of(None, error, describe);
}

/// `error: LABEL: …`, for an error that concerns one of several databases.
pub(crate) fn error_of(
    label: Option<&str>,
    error: &(dyn StdError + 'static),
    describe: impl Fn(&(dyn StdError + 'static)) -> String,
) {
    let mut text = label.map(|label| format!("{label}: ")).unwrap_or_default();
    text.push_str(&describe(error).replace('\n', "\n       "));
    let mut causes = String::new();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        let cause = describe(cause);
        // Many error types repeat the text of their source: it is printed once.
        if !text.contains(&cause) && !causes.contains(&cause) {
            let _ = write!(causes, "\n    {}", cause.replace('\n', "\n    "));
        }
    }
    if !causes.is_empty() {
        let _ = write!(text, "\n\nCaused by:{causes}\n");
    }
    if let Some(hint) = hint_of(error) {
        let _ = write!(text, "\n{}", hint_line(hint));
    }
    line(&format!("{RED}error{RED:#}{b}:{b:#} {}", text.trim_end(), b = Style::new().bold()));
}

/// `hint: …`: what to do next.
#[cfg(feature = "manager")]
pub(crate) fn hint(message: &str) {
    line(&hint_line(message));
}

fn hint_line(message: &str) -> String {
    format!("{CYAN}hint{CYAN:#}{b}:{b:#} {}", message.replace('\n', "\n      "), b = Style::new().bold())
}

fn line(text: &str) {
    // An error here means that stderr is closed, and there is no other place to report it.
    let _ = writeln!(anstream::stderr(), "{}", scrub(text));
}

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// From now on, masks `secret` in everything that this module writes, both as it is and percent-encoded.
#[cfg(feature = "manager")]
pub(crate) fn keep_secret(secret: &str) {
    let encoded: String = secret
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner);
    for secret in [secret.to_owned(), encoded] {
        // A shorter one could mask parts of ordinary words.
        if secret.len() >= 4 && !secrets.contains(&secret) {
            secrets.push(secret);
        }
    }
}

/// Returns the text without passwords: those given to `keep_secret`, and the user part of every connection string.
pub(crate) fn scrub(text: &str) -> String {
    static USERINFO: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(mongodb(?:\+srv)?://)[^\s"'<>]*@"#).expect("a constant pattern"));
    let mut text = USERINFO.replace_all(text, "${1}***@").into_owned();
    for secret in SECRETS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        text = text.replace(secret.as_str(), "***");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_lose_their_user_part() {
        assert_eq!(
            scrub("no answer from mongodb://deploy:s3cr3t@db-1:27017/blog, sorry"),
            "no answer from mongodb://***@db-1:27017/blog, sorry"
        );
        assert_eq!(scrub("mongodb+srv://u:p@ss@cluster"), "mongodb+srv://***@cluster");
        assert_eq!(scrub("mongodb://db-1/blog"), "mongodb://db-1/blog");
    }

    #[test]
    #[cfg(feature = "manager")]
    fn kept_secrets_are_masked_wherever_they_stand() {
        keep_secret("hunter2-of-the-test");
        assert_eq!(scrub("the password is hunter2-of-the-test, sorry"), "the password is ***, sorry");
    }
}
