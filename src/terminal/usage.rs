//! A line that cannot be read, or that only asks for the help or the version.

use std::process::ExitCode;

use super::{event, stdout};
use crate::line::flags::{Format, format_of};

/// Prints what clap has to say, and returns the exit code: the help and the version are results, everything else is an error.
pub(crate) fn print(error: &clap::Error, words: &[std::ffi::OsString]) -> ExitCode {
    let printed = error.print();
    match u8::try_from(error.exit_code()).unwrap_or(2) {
        0 => {
            stdout::note(printed);
            stdout::succeeded()
        }
        code => {
            if format_of(words) == Format::Json {
                event::choose_format(Format::Json);
                let (message, hint) = parts(&error.to_string());
                event::failure("usage", code, &message, &[], hint.as_deref());
            }
            ExitCode::from(code)
        }
    }
}

/// The message and the advice in a text of clap's.
fn parts(text: &str) -> (String, Option<String>) {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let paragraphs = || text.split("\n\n").map(str::trim);
    let (message, own_hint) = match text.split_once("\nhint: ") {
        Some((message, hint)) => (message, Some(hint.trim())),
        None => (paragraphs().next().unwrap_or_default(), None),
    };
    let tip = paragraphs().find_map(|paragraph| paragraph.strip_prefix("tip: "));
    let lines = message.lines().map(str::trim).collect::<Vec<_>>();
    (lines.join(" "), own_hint.or(tip).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_claps_is_a_message_and_advice() {
        let text =
            "error: unexpected argument '--colour' found\n\n  tip: a similar argument exists: '--color'\n\nUsage: x\n";
        let tip = Some("a similar argument exists: '--color'".to_owned());
        assert_eq!(parts(text), ("unexpected argument '--colour' found".into(), tip));
        assert_eq!(parts("error: there is no `-n`\nhint: use it\n"), ("there is no `-n`".into(), Some("use it".into())));
        assert_eq!(parts("error: no\n"), ("no".into(), None));
    }
}
