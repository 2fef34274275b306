//! Results, and whether all of them reached stdout.

use std::io;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use super::streams::Stream;
#[cfg(feature = "manager")]
pub(crate) use super::streams::{keep_stdout_to_ourselves as keep_to_ourselves, stdout_for_child as for_child};
use crate::error::Error;
use crate::line::program::program;

/// The first error of writing to stdout.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes complete lines. Colours are removed if stdout has none.
pub(crate) fn write(text: &str) {
    note(Stream::Stdout.write(text));
}

/// Notes the result of writing to stdout.
pub(crate) fn note(written: io::Result<()>) {
    let Err(error) = written else { return };
    let mut failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    // A reader that goes away (`| head`) has read what it wanted.
    if failure.is_none() && error.kind() != io::ErrorKind::BrokenPipe {
        *failure = Some(error);
    }
}

/// Returns the exit code of a line that succeeded: 0, or 1 if a result did not reach stdout.
pub(crate) fn succeeded() -> ExitCode {
    let Some(error) = failure() else { return ExitCode::SUCCESS };
    super::error(&error, ToString::to_string);
    ExitCode::from(error.exit_code())
}

/// Returns the error of a line whose results did not all reach stdout.
fn failure() -> Option<Error> {
    let error = FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    Some(
        Error::failed("the results could not all be written to stdout")
            .with_hint(format!("check where stdout goes, and run `{}` to see what was done", program()))
            .caused_by(error),
    )
}
