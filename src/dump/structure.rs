//! Checks the structure of a document without parsing it: what is nested deeply in a damaged or forged file would overflow the
//! stack of a parser that calls itself for each level.

/// How many levels of documents and arrays a document may have: the most that a server can be set to (`maxBSONDepth`, 200 by
/// default, of which 180 are for what users store).
pub(super) const LEVELS: usize = 250;

/// How thoroughly values are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Only where each value begins and ends, as the server does too.
    Frames,
    /// Also booleans, where no checksum shows damage. Not texts: servers store those that are not UTF-8.
    Values,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    TooDeep,
    Unreadable,
}

/// Checks one document. It has no recursion, so its use of the stack does not depend on the document.
pub(super) fn check(document: &[u8], check: Check) -> Result<(), Flaw> {
    let mut walk = Walk::new(document)?;
    while let Some(&end) = walk.ends.last() {
        let element = walk.byte()?;
        if element == 0 {
            if walk.at != end {
                return Err(Flaw::Unreadable);
            }
            walk.ends.pop();
            continue;
        }
        walk.c_string()?;
        walk.value(element, check)?;
    }
    if walk.at == document.len() { Ok(()) } else { Err(Flaw::Unreadable) }
}

/// A place in the bytes of a document.
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    /// Where each document and array that has begun must end.
    ends: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// Begins with the first field of a document.
    pub(super) fn new(document: &'a [u8]) -> Result<Self, Flaw> {
        let mut walk = Walk { bytes: document, at: 0, ends: Vec::new() };
        walk.enter()?;
        Ok(walk)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let limit = self.ends.last().copied().unwrap_or(self.bytes.len());
        let end = self.at.checked_add(count).filter(|end| *end <= limit).ok_or(Flaw::Unreadable)?;
        let taken = self.bytes.get(self.at..end).ok_or(Flaw::Unreadable)?;
        self.at = end;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Flaw> {
        self.take(1)?.first().copied().ok_or(Flaw::Unreadable)
    }

    fn length(&mut self) -> Result<usize, Flaw> {
        let bytes: [u8; 4] = self.take(4)?.try_into().map_err(|_| Flaw::Unreadable)?;
        usize::try_from(i32::from_le_bytes(bytes)).map_err(|_| Flaw::Unreadable)
    }

    /// Begins a document or an array.
    fn enter(&mut self) -> Result<(), Flaw> {
        let start = self.at;
        let length = self.length()?;
        let limit = self.ends.last().copied().unwrap_or(self.bytes.len());
        let end = start.checked_add(length).filter(|end| length >= 5 && *end <= limit).ok_or(Flaw::Unreadable)?;
        if self.ends.len() == LEVELS {
            return Err(Flaw::TooDeep);
        }
        self.ends.push(end);
        Ok(())
    }

    pub(super) fn c_string(&mut self) -> Result<&'a [u8], Flaw> {
        let limit = self.ends.last().copied().unwrap_or(self.bytes.len());
        let rest = self.bytes.get(self.at..limit).ok_or(Flaw::Unreadable)?;
        let length = rest.iter().position(|byte| *byte == 0).ok_or(Flaw::Unreadable)?;
        self.at += length + 1;
        Ok(&rest[..length])
    }

    fn string(&mut self) -> Result<(), Flaw> {
        let length = self.length()?;
        match self.take(length)?.last() {
            Some(0) => Ok(()),
            _ => Err(Flaw::Unreadable),
        }
    }

    /// Goes past a value of that type, and does not look into it.
    pub(super) fn over(&mut self, element: u8) -> Result<(), Flaw> {
        match element {
            // A document, an array, code with a scope: the length includes itself.
            0x03 | 0x04 | 0x0f => {
                let rest = self.length()?.checked_sub(4).ok_or(Flaw::Unreadable)?;
                self.take(rest).map(drop)
            }
            _ => self.value(element, Check::Frames),
        }
    }

    /// Goes past a value of that type, or into it if it is a document or an array.
    fn value(&mut self, element: u8, check: Check) -> Result<(), Flaw> {
        match element {
            // A double, a date, a timestamp, a 64-bit integer.
            0x01 | 0x09 | 0x11 | 0x12 => self.take(8).map(drop),
            // A string, code, a symbol.
            0x02 | 0x0d | 0x0e => self.string(),
            0x03 | 0x04 => self.enter(),
            // Binary data: its length, its subtype, and the bytes.
            0x05 => {
                let length = self.length()?;
                self.take(length.saturating_add(1)).map(drop)
            }
            // Undefined, null, the least and the greatest key.
            0x06 | 0x0a | 0x7f | 0xff => Ok(()),
            // An object id.
            0x07 => self.take(12).map(drop),
            0x08 => match self.byte()? {
                2.. if check == Check::Values => Err(Flaw::Unreadable),
                _ => Ok(()),
            },
            // A regular expression: its pattern and its options.
            0x0b => {
                self.c_string()?;
                self.c_string().map(drop)
            }
            // A pointer into another collection: its name, and an object id.
            0x0c => {
                self.string()?;
                self.take(12).map(drop)
            }
            // Code with a scope: the length of all, the code, and a document, which ends where all ends.
            0x0f => {
                let start = self.at;
                let length = self.length()?;
                self.string()?;
                self.enter()?;
                if self.ends.last().copied() == start.checked_add(length) { Ok(()) } else { Err(Flaw::Unreadable) }
            }
            // A 32-bit integer.
            0x10 => self.take(4).map(drop),
            // A decimal.
            0x13 => self.take(16).map(drop),
            _ => Err(Flaw::Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::spec::BinarySubtype;
    use mongodb::bson::{
        Binary, Bson, DateTime, Document, JavaScriptCodeWithScope, RawDocumentBuf, Timestamp, doc, oid::ObjectId,
    };

    use super::*;

    fn bytes(document: &Document) -> Vec<u8> {
        RawDocumentBuf::try_from(document).unwrap().as_bytes().to_vec()
    }

    /// A document of that many levels: arrays in each other. No parser made it, so it may be deeper than a parser can go.
    fn nested(levels: usize) -> Vec<u8> {
        let mut inner = vec![5, 0, 0, 0, 0];
        for _ in 1..levels {
            let length = i32::try_from(inner.len() + 8).unwrap();
            let mut outer = length.to_le_bytes().to_vec();
            outer.extend([0x04, b'0', 0]);
            outer.append(&mut inner);
            outer.push(0);
            inner = outer;
        }
        inner
    }

    #[test]
    fn a_document_with_every_type_is_right_and_wrong_when_it_is_cut_anywhere() {
        // By its JSON: the type of a pattern is another one in bson 3.
        let regex = serde_json::json!({ "$regularExpression": { "pattern": "^a", "options": "im" } });
        let regex: Bson = serde_json::from_value(regex).unwrap();
        let all = doc! {
            "double": 0.1, "string": "é\u{0}ü", "document": { "b": 1, "": {} }, "array": [1, "two", { "three": [] }],
            "binary": Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 255] }, "undefined": Bson::Undefined,
            "oid": ObjectId::new(), "bool": true, "date": DateTime::from_millis(-1), "null": Bson::Null,
            "regex": regex,
            "code": Bson::JavaScriptCode("f()".into()), "symbol": Bson::Symbol("s".into()),
            "scope": Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: "f()".into(), scope: doc! { "x": { "y": 1 } } }),
            "int": 1, "timestamp": Timestamp { time: 4, increment: 2 }, "long": 1_i64,
            "decimal": Bson::Decimal128("1.50E+3".parse().unwrap()), "min": Bson::MinKey, "max": Bson::MaxKey,
        };
        let complete = bytes(&all);
        assert_eq!(check(&complete, Check::Values), Ok(()));
        for end in 0..complete.len() {
            assert_eq!(check(&complete[..end], Check::Frames), Err(Flaw::Unreadable), "{end}");
            // Its length says that this is all of it.
            let mut cut = complete[..end].to_vec();
            if end >= 5 {
                cut[..4].copy_from_slice(&i32::try_from(end).unwrap().to_le_bytes());
                cut[end - 1] = 0;
                let _ = check(&cut, Check::Values);
            }
        }
        // It may be right or wrong, but it does not panic.
        for at in 0..complete.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = complete.clone();
                changed[at] = value;
                let _ = check(&changed, Check::Values);
            }
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_refused_whatever_its_depth() {
        assert_eq!(check(&nested(LEVELS), Check::Frames), Ok(()));
        for levels in [LEVELS + 1, 5_000, 10_000] {
            assert_eq!(check(&nested(levels), Check::Frames), Err(Flaw::TooDeep), "{levels}");
        }
    }

    #[test]
    fn booleans_are_checked_only_where_no_checksum_was() {
        let mut document = bytes(&doc! { "a": true });
        assert_eq!(check(&document, Check::Values), Ok(()));
        document[7] = 0xff;
        assert_eq!(check(&document, Check::Frames), Ok(()));
        assert_eq!(check(&document, Check::Values), Err(Flaw::Unreadable));
    }

    #[test]
    fn texts_need_not_be_utf_8() {
        let mut document = bytes(&doc! { "key": "text" });
        for at in [5, 13] {
            document[at] = 0xff;
        }
        assert_eq!(check(&document, Check::Values), Ok(()));
    }
}
