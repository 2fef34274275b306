//! Events and documents of `--format json`: one line each on stdout, where nothing else goes.

use std::error::Error as StdError;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{scrub, stdout};
use crate::error::causes::texts;
use crate::error::{ErrorKind, exit_code_of, hint_of, kind_of};
use crate::line::flags::Format;
use crate::model::EventName;

/// Whether the line has `--format json`.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// How results are written from now on.
pub(crate) fn choose_format(format: Format) {
    IS_JSON.store(format == Format::Json, Ordering::Relaxed);
}

/// From now on, stdout is for us alone if the line has `--format json`. It would stay so in a program that this one becomes.
#[cfg(feature = "manager")]
pub(crate) fn keep_stdout_for_events() {
    if IS_JSON.load(Ordering::Relaxed) {
        stdout::keep_to_ourselves();
    }
}

/// Prints an event. If there are several databases, it says which.
pub(crate) fn print(event: EventName, database: Option<&str>, fields: Value) {
    debug_assert!(
        fields.as_object().is_some_and(|fields| fields.keys().all(|key| event.fields().contains(&key.as_str()))),
        "{event:?} has fields that are not declared: {fields}"
    );
    let mut value = json!({ "event": event.as_str() });
    if let (Value::Object(all), Value::Object(fields)) = (&mut value, fields) {
        all.extend(fields);
    }
    document(database, value);
}

/// Prints a document that is a complete result. If there are several databases, it says which.
pub(crate) fn document(database: Option<&str>, mut value: Value) {
    if let Some(database) = database {
        value["database"] = database.into();
    }
    stdout::write(&format!("{value}\n"));
}

/// Prints the error that ends the line, if the line has `--format json`. What `--check` found is in the document that was printed.
pub(super) fn error(error: &(dyn StdError + 'static), describe: impl Fn(&(dyn StdError + 'static)) -> String) {
    if kind_of(error) == ErrorKind::Check {
        return;
    }
    let mut texts = texts(error, describe).into_iter().map(|text| scrub(&text));
    let message = texts.next().unwrap_or_default();
    let (causes, hint): (Vec<String>, _) = (texts.collect(), hint_of(error).map(scrub));
    failure(kind_of(error).as_str(), exit_code_of(error), &message, &causes, hint.as_deref());
}

/// Prints what ended the line, if the line has `--format json`.
pub(crate) fn failure(kind: &str, exit_code: u8, message: &str, causes: &[String], hint: Option<&str>) {
    if IS_JSON.load(Ordering::Relaxed) {
        let fields = json!({
            "kind": kind, "message": message, "causes": causes, "hint": hint, "exit_code": exit_code,
        });
        print(EventName::Error, None, fields);
    }
}
