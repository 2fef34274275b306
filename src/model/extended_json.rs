//! BSON as extended JSON, and back.
//!
//! bson has functions for it, but bson 3 only with a feature of its own. If another crate of the workspace makes the driver use
//! bson 3, that feature is off. What it implements for serde is always there.

use mongodb::bson::Bson;
use serde_json::{Map, Value, json};

/// Returns the value as canonical extended JSON, which keeps the type of each number.
pub(crate) fn canonical(value: Bson) -> Value {
    let double = |text: &str| json!({ "$numberDouble": text });
    match value {
        Bson::Int32(number) => json!({ "$numberInt": number.to_string() }),
        Bson::Int64(number) => json!({ "$numberLong": number.to_string() }),
        Bson::Double(number) if number.is_finite() => double(&format!("{number:?}")),
        Bson::DateTime(date) => json!({ "$date": { "$numberLong": date.timestamp_millis().to_string() } }),
        Bson::Array(values) => values.into_iter().map(canonical).collect(),
        Bson::Document(fields) => {
            fields.into_iter().map(|(key, value)| (key, canonical(value))).collect::<Map<_, _>>().into()
        }
        Bson::JavaScriptCodeWithScope(code) => {
            json!({ "$code": code.code, "$scope": canonical(Bson::Document(code.scope)) })
        }
        other => relaxed(other),
    }
}

/// Returns the value as relaxed extended JSON, in which numbers and dates are easy to read.
pub(crate) fn relaxed(value: Bson) -> Value {
    match value {
        Bson::Double(number) if !number.is_finite() => {
            let text = match (number.is_nan(), number.is_sign_negative()) {
                (true, true) => "-NaN",
                (true, false) => "NaN",
                (false, true) => "-Infinity",
                (false, false) => "Infinity",
            };
            json!({ "$numberDouble": text })
        }
        Bson::DateTime(date) => match date.try_to_rfc3339_string() {
            Ok(text) if date.timestamp_millis() >= 0 => json!({ "$date": text }),
            _ => json!({ "$date": { "$numberLong": date.timestamp_millis().to_string() } }),
        },
        Bson::Array(values) => values.into_iter().map(relaxed).collect(),
        Bson::Document(fields) => fields.into_iter().map(|(key, value)| (key, relaxed(value))).collect::<Map<_, _>>().into(),
        Bson::JavaScriptCodeWithScope(code) => json!({ "$code": code.code, "$scope": relaxed(Bson::Document(code.scope)) }),
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}

/// Returns the value that extended JSON of either form stands for.
pub(crate) fn read(value: Value) -> Option<Bson> {
    serde_json::from_value(with_types(value)).ok()
}

/// Gives each negative number that fits into 32 bits that type: bson would make it one of 64 bits, as the server's tools do not.
fn with_types(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_i64().is_some_and(|number| number < 0 && i32::try_from(number).is_ok()) => {
            json!({ "$numberInt": number.to_string() })
        }
        Value::Array(values) => values.into_iter().map(with_types).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, with_types(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

#[cfg(test)]
#[cfg(not(feature = "bson-3"))]
mod tests {
    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{Binary, DateTime, JavaScriptCodeWithScope, Regex, Timestamp, doc};

    use super::*;

    #[test]
    fn both_forms_are_what_bson_makes_of_them() {
        let code = JavaScriptCodeWithScope { code: "f()".into(), scope: doc! { "n": 1_i64 } };
        let everything = doc! {
            "double": [1.0, 1.5, -0.0, 1e300, 1e-7, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, f64::NEG_INFINITY],
            "int": [0, -1, i32::MAX, 1_i64, i64::MIN],
            "text": "a\"b", "bool": true, "null": Bson::Null,
            "date": [DateTime::from_millis(0), DateTime::from_millis(-1), DateTime::from_millis(1_700_000_000_123), DateTime::MAX],
            "oid": ObjectId::from_bytes([7; 12]),
            "binary": Binary { subtype: BinarySubtype::UserDefined(0x90), bytes: vec![1, 2, 3] },
            "regex": Regex { pattern: "^a".to_owned(), options: "im".to_owned() },
            "timestamp": Timestamp { time: 7, increment: 9 },
            "code": Bson::JavaScriptCode("f()".into()), "scope": code, "symbol": Bson::Symbol("s".into()),
            "decimal": Bson::Decimal128("1.50".parse().unwrap()),
            "keys": [Bson::MinKey, Bson::MaxKey, Bson::Undefined],
            "nested": { "a": { "b": [{ "c": 1 }] } },
        };
        let everything = Bson::Document(everything);
        let number = |value: &Value| value.pointer("/double/3/$numberDouble").and_then(|n| n.as_str()?.parse::<f64>().ok());
        let (ours, theirs) = (canonical(everything.clone()), everything.clone().into_canonical_extjson());
        assert_eq!(number(&ours), number(&theirs));
        for key in theirs.as_object().unwrap().keys().filter(|key| *key != "double") {
            assert_eq!(ours[key], theirs[key], "{key}");
        }
        assert_eq!(relaxed(everything.clone()), everything.clone().into_relaxed_extjson());
        for json in [ours, theirs, relaxed(everything)] {
            assert_eq!(format!("{:?}", read(json.clone())), format!("{:?}", Bson::try_from(json).ok()));
        }
        assert_eq!(read(json!({ "$oid": 7 })), None);
        assert_eq!(read(json!([1, 5_000_000_000_u64, 1.5])), Bson::try_from(json!([1, 5_000_000_000_u64, 1.5])).ok());
    }
}
