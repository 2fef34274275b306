//! What people see on stderr: cargo's right-aligned status lines, warnings and errors. Apart from this module, only the progress
//! bars of `report` write there.

#[cfg(feature = "manager")]
pub(crate) mod hop;
mod secrets;
#[cfg(feature = "manager")]
pub(crate) mod stdin;
#[cfg(feature = "manager")]
pub(crate) mod stdout;

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::Write as _;

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};

use crate::error::hint_of;
use crate::line::flags::Color;
use crate::model::variables::CARGO_TERM_COLOR;
#[cfg(feature = "manager")]
use crate::model::variables::{CARGO_TERM_PROGRESS_WHEN, CI, TERM};
#[cfg(feature = "manager")]
pub(crate) use secrets::keep_secret;
pub(crate) use secrets::scrub;

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

/// Whether bars can be drawn on stderr: it is a terminal that can move its cursor, and plain lines are not preferred.
#[cfg(feature = "manager")]
pub(crate) fn has_bars() -> bool {
    use std::io::IsTerminal as _;
    std::io::stderr().is_terminal() && wants_bars(|name| std::env::var(name).ok())
}

/// Whether the environment wants bars on a terminal. It says so as it does to cargo.
#[cfg(feature = "manager")]
fn wants_bars(variable: impl Fn(&str) -> Option<String>) -> bool {
    // Windows has no TERM.
    let is_dumb = match variable(TERM).as_deref() {
        None | Some("") => cfg!(unix),
        Some(term) => term == "dumb",
    };
    let when = variable(CARGO_TERM_PROGRESS_WHEN);
    match when.as_deref() {
        _ if is_dumb => false,
        Some("always") => true,
        Some("never") => false,
        _ => variable(CI).is_none_or(|value| value.is_empty()),
    }
}

/// The width of the terminal that bars are drawn on, which may be the sender's. `None` if there are none.
#[cfg(feature = "manager")]
pub(crate) fn columns() -> Option<u16> {
    let here = || if has_bars() { console::Term::stderr().size_checked().map(|(_, columns)| columns) } else { None };
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

/// Prints a question, and leaves the cursor after it. What was typed before does not answer it.
#[cfg(feature = "manager")]
pub(crate) fn question(text: &str) {
    let text = format!("{YELLOW}{:>12}{YELLOW:#} {} ", "Confirm", scrub(text));
    if hop::can_ask() {
        // In one write, so that the sender gets all of it at once, and not through anstream, which removes control characters
        // where there is no colour.
        let mut text = if stderr_has_color() { text } else { anstream::adapter::strip_str(&text).to_string() };
        text.push(char::from(hop::ENQUIRY));
        let _ = draw(text.as_bytes());
    } else {
        stdin::discard_typed();
        let mut stderr = anstream::stderr();
        let _ = stderr.write_all(text.as_bytes());
        let _ = stderr.flush();
    }
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

#[cfg(all(test, feature = "manager"))]
mod tests {
    use super::*;

    #[test]
    fn bars_are_drawn_where_they_can_be_and_are_wanted() {
        let wants = |variables: &[(&str, &str)]| {
            wants_bars(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        let term = (TERM, "xterm");
        assert!(wants(&[term]) && wants(&[term, (CI, "")]));
        assert!(!wants(&[(TERM, "dumb")]) && !wants(&[term, (CI, "true")]));
        assert_eq!((wants(&[]), wants(&[(TERM, "")])), (!cfg!(unix), !cfg!(unix)));
        let when = |value| (CARGO_TERM_PROGRESS_WHEN, value);
        assert!(!wants(&[term, when("never")]) && wants(&[term, when("auto")]) && !wants(&[term, (CI, "1"), when("auto")]));
        assert!(wants(&[term, (CI, "1"), when("always")]));
        assert!(!wants(&[(TERM, "dumb"), when("always")]), "nothing can be drawn there");
    }
}
