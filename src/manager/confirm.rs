//! Asking a person.

use std::io::BufRead as _;

use super::Context;
use crate::error::{Error, ErrorKind};
use crate::term;

impl Context {
    /// Asks a person to confirm, on the terminal; `--yes` answers for them.
    ///
    /// # Errors
    /// The answer is no, or there is neither a terminal nor `--yes`. Exit code 3.
    pub async fn confirm(&self, question: &str) -> Result<(), Error> {
        if self.yes() {
            return Ok(());
        }
        if !term::can_ask() {
            return Err(Error::new(
                ErrorKind::Refused,
                "there is no terminal to ask on; `--yes` answers, where you are sure; nothing was changed",
            ));
        }
        term::question(&format!("{question} [y/N]"));
        // On a thread of its own, so that Ctrl-C ends it.
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
        if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Refused, "not confirmed; nothing was changed"))
        }
    }
}
