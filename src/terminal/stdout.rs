//! Whether all results reached stdout. The sinks of `report` write them there, and note here how that went.

use std::io;
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::line::program::program;

/// The first error of writing to stdout.
static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Notes the result of writing to stdout.
pub(crate) fn note(written: io::Result<()>) {
    let Err(error) = written else { return };
    let mut failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    // A reader that goes away (`| head`) has read what it wanted.
    if failure.is_none() && error.kind() != io::ErrorKind::BrokenPipe {
        *failure = Some(error);
    }
}

/// Returns the error of a line whose results did not all reach stdout.
pub(crate) fn failure() -> Option<Error> {
    let error = FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    Some(
        Error::failed("the results could not all be written to stdout")
            .with_hint(format!("check where stdout goes, and run `{}` to see what was done", program()))
            .caused_by(error),
    )
}
