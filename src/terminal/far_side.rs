//! What a manager knows of the machine that sent the line here, if one did: see `environment::remote`.

use crate::model::variables::{COLUMNS, ON_HOST};

/// A line of stdin that is Ctrl-C; so is stdin's end.
pub(crate) const CTRL_C: &str = "\x03";

/// What the far side writes to stderr behind a question: then one line is read here and sent. No text has it.
pub(crate) const ENQUIRY: u8 = 0x05;

/// The value of `CARGO_MIGRATIONS_ON_HOST` when a person can answer questions on the machine that sent the line.
pub(crate) const ASK: &str = "ask";

/// Whether this is the far side.
pub(crate) fn is_here() -> bool {
    std::env::var_os(ON_HOST).is_some()
}

/// Whether somebody there answers questions.
pub(crate) fn can_ask() -> bool {
    std::env::var_os(ON_HOST).is_some_and(|value| value == ASK)
}

/// How wide the terminal there is.
pub(crate) fn columns() -> Option<u16> {
    std::env::var(COLUMNS).ok().filter(|_| is_here())?.parse().ok()
}
