//! What a manager knows of the machine that sent the line here, if one did: see `environment::remote`.

/// Set where another machine has sent the line: to `ask` when somebody is there to answer questions.
pub(crate) const MARKER: &str = "CARGO_MIGRATIONS_ON_HOST";

/// How wide the terminal is that stderr ends up on, if it does.
pub(crate) const COLUMNS: &str = "CARGO_MIGRATIONS_COLUMNS";

/// A line of stdin that is Ctrl-C; so is stdin's end.
pub(crate) const CTRL_C: &str = "\x03";

/// What the far side writes to stderr behind a question: then one line is read here and sent. No text has it.
pub(crate) const ENQUIRY: u8 = 0x05;

/// The marker's value when questions are answered.
pub(crate) const ASK: &str = "ask";

/// Whether this is the far side.
pub(crate) fn is_here() -> bool {
    std::env::var_os(MARKER).is_some()
}

/// Whether somebody there answers questions.
pub(crate) fn can_ask() -> bool {
    std::env::var_os(MARKER).is_some_and(|value| value == ASK)
}

/// How wide the terminal there is.
pub(crate) fn columns() -> Option<u16> {
    std::env::var(COLUMNS).ok().filter(|_| is_here())?.parse().ok()
}
