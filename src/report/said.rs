//! What is said on stderr, in the same way to people and to programs.

use std::borrow::Cow;
use std::error::Error as StdError;

use indicatif::MultiProgress;

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
    bars: Option<MultiProgress>,
    /// The database, if the task works on several: each line then begins with it.
    label: Option<String>,
}

impl Stderr {
    pub(super) fn new(quiet: bool, bars: Option<MultiProgress>) -> Self {
        Self { quiet, bars, label: None }
    }

    /// stderr for one of several databases.
    pub(super) fn for_database(&self, name: &str) -> Self {
        Self { label: Some(name.to_owned()), ..self.clone() }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(super) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    pub(super) fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref()
    }

    /// The message, preceded by the database's name if there are several.
    pub(super) fn labelled<'m>(&self, message: &'m str) -> Cow<'m, str> {
        match &self.label {
            Some(label) => format!("{label}: {message}").into(),
            None => message.into(),
        }
    }

    /// Writes to the terminal while the bars are hidden.
    pub(super) fn write(&self, write: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    pub(super) fn say(&self, said: &Said<'_>) {
        let is_shown = match said {
            Said::Status { .. } | Said::Note(_) | Said::Hint(_) => !self.quiet,
            Said::Notice { .. } | Said::Warning { .. } | Said::Failure(_) => true,
        };
        if !is_shown {
            return;
        }
        self.write(|| match said {
            Said::Status { verb, message } | Said::Notice { verb, message } => {
                terminal::status(verb, &self.labelled(message));
            }
            Said::Warning { message, hint } => terminal::warning(&self.labelled(message), *hint),
            Said::Note(message) => terminal::note(&self.labelled(message)),
            Said::Hint(message) => terminal::hint(&self.labelled(message)),
            Said::Failure(error) => terminal::error_of(self.label(), *error, describe),
        });
    }
}
