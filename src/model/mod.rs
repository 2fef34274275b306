//! Facts that everything else is built on. Imports nothing of this crate.

pub(crate) mod file_name;
#[cfg(feature = "manager")]
pub(crate) mod state;
pub(crate) mod variables;
#[cfg(feature = "manager")]
pub(crate) mod verb;
