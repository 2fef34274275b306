//! A migration as events, and what is stored, name it.

/// The facts about a migration that are stored and reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject<'m> {
    /// The file's name: `0002_slugs.rs`.
    pub(crate) name: &'m str,
    /// The digits that the file's name begins with, as they are written there.
    pub(crate) number: &'m str,
    /// The checksum of the file's code.
    pub(crate) checksum: &'m str,
    /// The package whose build script found the file, if one did.
    pub(crate) package: Option<&'m str>,
}

impl<'m> Subject<'m> {
    /// The file's name without its ending: `0002_slugs`.
    pub(crate) fn stem(&self) -> &'m str {
        super::file_name::stem(self.name)
    }
}
