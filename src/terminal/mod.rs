//! What people see on stderr: cargo's right-aligned status lines, warnings and errors. `streams` writes them, and everything
//! else that we print.

#[cfg(feature = "manager")]
pub(crate) mod canvas;
pub(crate) mod event;
#[cfg(all(feature = "manager", unix))]
mod fatal;
#[cfg(feature = "manager")]
pub(crate) mod hop;
#[cfg(all(feature = "manager", unix))]
pub(crate) mod relay;
mod secrets;
#[cfg(feature = "manager")]
pub(crate) mod stdin;
pub(crate) mod stdout;
mod streams;
pub(crate) mod usage;

use std::error::Error as StdError;
use std::fmt::Write as _;

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};

use crate::error::causes::texts;
use crate::error::hint_of;
use crate::line::flags::Color;
use crate::model::variables::CARGO_TERM_COLOR;
#[cfg(feature = "manager")]
use crate::model::variables::{CARGO_TERM_PROGRESS_WHEN, CI, TERM};
#[cfg(feature = "manager")]
pub(crate) use secrets::keep_secret;
pub(crate) use secrets::scrub;
#[cfg(feature = "manager")]
pub(crate) use streams::Stream;
#[cfg(not(feature = "manager"))]
use streams::Stream;

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
    Stream::Stderr.has_color()
}

/// `   Executing 0002_x (2 of 3)`
#[cfg(feature = "cli")]
pub(crate) fn status(verb: &str, message: &str) {
    line(&status_line(verb, message));
}

/// `   Executing 0002_x (2 of 3)`, as text.
pub(crate) fn status_line(verb: &str, message: &str) -> String {
    format!("{GREEN}{verb:>12}{GREEN:#} {message}")
}

/// `warning: …`, with its hint below it.
#[cfg(feature = "manager")]
pub(crate) fn warning_lines(message: &str, hint: Option<&str>) -> String {
    let hint = hint.map(|hint| format!("\n{}", hint_line(hint))).unwrap_or_default();
    format!("{YELLOW}warning{YELLOW:#}{b}:{b:#} {message}{hint}", b = Style::new().bold())
}

/// Prints a warning from code that knows nothing of the bars that may be drawn, as a migration prints.
#[cfg(feature = "manager")]
pub(crate) fn warn_in_passing(message: &str) {
    let text = scrub(&format!("{}\n", warning_lines(message, None)));
    streams::write_as_others_do(&if stderr_has_color() { text } else { anstream::adapter::strip_str(&text).to_string() });
}

/// `note: …`
#[cfg(feature = "manager")]
pub(crate) fn note_line(message: &str) -> String {
    format!("{CYAN}note{CYAN:#}{b}:{b:#} {message}", b = Style::new().bold())
}

/// Whether questions can be asked: stdin and stderr are a terminal, here or at the sender of the line.
#[cfg(feature = "manager")]
pub(crate) fn can_ask() -> bool {
    use std::io::IsTerminal as _;
    hop::can_ask() || std::io::stdin().is_terminal() && Stream::Stderr.is_terminal()
}

/// Whether bars can be drawn on stderr: it is a terminal that can move its cursor, and plain lines are not preferred.
#[cfg(feature = "manager")]
pub(crate) fn has_bars() -> bool {
    Stream::Stderr.is_terminal() && wants_bars(|name| std::env::var(name).ok())
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
    let here = || if has_bars() { Stream::Stderr.size().map(|(_, columns)| columns) } else { None };
    hop::columns().or_else(here)
}

/// Before a process that may be in any state ends: erases the bars, and writes what was printed.
#[cfg(feature = "manager")]
pub(crate) fn end_at_once() {
    #[cfg(unix)]
    relay::end_at_once();
}

/// Whether both stdout and stderr are coloured. Another machine that runs the line gets the same setting.
#[cfg(feature = "manager")]
pub(crate) fn is_colored() -> bool {
    stderr_has_color() && Stream::Stdout.has_color()
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
        let _ = Stream::Stderr.write_bytes(text.as_bytes());
    } else {
        stdin::discard_typed();
        let _ = Stream::Stderr.write(&text);
    }
}

/// The error that ends the line: `error: …`, with its causes and its hint below it. With `--format json` it is an event, too.
pub(crate) fn error(error: &(dyn StdError + 'static), describe: impl Fn(&(dyn StdError + 'static)) -> String) {
    line(&error_lines(None, error, &describe));
    event::error(error, describe);
}

/// The text of [`error`]. `error: LABEL: …` for an error that concerns one of several databases.
pub(crate) fn error_lines(
    label: Option<&str>,
    error: &(dyn StdError + 'static),
    describe: impl Fn(&(dyn StdError + 'static)) -> String,
) -> String {
    let mut texts = texts(error, describe).into_iter();
    let mut text = label.map(|label| format!("{label}: ")).unwrap_or_default();
    text.push_str(&texts.next().unwrap_or_default().replace('\n', "\n       "));
    let causes: String = texts.map(|cause| format!("\n    {}", cause.replace('\n', "\n    "))).collect();
    if !causes.is_empty() {
        let _ = write!(text, "\n\nCaused by:{causes}\n");
    }
    if let Some(hint) = hint_of(error) {
        let _ = write!(text, "\n{}", hint_line(hint));
    }
    format!("{RED}error{RED:#}{b}:{b:#} {}", text.trim_end(), b = Style::new().bold())
}

/// `hint: …`: what to do next.
pub(crate) fn hint_line(message: &str) -> String {
    format!("{CYAN}hint{CYAN:#}{b}:{b:#} {}", message.replace('\n', "\n      "), b = Style::new().bold())
}

/// Writes lines to stderr, without passwords.
pub(crate) fn line(text: &str) {
    // An error here means that stderr is closed, and there is no other place to report it.
    let _ = Stream::Stderr.write(&format!("{}\n", scrub(text)));
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
