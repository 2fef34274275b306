//! The process: how it is asked to stop, what becomes of its panics, and the runtime it works on.

pub(crate) mod panics;
pub(crate) mod runtime;
pub(crate) mod stop;
