//! What is said on stderr, in the same way to people and to programs.

use std::borrow::Cow;
use std::error::Error as StdError;

use super::screen::Screen;
use super::turns::{Turn, Turns};
use crate::error::Remark;
use crate::error::describe::describe;
use crate::terminal;

/// Something to say on stderr.
pub(crate) enum Said<'a> {
    /// A line like cargo's: a verb, and what it is about.
    Status {
        verb: &'a str,
        message: &'a str,
    },
    /// A status line that is shown with `--quiet` too, because a person is asked about it.
    Notice {
        verb: &'a str,
        message: &'a str,
    },
    /// Written in one piece, and never without its hint.
    Warning {
        message: &'a str,
        hint: Option<&'a str>,
    },
    Note(&'a str),
    /// What to do next, after a status line or a note.
    Hint(&'a str),
    /// An error that does not end the line, because other databases go on.
    Failure(&'a (dyn StdError + 'static)),
}

impl<'a> From<&'a Remark> for Said<'a> {
    fn from(remark: &'a Remark) -> Self {
        Self::Warning { message: &remark.message, hint: remark.hint.as_deref() }
    }
}

/// stderr, as every sink that writes there shares it. Nothing is written across a progress bar.
#[derive(Clone)]
pub(super) struct Stderr {
    quiet: bool,
    screen: Option<Screen>,
    turns: Turns,
    /// If the task works on several databases, this one.
    database: Option<(String, Turn)>,
}

impl Stderr {
    pub(super) fn new(quiet: bool, screen: Option<Screen>) -> Self {
        Self { quiet, screen, turns: Turns::default(), database: None }
    }

    /// stderr for one of several databases: each line then begins with its name. The order of the calls is that of their results.
    pub(super) fn for_database(&self, name: &str) -> Self {
        Self { database: Some((name.to_owned(), self.turns.next())), ..self.clone() }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(super) fn label(&self) -> Option<&str> {
        self.database.as_ref().map(|(name, _)| name.as_str())
    }

    pub(super) fn screen(&self) -> Option<&Screen> {
        self.screen.as_ref()
    }

    /// The message, preceded by the database's name if there are several.
    pub(super) fn labelled<'m>(&self, message: &'m str) -> Cow<'m, str> {
        match self.label() {
            Some(label) => format!("{label}: {message}").into(),
            None => message.into(),
        }
    }

    /// Writes to the terminal while the bars are hidden.
    pub(super) fn write(&self, write: impl FnOnce()) {
        match &self.screen {
            Some(screen) => screen.write(write),
            None => write(),
        }
    }

    /// Writes a result: if there are several databases, after the results of those before this one.
    pub(super) fn in_turn(&self, write: impl FnOnce() + Send + 'static) {
        match &self.database {
            Some((_, turn)) => turn.write(Box::new(write)),
            None => write(),
        }
    }

    /// This database has no further results.
    pub(super) fn end_turn(&self) {
        if let Some((_, turn)) = &self.database {
            turn.end();
        }
    }

    /// The process ends: writes the results that wait for others, and removes the bars.
    pub(super) fn close(&self) {
        self.turns.write_all();
        if let Some(screen) = &self.screen {
            screen.close();
        }
    }

    pub(super) fn say(&self, said: &Said<'_>) {
        if let Some(text) = self.text(said) {
            self.write(|| terminal::line(&text));
        }
    }

    /// The lines that say it. `None` if `--quiet` hides them.
    pub(super) fn text(&self, said: &Said<'_>) -> Option<String> {
        let is_shown = match said {
            Said::Status { .. } | Said::Note(_) | Said::Hint(_) => !self.quiet,
            Said::Notice { .. } | Said::Warning { .. } | Said::Failure(_) => true,
        };
        is_shown.then(|| match said {
            Said::Status { verb, message } | Said::Notice { verb, message } => {
                terminal::status_line(verb, &self.labelled(message))
            }
            Said::Warning { message, hint } => terminal::warning_lines(&self.labelled(message), *hint),
            Said::Note(message) => terminal::note_line(&self.labelled(message)),
            Said::Hint(message) => terminal::hint_line(message),
            Said::Failure(error) => terminal::error_lines(self.label(), *error, describe),
        })
    }
}
