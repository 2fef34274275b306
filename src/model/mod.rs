//! Facts about migrations that everything else is built on. Imports nothing of this crate.

pub(crate) mod file_name;
#[cfg(feature = "manager")]
pub(crate) mod state;
#[cfg(feature = "manager")]
pub(crate) mod verb;
