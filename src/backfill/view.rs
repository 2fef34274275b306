//! What a closure gets of a document of which more was read.

use std::borrow::Cow;

use mongodb::bson::{Document, RawDocument, RawDocumentBuf};

use crate::error::Result;

/// The fields of the closure's, next to `_id`. `None` if it gets what was read.
#[derive(Clone, Debug, Default)]
pub(super) struct View(Option<Vec<String>>);

impl View {
    pub(super) fn complete() -> Self {
        Self(None)
    }

    /// The top-level fields, as a projection would give them. `None` for all.
    pub(super) fn of_fields(fields: Option<&[String]>) -> Self {
        Self(fields.map(<[String]>::to_vec))
    }

    pub(super) fn of<'d>(&self, read: &'d RawDocument) -> Result<Cow<'d, RawDocument>> {
        let Some(fields) = &self.0 else { return Ok(Cow::Borrowed(read)) };
        let mut part = Document::new();
        for element in read {
            let (name, value) = element?;
            let name = text(name);
            if name == "_id" || fields.iter().any(|field| field == name) {
                part.insert(name, mongodb::bson::Bson::try_from(value)?);
            }
        }
        Ok(Cow::Owned(RawDocumentBuf::try_from(&part)?))
    }
}

/// The name of a field, which bson 2 and bson 3 have in different types.
fn text(name: &(impl AsRef<str> + ?Sized)) -> &str {
    name.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::rawdoc;

    #[test]
    fn a_part_is_what_a_projection_gives() {
        let read = rawdoc! { "_id": 1, "a": 1, "b": { "c": 2 }, "d": 3 };
        let view = View::of_fields(Some(&["d".to_owned(), "b".to_owned(), "missing".to_owned()]));
        assert_eq!(&*view.of(&read).unwrap(), &*rawdoc! { "_id": 1, "b": { "c": 2 }, "d": 3 });
        assert_eq!(&*View::complete().of(&read).unwrap(), &*read);
    }
}
