//! The protocol between two machines when one of them runs the command line on the other over ssh.
//!
//! The sender is `environment::remote`; the receiver is the manager that it starts on the other machine. The sender sets two
//! environment variables there, and both exchange control characters: the receiver writes one to stderr where it needs an
//! answer, and the sender writes answers, and Ctrl-C, to the receiver's stdin.

use crate::model::variables::{COLUMNS, ON_HOST};

/// A line of stdin that stands for Ctrl-C. The end of stdin does too.
pub(crate) const CTRL_C: &str = "\x03";

/// The character that the receiver writes to stderr after a question: the sender then reads one line and sends it. It does not
/// occur in other texts.
pub(crate) const ENQUIRY: u8 = 0x05;

/// The value of `CARGO_MIGRATIONS_ON_HOST` when a person can answer questions on the machine that sent the line.
pub(crate) const ASK: &str = "ask";

/// Whether this process is the receiver: another machine sent the line here.
pub(crate) fn is_here() -> bool {
    std::env::var_os(ON_HOST).is_some()
}

/// Whether this is the receiver, and a person can answer questions at the sender's terminal.
pub(crate) fn can_ask() -> bool {
    std::env::var_os(ON_HOST).is_some_and(|value| value == ASK)
}

/// The width of the sender's terminal, on the receiver.
pub(crate) fn columns() -> Option<u16> {
    std::env::var(COLUMNS).ok().filter(|_| is_here())?.parse().ok()
}
