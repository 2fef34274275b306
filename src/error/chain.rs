//! What stands in an error's chain: its causes as text, and the driver's error among them.

use std::error::Error as StdError;

use mongodb::error::Error as DriverError;

use super::describe::{as_driver, describe};

/// An error and its causes in one line, separated by `: `.
pub(crate) fn error_text(error: &(dyn StdError + 'static)) -> String {
    std::iter::successors(Some(error), |&error| error.source()).map(describe).collect::<Vec<_>>().join(": ")
}

/// Returns the first of the driver's errors in the chain that `matches` accepts.
pub(crate) fn driver_error<'e>(
    error: &'e (dyn StdError + 'static),
    matches: impl Fn(&DriverError) -> bool,
) -> Option<&'e DriverError> {
    std::iter::successors(Some(error), |&error| error.source()).filter_map(as_driver).find(|driver| matches(driver))
}

/// Whether one of the driver's errors in the chain has the label.
pub(crate) fn has_label(error: &(dyn StdError + 'static), label: &str) -> bool {
    driver_error(error, |driver| driver.contains_label(label)).is_some()
}
