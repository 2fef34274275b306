//! The name of a dump's folder.

/// The suffix of a folder's name while its dump is incomplete.
pub(crate) const PARTIAL: &str = ".partial";
