//! What stands in an error's chain: its causes as one text, and the driver's error among them.

use std::error::Error as StdError;

use mongodb::error::Error as DriverError;

use super::causes::texts;
use super::describe::{as_driver, describe};
use super::hidden::Hidden;

/// An error and its causes in one line, separated by `: `.
pub(crate) fn error_text(error: &(dyn StdError + 'static)) -> String {
    texts(error, describe).join(": ")
}

/// Returns the first of the driver's errors in the chain that `matches` accepts.
pub(crate) fn driver_error<'e>(
    error: &'e (dyn StdError + 'static),
    matches: impl Fn(&DriverError) -> bool,
) -> Option<&'e DriverError> {
    std::iter::successors(Some(error), |&error| error.source()).filter_map(as_driver).find(|driver| matches(driver))
}

/// Whether one of the driver's errors in the chain has the label, also one that another error hides.
pub(crate) fn has_label(error: &(dyn StdError + 'static), label: &str) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|error| match as_driver(error) {
        Some(driver) => driver.contains_label(label),
        None => Hidden::find(&error.to_string()).is_some_and(|hidden| hidden.has_label(label)),
    })
}

/// The server's message with that code, of a driver's error that another one in the chain hides.
pub(crate) fn hidden_message(error: &(dyn StdError + 'static), code: i32) -> Option<String> {
    std::iter::successors(Some(error), |&error| error.source()).filter(|&error| as_driver(error).is_none()).find_map(
        |error| {
            let text = error.to_string();
            let refusal = Hidden::find(&text)?.refusal()?;
            (refusal.code == code && !refusal.is_unconfirmed).then_some(refusal.message)
        },
    )
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use mongodb::error::{CommandError, ErrorKind};

    use super::*;

    /// Passes on the text and the source of the error that it holds, as a boxed `anyhow::Error` does, and thiserror's
    /// `transparent`.
    #[derive(Debug)]
    struct Transparent<E>(E, &'static str);

    impl<E: StdError> fmt::Display for Transparent<E> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            // A label cannot be given to a driver's error here.
            f.write_str(&self.0.to_string().replace("labels: {}", &format!("labels: {{{}}}", self.1)))
        }
    }

    impl<E: StdError + 'static> StdError for Transparent<E> {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            self.0.source()
        }
    }

    #[test]
    fn a_drivers_error_that_another_one_hides_is_found() {
        let json = r#"{ "code": 112, "codeName": "WriteConflict", "errmsg": "please try again" }"#;
        let command: CommandError = serde_json::from_str(json).unwrap();
        let error = Transparent(DriverError::from(ErrorKind::Command(command)), "\"TransientTransactionError\"");
        assert!(has_label(&error, "TransientTransactionError"));
        assert!(!has_label(&error, "UnknownTransactionCommitResult"));
        assert_eq!(hidden_message(&error, 112).as_deref(), Some("please try again"));
        assert_eq!(hidden_message(&error, 11000), None);
        assert_eq!(error_text(&error), "please try again (WriteConflict)");
        // With a context it is the source.
        let within = crate::Error::new(crate::ErrorKind::Failed, "moving notes").caused_by(error);
        assert!(has_label(&within, "TransientTransactionError"));
        assert_eq!(error_text(&within), "moving notes: please try again (WriteConflict)");
    }
}
