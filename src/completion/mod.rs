//! Shell completion: the scripts that a shell loads, and what they offer for the text before the cursor.
//!
//! A script calls the program with the hidden word [`COMPLETE`] and that text. The answer has one candidate a line. It comes
//! from names that are at hand: neither cargo nor a build runs, and no server is asked.
//!
//! All of it is written here because clap's own completion knows flags, and not the grammar `NAME:OPTION,key=value`. It would also
//! replace cargo's completion of `cargo` where these scripts only add to it.

pub(crate) mod cache;
mod flags;
mod offer;
mod script;
mod text;
mod vocabulary;

pub(crate) use script::{Shell, script};
pub(crate) use vocabulary::{Named, Names, Subtask, Values, Vocabulary};

/// The hidden word after the program's name, with which a script asks for candidates. It is followed by the text before the
/// cursor.
pub(crate) const COMPLETE: &str = "__complete";

/// What stands in the answer for the names of files, which the shell completes itself.
const PATHS: &str = "/";

/// What can be at the cursor.
#[derive(Debug, PartialEq, Eq)]
enum Offer {
    Candidates(Vec<Candidate>),
    /// The path of a file or folder.
    Paths,
}

/// A complete word that can be at the cursor. If it ends in `:`, `,` or `=`, more follows it.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    word: String,
    help: String,
}

/// Returns the answer to a script: each candidate for the end of this text, with a tab and its help if it has one.
pub(crate) fn answer(text: &str, names: &Names) -> String {
    let words = text::split(text);
    let (current, before) = words.split_last().expect("there is always one");
    match offer::offer(text::after_program(before), current, names) {
        Offer::Paths => format!("{PATHS}\n"),
        Offer::Candidates(candidates) => candidates.iter().map(line).collect(),
    }
}

/// Returns the value of a flag in this text, if it is complete there.
#[cfg(feature = "cli")]
pub(crate) fn value_of(flag: &str, text: &str) -> Option<String> {
    let words = text::split(text);
    let (_, before) = words.split_last()?;
    before.iter().enumerate().rev().find_map(|(at, word)| match word.strip_prefix(flag)? {
        "" => before.get(at + 1).cloned(),
        rest => rest.strip_prefix('=').map(str::to_owned),
    })
}

fn line(candidate: &Candidate) -> String {
    let Candidate { word, help } = candidate;
    if help.is_empty() { format!("{word}\n") } else { format!("{word}\t{help}\n") }
}
