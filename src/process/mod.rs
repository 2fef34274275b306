//! The process: signals, panics, and the async runtime.

pub(crate) mod background;
pub(crate) mod panics;
pub(crate) mod runtime;
pub(crate) mod stop;
