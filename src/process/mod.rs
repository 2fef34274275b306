//! The process: signals, panics, calls of `exit`, and the async runtime.

pub(crate) mod background;
pub(crate) mod exit;
pub(crate) mod panics;
pub(crate) mod runtime;
pub(crate) mod stop;
