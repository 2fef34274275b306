//! The fields of a document as bytes: their names and values need not be UTF-8, which the driver's parser wants.

use super::structure::Walk;

/// A field of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// The type of the value, as a document has it.
    pub(super) kind: u8,
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Returns the fields of a document whose structure is right.
pub(super) fn of(document: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut walk = Walk::new(document).ok();
    std::iter::from_fn(move || {
        let walk = walk.as_mut()?;
        let kind = walk.byte().ok().filter(|kind| *kind != 0)?;
        let name = walk.c_string().ok()?;
        let start = walk.at;
        walk.over(kind).ok()?;
        Some(Field { kind, name, value: &document[start..walk.at] })
    })
}

/// Returns a document with that field alone.
pub(super) fn document(field: &Field<'_>) -> Vec<u8> {
    let length = 4 + 1 + field.name.len() + 1 + field.value.len() + 1;
    let length = i32::try_from(length).expect("a field is at most as large as its document").to_le_bytes();
    [&length[..], &[field.kind], field.name, &[0], field.value, &[0]].concat()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Bson, JavaScriptCodeWithScope, RawDocumentBuf, Regex, Timestamp, doc, oid::ObjectId};

    use super::*;

    /// A string as the type that bson 2 or bson 3 has for it.
    fn text<T: TryFrom<&'static str, Error: std::fmt::Debug>>(text: &'static str) -> T {
        text.try_into().unwrap()
    }

    #[test]
    fn a_document_is_taken_apart_and_put_together() {
        let scope = JavaScriptCodeWithScope { code: "f()".into(), scope: doc! { "x": 1 } };
        let all = doc! {
            "_id": ObjectId::new(), "document": { "a": { "b": 1 } }, "array": [1, [2]], "": "text", "scope": scope,
            "regex": Bson::RegularExpression(Regex { pattern: text("^a"), options: text("i") }),
            "time": Timestamp { time: 0, increment: 0 }, "last": true,
        };
        let bytes = RawDocumentBuf::try_from(&all).unwrap();
        let fields: Vec<Field<'_>> = of(bytes.as_bytes()).collect();
        assert_eq!(fields.len(), all.len());
        for (field, (name, value)) in fields.iter().zip(&all) {
            assert_eq!(field.name, name.as_bytes());
            let alone = mongodb::bson::doc! { name: value.clone() };
            assert_eq!(document(field), RawDocumentBuf::try_from(&alone).unwrap().as_bytes());
        }
    }

    #[test]
    fn names_need_not_be_utf_8() {
        let field = Field { kind: 0x08, name: b"\xff", value: &[1] };
        assert_eq!(of(&document(&field)).collect::<Vec<_>>(), [field]);
    }
}
