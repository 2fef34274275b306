//! A driver's error that an error of another type hides.
//!
//! A boxed error of anyhow or eyre, and a `transparent` one of thiserror, pass on the text and the source of the error that they
//! hold, but not that error itself, and their types cannot be named here. So what is needed is read from the driver's text:
//! `Kind: …, labels: {"…"}, source: …, server response: …`.

/// The parts of a text that holds the text of a driver's error.
#[derive(Debug, PartialEq)]
pub(super) struct Hidden<'t> {
    pub(super) before: &'t str,
    /// What went wrong.
    pub(super) kind: &'t str,
    labels: &'t str,
    pub(super) after: &'t str,
}

/// What the server refused, and why.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: i32,
    pub(super) name: String,
    pub(super) message: String,
    /// The write was made, but not by as many members as it should be.
    pub(super) is_unconfirmed: bool,
}

impl<'t> Hidden<'t> {
    /// Returns `None` where the text holds none of the driver's.
    pub(super) fn find(text: &'t str) -> Option<Self> {
        let (before, rest) = text.split_once("Kind: ")?;
        let (said, rest) = rest.split_once("}, source: ")?;
        let (kind, labels) = said.rsplit_once(", labels: {")?;
        let (_, response) = rest.split_once(", server response: ")?;
        // The response is printed as hexadecimal digits.
        let end = if response.starts_with("Some(") { response.find(')')? + 1 } else { "None".len() };
        Some(Self { before, kind, labels, after: response.get(end..)? })
    }

    pub(super) fn has_label(&self, label: &str) -> bool {
        self.labels.split(", ").any(|quoted| quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(label))
    }

    /// What the server said, if it refused a command or a write.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        if let Some(rest) = self.kind.strip_prefix("Command failed: Error code ") {
            let (code, rest) = rest.split_once(" (")?;
            let (name, message) = rest.split_once("): ")?;
            let (name, message) = (name.to_owned(), message.to_owned());
            return Some(Refusal { code: code.parse().ok()?, name, message, is_unconfirmed: false });
        }
        // The errors of writes are printed as data structures.
        let after = |what: &str| self.kind.split_once(what).map(|(_, rest)| rest);
        let code = after(" code: ")?.split(',').next()?.parse().ok()?;
        let name = after(" code_name: ")?.trim_start_matches("Some(");
        let name = name.strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned();
        let message = unquoted(after(" message: \"")?);
        Some(Refusal { code, name, message, is_unconfirmed: self.kind.contains(": WriteConcernError(") })
    }
}

/// The text up to the closing quote.
fn unquoted(quoted: &str) -> String {
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use mongodb::error::{CommandError, Error as DriverError, ErrorKind};

    use super::*;

    #[test]
    fn the_drivers_text_is_taken_apart() {
        let json = r#"{ "code": 112, "codeName": "WriteConflict", "errmsg": "please (re)try: now" }"#;
        let command: CommandError = serde_json::from_str(json).unwrap();
        let text = format!("moving notes: {}.", DriverError::from(ErrorKind::Command(command)));
        let labelled = text.replace("labels: {}", r#"labels: {"RetryableWriteError", "TransientTransactionError"}"#);
        assert_ne!(text, labelled, "the driver's text has another form");
        let hidden = Hidden::find(&labelled).unwrap();
        assert_eq!((hidden.before, hidden.after), ("moving notes: ", "."));
        assert!(hidden.has_label("TransientTransactionError") && !hidden.has_label("Transient"));
        assert!(!Hidden::find(&text).unwrap().has_label(""), "no label is none");
        let refusal = hidden.refusal().unwrap();
        assert_eq!((refusal.code, refusal.name.as_str()), (112, "WriteConflict"));
        assert_eq!(refusal.message, "please (re)try: now");
        assert_eq!(Hidden::find("Kind: regards, labels: none"), None);
    }

    #[test]
    fn errors_of_writes_are_read_from_data_structures() {
        let text = "Kind: An error occurred when trying to execute a write operation: WriteError(WriteError { code: 11000, \
                    code_name: None, message: \"E11000 duplicate key: { _id: \\\"a\\\" }\", details: None }), labels: {}, \
                    source: None, server response: Some(RawDocumentBuf { data: \"2d00\" })";
        let hidden = Hidden::find(text).unwrap();
        assert_eq!((hidden.before, hidden.after), ("", ""));
        let refusal = hidden.refusal().unwrap();
        assert_eq!((refusal.code, refusal.name.as_str(), refusal.is_unconfirmed), (11000, "", false));
        assert_eq!(refusal.message, "E11000 duplicate key: { _id: \"a\" }");
    }
}
