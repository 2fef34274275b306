//! Facts that everything else is built on. Imports nothing of this crate.

#[cfg(feature = "manager")]
mod direction;
#[cfg(any(feature = "cli", feature = "manager"))]
mod dump_name;
#[cfg(feature = "manager")]
mod effects;
#[cfg(feature = "_line")]
mod event;
#[cfg(feature = "manager")]
pub(crate) mod extended_json;
pub(crate) mod file_name;
#[cfg(feature = "manager")]
mod joined;
#[cfg(any(feature = "cli", feature = "manager"))]
mod plugin_subtask;
#[cfg(feature = "manager")]
pub(crate) mod right;
#[cfg(feature = "manager")]
pub(crate) mod serde_bson;
#[cfg(feature = "manager")]
mod shell;
pub(crate) mod sources;
#[cfg(feature = "manager")]
mod state;
#[cfg(feature = "manager")]
mod subject;
pub(crate) mod variables;

#[cfg(feature = "_line")]
pub(crate) use event::EventName;
#[cfg(feature = "manager")]
pub(crate) use joined::Joined;
#[cfg(feature = "cli")]
pub(crate) use plugin_subtask::PluginSubtask;
#[cfg(any(feature = "cli", feature = "manager"))]
pub(crate) use {dump_name::PARTIAL, plugin_subtask::PLUGIN_SUBTASKS};

#[cfg(feature = "manager")]
pub(crate) use {
    direction::Direction, effects::Counts, effects::Effect, effects::Effects, shell::shell, state::State, subject::Subject,
};
