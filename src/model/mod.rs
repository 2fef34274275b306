//! Facts that everything else is built on. Imports nothing of this crate.

#[cfg(feature = "manager")]
mod direction;
#[cfg(feature = "manager")]
mod dump_name;
#[cfg(feature = "_line")]
mod event;
#[cfg(feature = "manager")]
pub(crate) mod extended_json;
pub(crate) mod file_name;
#[cfg(feature = "manager")]
mod state;
#[cfg(feature = "manager")]
mod subject;
pub(crate) mod variables;

#[cfg(feature = "_line")]
pub(crate) use event::EventName;
#[cfg(feature = "manager")]
pub(crate) use {direction::Direction, dump_name::PARTIAL, state::State, subject::Subject};
