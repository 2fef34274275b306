//! Values as MongoDB's shell writes them, so that a person can look for them there: `ObjectId("…")`.

use mongodb::bson::Bson;
use mongodb::bson::spec::BinarySubtype;

use super::extended_json;

/// How long a value may be, in characters. What is longer is cut.
const LONGEST: usize = 200;

/// `ObjectId("65f0…")`, `"ada"`, `7`, `{ "a": 1 }`
pub(crate) fn shell(value: &Bson) -> String {
    let text = full(value);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn full(value: &Bson) -> String {
    match value {
        Bson::String(text) => quoted(text),
        Bson::ObjectId(id) => format!("ObjectId(\"{}\")", id.to_hex()),
        Bson::Int32(number) => number.to_string(),
        Bson::Int64(number) => number.to_string(),
        Bson::Double(number) if number.is_nan() => "NaN".to_owned(),
        Bson::Double(number) if number.is_infinite() => {
            if number.is_sign_negative() { "-Infinity" } else { "Infinity" }.to_owned()
        }
        Bson::Double(number) => format!("{number:?}"),
        Bson::Decimal128(number) => format!("NumberDecimal(\"{number}\")"),
        Bson::Boolean(value) => value.to_string(),
        Bson::Null => "null".to_owned(),
        Bson::MinKey => "MinKey".to_owned(),
        Bson::MaxKey => "MaxKey".to_owned(),
        Bson::Timestamp(at) => format!("Timestamp({}, {})", at.time, at.increment),
        Bson::DateTime(at) => match at.try_to_rfc3339_string() {
            Ok(text) => format!("ISODate(\"{text}\")"),
            Err(_) => format!("new Date({})", at.timestamp_millis()),
        },
        Bson::Binary(binary) if binary.subtype == BinarySubtype::Uuid && binary.bytes.len() == 16 => {
            let hex: String = binary.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
            format!("UUID(\"{}\")", parts.join("-"))
        }
        Bson::Document(fields) if fields.is_empty() => "{}".to_owned(),
        Bson::Document(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{}: {}", quoted(key), full(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Bson::Array(values) => format!("[{}]", values.iter().map(full).collect::<Vec<_>>().join(", ")),
        other => extended_json::relaxed(other.clone()).to_string(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::oid::ObjectId;
    use mongodb::bson::{Binary, DateTime, Timestamp, doc};

    use super::*;

    #[test]
    fn each_type_is_as_a_person_types_it() {
        let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: (0..16).collect() };
        let values: [(Bson, &str); 12] = [
            (ObjectId::from_bytes([7; 12]).into(), "ObjectId(\"070707070707070707070707\")"),
            ("a\"b\n".into(), r#""a\"b\n""#),
            (5_i64.into(), "5"),
            (7.0.into(), "7.0"),
            (f64::NAN.into(), "NaN"),
            (Bson::Decimal128("7.25".parse().unwrap()), "NumberDecimal(\"7.25\")"),
            (DateTime::from_millis(5).into(), "ISODate(\"1970-01-01T00:00:00.005Z\")"),
            (Bson::Timestamp(Timestamp { time: 7, increment: 1 }), "Timestamp(7, 1)"),
            (uuid.into(), "UUID(\"00010203-0405-0607-0809-0a0b0c0d0e0f\")"),
            (doc! { "a": 1, "b": [true, Bson::Null] }.into(), r#"{ "a": 1, "b": [true, null] }"#),
            (Bson::MinKey, "MinKey"),
            (Bson::JavaScriptCode("x()".into()), r#"{"$code":"x()"}"#),
        ];
        for (value, text) in values {
            assert_eq!(shell(&value), text);
        }
        assert_eq!(shell(&"é".repeat(500).into()).chars().count(), LONGEST + 1);
    }
}
