//! Values to and from BSON, with bson 2 and bson 3: their functions for it have different names.

use mongodb::bson::de::Deserializer;
use mongodb::bson::ser::Serializer;
use mongodb::bson::{Bson, Document, RawDocument};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a document as a type.
pub(crate) fn decode<T: DeserializeOwned>(document: &RawDocument) -> Result<T, String> {
    decode_bytes(document.as_bytes())
}

/// Calls bson 2's function. Names in a block go before those of the module, so with bson 3 the function below is called.
fn decode_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    #[allow(clippy::wildcard_imports, clippy::allow_attributes, reason = "which of the two is there is not known")]
    use mongodb::bson::*;
    let _: Option<Document> = None;
    from_slice(bytes).map_err(|error| error.to_string())
}

/// Calls bson 3's function, where there is none of bson 2's name.
#[allow(dead_code, clippy::allow_attributes, reason = "with bson 2")]
fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    #[allow(clippy::wildcard_imports, clippy::allow_attributes, reason = "which of the two is there is not known")]
    use mongodb::bson::*;
    let _: Option<Document> = None;
    deserialize_from_slice(bytes).map_err(|error| error.to_string())
}

/// Works with both, and takes a detour.
#[allow(dead_code, clippy::allow_attributes, reason = "where the one or the other is there")]
fn deserialize_from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let document = RawDocument::from_bytes(bytes).and_then(Document::try_from);
    decode_document(document.map_err(|error| error.to_string())?)
}

/// Reads a document that is in parts already.
pub(crate) fn decode_document<T: DeserializeOwned>(document: Document) -> Result<T, String> {
    T::deserialize(Deserializer::new(Bson::Document(document))).map_err(|error| error.to_string())
}

/// Writes a value as BSON.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bson, String> {
    value.serialize(Serializer::new()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{doc, rawdoc};

    #[test]
    fn values_are_read_and_written() {
        let read: Document = decode(&rawdoc! { "a": 1, "b": { "c": [true] } }).unwrap();
        assert_eq!(read, doc! { "a": 1, "b": { "c": [true] } });
        assert_eq!(deserialize_from_slice::<Document>(rawdoc! { "a": 1 }.as_bytes()).unwrap(), doc! { "a": 1 });
        assert_eq!(encode(&("x", 2)).unwrap(), Bson::Array(vec!["x".into(), 2.into()]));
    }
}
